//! What an image holds: whose processes, which files, which programs.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::BUNDLE;
use crate::images::Image;
use crate::images::engine::Engine;
use crate::program;

const USER: &str = "10001:10001";

/// Files that every image has, beside its programs.
const FILES: [&str; 4] = ["etc/group", "etc/nsswitch.conf", "etc/passwd", BUNDLE];

/// The image says which user its processes are, by number, as `runAsNonRoot` wants it.
pub(super) fn user(engine: &Engine, image: &Image) -> Result<()> {
    let found =
        program::output(&mut engine.command(&["image", "inspect", "--format", "{{.Config.User}}", &image.name]))?;
    ensure!(found == USER, "{}: the user should be {USER} and is `{found}`", image.name);
    println!("ok {} runs as {USER}", image.name);
    Ok(())
}

/// The image holds its programs and [`FILES`], and nothing else; anyone may write to /tmp.
pub(super) fn files(engine: &Engine, image: &Image) -> Result<()> {
    let container = program::output(&mut engine.command(&["create", "--network=none", &image.name]))?;
    let listing = list(engine, &container);
    program::output(&mut engine.command(&["rm", &container]))?;
    let listing = listing?;
    let mut found: Vec<String> = Vec::new();
    let mut writable = false;
    for line in listing.lines() {
        let (mode, path) = (line.get(..10).unwrap_or_default(), line.rsplit(' ').next().unwrap_or_default());
        writable |= path == "tmp/" && mode == "drwxrwxrwt";
        if !mode.starts_with('d') && !of_the_engine(path) {
            found.push(path.to_owned());
        }
    }
    let mut expected: Vec<String> = FILES.map(str::to_owned).into();
    expected.extend(image.binaries.iter().map(|it| format!("usr/local/bin/{it}")));
    expected.sort();
    found.sort();
    ensure!(found == expected, "{}: the files should be {expected:?} and are {found:?}", image.name);
    ensure!(writable, "{}: /tmp should be there with mode 1777; the files are:\n{listing}", image.name);
    println!("ok {} holds {} files and a /tmp anyone may write to", image.name, found.len());
    Ok(())
}

fn list(engine: &Engine, container: &str) -> Result<String> {
    let mut export = engine.command(&["export", container]).stdout(Stdio::piped()).spawn()?;
    let archive = export.stdout.take().context("`export` has no output")?;
    let listing = Command::new("tar").args(["--list", "--verbose", "--file=-"]).stdin(archive).output()?;
    let status = export.wait()?;
    ensure!(status.success() && listing.status.success(), "the files of container {container} cannot be listed");
    Ok(String::from_utf8_lossy(&listing.stdout).into_owned())
}

/// What engines put into every container, whatever its image.
fn of_the_engine(path: &str) -> bool {
    ["dev/", "proc/", "sys/", "run/"].iter().any(|it| path.starts_with(it))
        || [".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"].contains(&path)
}

/// Every program says its version, under the restrictions a pod will have.
pub(super) fn programs(engine: &Engine, image: &Image) -> Result<()> {
    for binary in &image.binaries {
        let entrypoint = format!("--entrypoint={binary}");
        let words =
            ["run", "--rm", "--network=none", "--read-only", "--cap-drop=all", &entrypoint, &image.name, "--version"];
        let said = program::output(&mut engine.command(&words))?;
        ensure!(
            said.starts_with(binary.as_str()),
            "{}: `{binary} --version` should begin with its name, said `{said}`",
            image.name
        );
        println!("ok {} runs {said}", image.name);
    }
    Ok(())
}
