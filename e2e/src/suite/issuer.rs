//! A real OAuth issuer as a process: panva's oidc-provider, on loopback, or with TLS where pods reach it. Ended with its
//! guard.

use std::{net::Ipv4Addr, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{cache::Cache, install::repository, node::Packages};

const FILES: &str = "e2e/issuer";

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    _child: Child,
    url: String,
}

impl Issuer {
    /// Starts one that knows these scopes; its clients are in its script.
    pub async fn start(cache: &Cache, scopes: &str) -> Result<Self> {
        Self::run(cache, &[scopes]).await
    }

    /// The same at an address that others reach, with the certificate and key in these files.
    pub async fn start_for(cache: &Cache, scopes: &str, address: Ipv4Addr, chain: &Path, key: &Path) -> Result<Self> {
        let (chain, key) = (chain.display().to_string(), key.display().to_string());
        Self::run(cache, &[scopes, &address.to_string(), &chain, &key]).await
    }

    async fn run(cache: &Cache, arguments: &[&str]) -> Result<Self> {
        let packages = Packages::install(cache, "issuer", FILES).await?;
        let mut command = packages.run(&repository().join(FILES).join("issuer.cjs"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("start the issuer")?;
        let mut lines = BufReader::new(child.stdout.take().context("the issuer has no stdout")?).lines();
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("http") {
                // Goes on reading, so that the issuer never waits for somebody to read what it says.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { _child: child, url: line });
            }
        }
        bail!("the issuer did not say where it listens ({})", child.wait().await?)
    }

    /// Its address, which is its name.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
