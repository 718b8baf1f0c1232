//! The base image of the build stages on a machine that reaches no public registry of images.
//!
//! Docker Hub's `rust` image is pulled where it can be. Else an equivalent is made, under the same name, in the local
//! storage: Debian's packages and the Rust toolchain of this machine, at the places the official image has them. What
//! this machine trusts beyond Debian's CA bundle is given to cargo alone and reaches no image that is built.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::images::engine::Engine;
use crate::place::Place;
use crate::program;

/// What a crate with C sources needs: the least of what the official image has.
const PACKAGES: &str = "ca-certificates,gcc,libc6-dev,make";

const HOST_CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const CARGO_SETTINGS: &str = "[http]\ncainfo = \"/usr/local/cargo/build-machine-ca.crt\"\n";

/// Makes sure that the base image is in the local storage.
pub(crate) fn provide(place: &Place, engine: &Engine, name: &str) -> Result<()> {
    if !engine.is_podman() || engine.has_image(name) {
        return Ok(());
    }
    eprintln!("images: pulling {name}");
    if engine.command(&["pull", "--quiet", name]).status()?.success() {
        return Ok(());
    }
    eprintln!("images: it cannot be pulled; making an equivalent from Debian's packages and this machine's Rust");
    program::ensure("mmdebstrap", &["mmdebstrap", "debian-archive-keyring"])?;
    let stage = place.cache.join("images/base");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot delete {}", stage.display()))?;
    }
    lay_out_toolchain(place, &stage, name)?;
    let hook = format!("--customize-hook=sync-in {} /usr/local", stage.display());
    let mut debian = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}"), &hook, "bookworm", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start mmdebstrap")?;
    let archive = debian.stdout.take().context("mmdebstrap has no output")?;
    let mut import = engine.command(&["import", "--quiet"]);
    for setting in [
        "ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV RUSTUP_HOME=/usr/local/rustup",
        "ENV CARGO_HOME=/usr/local/cargo",
    ] {
        import.args(["--change", setting]);
    }
    let imported = program::run(import.args(["-", name]).stdin(archive).stdout(Stdio::null()));
    let status = debian.wait()?;
    if !status.success() {
        bail!("mmdebstrap failed ({status}): are Debian's mirrors reachable from here?");
    }
    imported?;
    fs::remove_dir_all(&stage).with_context(|| format!("cannot delete {}", stage.display()))
}

/// The toolchain as it will lie under /usr/local.
fn lay_out_toolchain(place: &Place, stage: &Path, name: &str) -> Result<()> {
    let release = program::output(place.command("rustc").arg("--version"))?;
    let version = release.split_whitespace().nth(1).unwrap_or_default();
    if !name.contains(&format!("rust:{version}-")) {
        bail!("the Dockerfiles are built FROM {name}, but `rustc --version` here is {version}: make them agree");
    }
    let host = program::output(place.command("rustc").args(["--print", "host-tuple"]))?;
    let installed = program::output(place.command("rustc").args(["--print", "sysroot"]))?;
    let toolchain = format!("rustup/toolchains/{version}-{host}");
    let (target, cargo) = (stage.join(&toolchain), stage.join("cargo"));
    fs::create_dir_all(target.join("bin"))?;
    fs::create_dir_all(cargo.join("bin"))?;
    for binary in ["cargo", "rustc"] {
        let from = Path::new(&installed).join("bin").join(binary);
        fs::copy(&from, target.join("bin").join(binary)).with_context(|| format!("cannot copy {}", from.display()))?;
        symlink(format!("/usr/local/{toolchain}/bin/{binary}"), cargo.join("bin").join(binary))?;
    }
    program::run(Command::new("cp").args(["-a", "--"]).arg(Path::new(&installed).join("lib")).arg(target.join("lib")))?;
    fs::copy(HOST_CA_BUNDLE, cargo.join("build-machine-ca.crt"))
        .with_context(|| format!("cannot copy {HOST_CA_BUNDLE}"))?;
    fs::write(cargo.join("config.toml"), CARGO_SETTINGS).context("cannot write cargo's settings")
}
