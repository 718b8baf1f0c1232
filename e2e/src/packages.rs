//! The programs a native cluster takes from the operating system.
//!
//! In: what a tier needs. Out: all of it present, installed with apt-get where that is possible, or one error that
//! lists every missing package. Installs nothing that is already there, whoever put it there.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cache::Cache;
use crate::progress::Progress;

/// A Debian package and the programs it is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    name: &'static str,
    programs: &'static [&'static str],
}

/// Every native tier: namespaces and detaching.
pub const NAMESPACES: &[Package] =
    &[Package { name: "util-linux", programs: &["unshare", "nsenter", "setsid", "setpriv"] }];

/// Tier node on top: container runtime and packet handling.
pub const NODE: &[Package] = &[
    Package { name: "containerd", programs: &["containerd", "ctr", "containerd-shim-runc-v2"] },
    Package { name: "runc", programs: &["runc"] },
    Package { name: "containernetworking-plugins", programs: &["/usr/lib/cni/bridge|/opt/cni/bin/bridge"] },
    Package { name: "iptables", programs: &["iptables", "iptables-save", "iptables-restore"] },
    Package { name: "conntrack", programs: &["conntrack"] },
    Package { name: "iproute2", programs: &["ip"] },
];

/// A real database for suites. Its programs are in a directory of the version, outside PATH.
pub const POSTGRES: &[Package] = &[
    Package { name: "util-linux", programs: &["setpriv"] },
    Package {
        name: "postgresql",
        programs: &[concat!(
            "/usr/lib/postgresql/15/bin/initdb|/usr/lib/postgresql/16/bin/initdb|/usr/lib/postgresql/17/bin/initdb|",
            "/usr/lib/postgresql/18/bin/initdb|/usr/lib/postgresql/14/bin/initdb"
        )],
    },
];

/// What installs Node packages; they bring a Node of their own.
pub const NPM: &[Package] = &[Package { name: "npm", programs: &["npm"] }];

/// A real browser.
pub const BROWSER: &[Package] = &[Package { name: "chromium", programs: &["/usr/bin/chromium"] }];

/// What keeps the entries of the Custom server for all its pods: Valkey, or Redis where there is no Valkey yet.
pub const VALKEY: &[Package] =
    &[Package { name: "redis-server", programs: &["/usr/bin/valkey-server|/usr/bin/redis-server"] }];

/// Makes sure that `packages` are there.
pub async fn ensure(cache: &Cache, packages: &[Package], progress: Progress) -> Result<()> {
    if missing(packages).is_empty() {
        return Ok(());
    }
    // Two apt-get at once fail; whoever waited here may find the work done.
    let lock = cache.clone();
    let _lock = tokio::task::spawn_blocking(move || lock.lock("packages", progress)).await??;
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let list = names.join(" ");
    if !nix::unistd::geteuid().is_root() || find("apt-get").is_none() {
        let programs: Vec<&str> = missing.iter().flat_map(|package| package.programs).copied().collect();
        bail!(
            "these Debian packages are missing, or the same programs from elsewhere: {list}\n\
             (programs not found: {})\nInstall them with: sudo apt-get install --no-install-recommends {list}",
            programs.join(", ")
        );
    }
    progress.say(format_args!("installing Debian packages: {list}"));
    // The lists may be stale or absent; a failure here only matters if the installation then fails.
    let _ = apt(&["update", "-qq"]).await;
    // A fresh machine may be busy with upgrades of its own.
    let patience = ["-o", "DPkg::Lock::Timeout=300"];
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(patience);
    arguments.extend(&names);
    apt(&arguments).await.with_context(|| format!("install by hand: apt-get install {list}"))?;
    let still = self::missing(packages);
    if !still.is_empty() {
        bail!("apt-get installed {list}, yet these packages' programs are still not found: {still:?}");
    }
    Ok(())
}

/// Where the CNI plugins are.
pub fn cni_directory() -> Result<&'static Path> {
    let known = [Path::new("/usr/lib/cni"), Path::new("/opt/cni/bin")];
    let found = known.into_iter().find(|directory| directory.join("bridge").exists());
    found.context("no CNI plugins in /usr/lib/cni or /opt/cni/bin: install containernetworking-plugins")
}

/// Where PostgreSQL's programs are.
pub fn postgres_directory() -> Result<PathBuf> {
    let versions = ["15", "16", "17", "18", "14"].iter().map(|version| format!("/usr/lib/postgresql/{version}/bin"));
    let mut found = versions.map(PathBuf::from).filter(|directory| directory.join("initdb").is_file());
    found.next().context("no PostgreSQL 14 to 18 in /usr/lib/postgresql: install postgresql")
}

/// Finds a program in PATH and in the system directories that a user's PATH may leave out.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let mut candidates = std::env::split_paths(&path).chain(system).map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file())
}

fn missing(packages: &[Package]) -> Vec<Package> {
    let there = |program: &str| {
        if program.starts_with('/') {
            program.split('|').any(|path| Path::new(path).is_file())
        } else {
            find(program).is_some()
        }
    };
    packages.iter().filter(|package| !package.programs.iter().all(|program| there(program))).copied().collect()
}

async fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("start apt-get")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("apt-get {} failed ({}):\n{}", arguments.join(" "), output.status, said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_needs_no_installation() {
        let shell = Package { name: "dash", programs: &["sh", "/nowhere/sh|/bin/sh"] };
        let home = tempfile::tempdir().unwrap();
        ensure(&Cache::at(home.path().to_owned()), &[shell], Progress::start()).await.unwrap();
    }

    #[test]
    fn a_package_is_missing_when_one_of_its_programs_is() {
        let half = Package { name: "half", programs: &["sh", "no-such-program-anywhere"] };
        assert_eq!(missing(&[half]), [half]);
    }
}
