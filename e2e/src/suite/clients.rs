//! Real clients that nobody here wrote: installed once from their registry, pinned by hash.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{
    cache::Cache,
    install::{output, repository},
    progress::Progress,
};

/// Connects the official Python SDK to a server at `address`, lists its tools and calls `list_directory` with `path`.
///
/// Returns what `e2e/clients/python/list_and_call.py` prints. The host has no cluster DNS: the client calls by address.
pub async fn python(cache: &Cache, url: &str, address: SocketAddr, path: &str) -> Result<Value> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let by_address = format!("http://{address}{}", uri.path());
    let script = repository().join("e2e/clients/python/list_and_call.py");
    let python = environment(cache).await?.join("bin/python");
    let text = output(Command::new(python).arg(script).arg(by_address).arg(path)).await?;
    serde_json::from_str(&text).with_context(|| format!("the Python client printed {text:?}"))
}

/// A virtual environment with the pinned packages, made when they change.
async fn environment(cache: &Cache) -> Result<PathBuf> {
    let requirements = repository().join("e2e/clients/python/requirements.txt");
    let text = std::fs::read(&requirements).with_context(|| format!("read {}", requirements.display()))?;
    let key = Sha256::digest(text).iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let target = cache.root().join(format!("venv-clients-{key}"));
    let _lock = cache.lock("venv-clients", Progress::start())?;
    if target.join(".complete").exists() {
        return Ok(target);
    }
    Progress::start().say("installing the Python client (pip, by hash)");
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&target)).await?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
    output(Command::new(target.join("bin/python")).args(pip).arg(&requirements)).await?;
    std::fs::write(target.join(".complete"), "")?;
    Ok(target)
}
