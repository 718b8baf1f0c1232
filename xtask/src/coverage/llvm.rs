//! The tools that read what instrumented programs count: those of the LLVM that rustc has, since formats change with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::place::Place;
use crate::program;

/// `llvm-profdata` and `llvm-cov`.
#[derive(Debug)]
pub(super) struct Llvm {
    pub(super) profdata: PathBuf,
    pub(super) cov: PathBuf,
}

impl Llvm {
    /// Finds them in the toolchain or the system, or installs them: as rustup's component, or else as a Debian package.
    pub(super) fn ensure(place: &Place) -> Result<Self> {
        let rustc = |words: &[&str]| program::output(place.command("rustc").args(words));
        let told = rustc(&["--version", "--verbose"])?;
        let major = major(&told).context("`rustc --version --verbose` has no line `LLVM version: …`")?;
        let toolchain = Path::new(&rustc(&["--print", "sysroot"])?).join("lib/rustlib");
        let toolchain = toolchain.join(rustc(&["--print", "host-tuple"])?).join("bin");
        let system = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
        let find = || Self::within(&toolchain).or_else(|| Self::within(&system));
        if let Some(found) = find() {
            return Ok(found);
        }
        eprintln!("xtask: llvm-cov of LLVM {major} is missing: rustup component add llvm-tools");
        if !program::succeeds(place.command("rustup").args(["component", "add", "llvm-tools"])) {
            eprintln!("xtask: rustup could not");
            program::ensure(&format!("llvm-cov-{major}"), &[&format!("llvm-{major}")])?;
        }
        find().with_context(|| format!("no llvm-cov in {} nor in {}", toolchain.display(), system.display()))
    }

    fn within(directory: &Path) -> Option<Self> {
        let [profdata, cov] = ["llvm-profdata", "llvm-cov"].map(|name| directory.join(name));
        (profdata.is_file() && cov.is_file()).then_some(Self { profdata, cov })
    }
}

/// The first number of `LLVM version: 22.1.2`.
fn major(told: &str) -> Option<u32> {
    let version = told.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_llvm() {
        assert_eq!(super::major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(super::major("rustc 1.95.0"), None);
    }
}
