//! The program that builds and runs images: Docker where its daemon answers, else Podman.
//!
//! Podman keeps its storage and its settings under the project's cache, so that a machine's own are neither needed nor
//! touched.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::program;

/// Settings that also hold in a sandbox: without `CAP_SYS_RESOURCE` no limit can be raised, without systemd there is no
/// manager of control groups.
const PODMAN_SETTINGS: &str = r#"[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
"#;

/// How to call the program.
#[derive(Debug)]
pub(crate) struct Engine {
    podman: bool,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, PathBuf)>,
    root: PathBuf,
}

impl Engine {
    /// Finds the engine; installs Podman where neither is there.
    pub(crate) fn find(place: &Place) -> Result<Self> {
        let root = place.root.clone();
        if program::succeeds(Command::new("docker").args(["info", "--format", "{{.ServerVersion}}"])) {
            return Ok(Self { podman: false, arguments: Vec::new(), environment: Vec::new(), root });
        }
        program::ensure("podman", &["podman", "runc"])?;
        let home = place.cache.join("podman");
        let scratch = home.join("tmp");
        fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        let settings = home.join("containers.conf");
        // crun wants a cgroup v2 or a writable systemd hierarchy; runc takes what is there.
        let runtime = if program::on_path("runc").is_some() { "runtime = \"runc\"\n" } else { "" };
        fs::write(&settings, format!("{PODMAN_SETTINGS}{runtime}"))
            .with_context(|| format!("cannot write {}", settings.display()))?;
        let arguments =
            ["--root".into(), home.join("storage").into(), "--runroot".into(), home.join("run").into()].to_vec();
        let environment = vec![("CONTAINERS_CONF", settings), ("TMPDIR", scratch)];
        Ok(Self { podman: true, arguments, environment, root })
    }

    /// Whether the engine is Podman.
    pub(crate) fn is_podman(&self) -> bool {
        self.podman
    }

    /// `ENGINE WORDS…`, in the repository's root.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(if self.podman { "podman" } else { "docker" });
        command.current_dir(&self.root).args(&self.arguments).args(words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `ENGINE build …`: names in `RUN` resolve as on the host, and Podman asks no registry for what is there.
    pub(crate) fn build(&self) -> Command {
        self.command(if self.podman {
            &["build", "--network=host", "--pull=never"]
        } else {
            &["build", "--network=host"]
        })
    }

    /// Whether an image of that name is in the local storage.
    pub(crate) fn has_image(&self, name: &str) -> bool {
        program::succeeds(&mut self.command(&["image", "inspect", name]))
    }
}
