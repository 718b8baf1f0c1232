//! Real clients that nobody here wrote: installed once from their registry, pinned by hash.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    cache::Cache,
    install::{output, repository},
    python::environment,
};

/// Connects the official Python SDK to a server at `address`, lists its tools and calls `list_directory` with `path`.
///
/// Returns what `e2e/clients/python/list_and_call.py` prints. The host has no cluster DNS: the client calls by address.
pub async fn python(cache: &Cache, url: &str, address: SocketAddr, path: &str) -> Result<Value> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let by_address = format!("http://{address}{}", uri.path());
    let script = repository().join("e2e/clients/python/list_and_call.py");
    let python = environment(cache, "clients", "e2e/clients/python/requirements.txt").await?.join("bin/python");
    let text = output(Command::new(python).arg(script).arg(by_address).arg(path)).await?;
    serde_json::from_str(&text).with_context(|| format!("the Python client printed {text:?}"))
}
