//! The files of KEDA's release: its definitions and manifests.
//!
//! In: the Go module below `e2e/tools/keda`. Out: the directory of the module it names. Nothing of KEDA is built or run
//! here; `install::keda` does that.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::process::Command;

use crate::install::{output, repository};

/// The module.
const MODULE: &str = "github.com/kedacore/keda/v2";

/// The files of KEDA's release, as the module proxy has them and `go.sum` vouches for them.
pub async fn source() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Downloaded {
        #[serde(rename = "Dir")]
        dir: PathBuf,
    }
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", MODULE]).current_dir(repository().join("e2e/tools/keda"));
    go.env("GOTOOLCHAIN", "local").env("GOWORK", "off").stdin(Stdio::null());
    let text = output(&mut go).await.context("fetch KEDA's module")?;
    Ok(serde_json::from_str::<Downloaded>(&text).context("read what `go mod download` says")?.dir)
}
