//! Tries what is in the images: what files, whose, which programs run, and whether a TLS client finds the CA bundle.
//!
//! Every check prints one line; the first that fails ends the task and says what was expected and what was found.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Image;
use super::engine::Engine;
use crate::place::Place;
use crate::{cargo, program};

const USER: &str = "10001:10001";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const PROBE: &str = "mcp-tls-probe";

/// Files that every image has, beside its programs.
const FILES: [&str; 4] = ["etc/group", "etc/nsswitch.conf", "etc/passwd", BUNDLE];

/// All checks, on all images.
pub(super) fn all(place: &Place, engine: &Engine, images: &[Image]) -> Result<()> {
    program::run(&mut cargo::cargo(
        place,
        &["build", "--locked", "--quiet", "--package", PROBE],
    ))?;
    let directory = place.cache.join("images/verify");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::copy(place.bin_dir()?.join(PROBE), directory.join(PROBE)).with_context(|| format!("cannot copy {PROBE}"))?;
    let server = TlsServer::start(&directory)?;
    for image in images {
        user(engine, image)?;
        files(engine, image)?;
        programs(engine, image)?;
        ca_bundle(engine, image, &directory, &server.url)?;
    }
    Ok(())
}

fn user(engine: &Engine, image: &Image) -> Result<()> {
    let found =
        program::output(&mut engine.command(&["image", "inspect", "--format", "{{.Config.User}}", image.name]))?;
    ensure!(
        found == USER,
        "{}: the user should be {USER} and is `{found}`",
        image.name
    );
    println!("ok {} runs as {USER}", image.name);
    Ok(())
}

/// The image holds its programs and [`FILES`], and nothing else; anyone may write to /tmp.
fn files(engine: &Engine, image: &Image) -> Result<()> {
    let container = program::output(&mut engine.command(&["create", image.name]))?;
    let listing = list(engine, &container);
    program::output(&mut engine.command(&["rm", &container]))?;
    let listing = listing?;
    let mut found: Vec<String> = Vec::new();
    let mut writable = false;
    for line in listing.lines() {
        let (mode, path) = (
            line.get(..10).unwrap_or_default(),
            line.rsplit(' ').next().unwrap_or_default(),
        );
        writable |= path == "tmp/" && mode == "drwxrwxrwt";
        if !mode.starts_with('d') && !of_the_engine(path) {
            found.push(path.to_owned());
        }
    }
    let mut expected: Vec<String> = FILES.map(str::to_owned).into();
    expected.extend(image.binaries.iter().map(|it| format!("usr/local/bin/{it}")));
    expected.sort();
    found.sort();
    ensure!(
        found == expected,
        "{}: the files should be {expected:?} and are {found:?}",
        image.name
    );
    ensure!(
        writable,
        "{}: /tmp should be there with mode 1777; the files are:\n{listing}",
        image.name
    );
    println!(
        "ok {} holds {} files and a /tmp anyone may write to",
        image.name,
        found.len()
    );
    Ok(())
}

fn list(engine: &Engine, container: &str) -> Result<String> {
    let mut export = engine.command(&["export", container]).stdout(Stdio::piped()).spawn()?;
    let archive = export.stdout.take().context("`export` has no output")?;
    let listing = Command::new("tar")
        .args(["--list", "--verbose", "--file=-"])
        .stdin(archive)
        .output()?;
    let status = export.wait()?;
    ensure!(
        status.success() && listing.status.success(),
        "the files of container {container} cannot be listed"
    );
    Ok(String::from_utf8_lossy(&listing.stdout).into_owned())
}

/// What engines put into every container, whatever its image.
fn of_the_engine(path: &str) -> bool {
    ["dev/", "proc/", "sys/", "run/"].iter().any(|it| path.starts_with(it))
        || [".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"].contains(&path)
}

/// Every program says its version, under the restrictions a pod will have.
fn programs(engine: &Engine, image: &Image) -> Result<()> {
    for binary in image.binaries {
        let entrypoint = format!("--entrypoint={binary}");
        let words = [
            "run",
            "--rm",
            "--network=none",
            "--read-only",
            "--cap-drop=all",
            &entrypoint,
            image.name,
            "--version",
        ];
        let said = program::output(&mut engine.command(&words))?;
        ensure!(
            said.starts_with(binary),
            "{}: `{binary} --version` should begin with its name, said `{said}`",
            image.name
        );
        println!("ok {} runs {said}", image.name);
    }
    Ok(())
}

/// With the bundle as it is, a server of an unknown CA is refused for its certificate; with that CA added, it answers.
fn ca_bundle(engine: &Engine, image: &Image, directory: &Path, url: &str) -> Result<()> {
    let tag = format!("{}-with-probe", image.name);
    let plain = format!("FROM {}\nCOPY {PROBE} /usr/local/bin/{PROBE}\n", image.name);
    let refused = ask(engine, directory, &tag, &plain, url)?;
    ensure!(
        !refused.status.success() && refused.stderr.contains("certificate"),
        "{}: an unknown CA should be refused; the client ended with {} and said: {}{}",
        image.name,
        refused.status,
        refused.stdout,
        refused.stderr
    );
    println!(
        "ok {} refuses a server of an unknown CA: {}",
        image.name,
        refused.stderr.trim_end()
    );

    let container = program::output(&mut engine.command(&["create", image.name]))?;
    let bundle = directory.join("ca-certificates.crt");
    let copied = program::run(engine.command(&["cp", &format!("{container}:/{BUNDLE}")]).arg(&bundle));
    program::output(&mut engine.command(&["rm", &container]))?;
    copied?;
    let mut roots = fs::read_to_string(&bundle).with_context(|| format!("cannot read {}", bundle.display()))?;
    let count = roots.matches("BEGIN CERTIFICATE").count();
    ensure!(
        count > 50,
        "{}: the CA bundle should have Debian's roots, and has {count} certificates",
        image.name
    );
    roots.push_str(&fs::read_to_string(directory.join("ca.pem"))?);
    fs::write(&bundle, roots)?;
    let extended = format!("{plain}COPY ca-certificates.crt /{BUNDLE}\n");
    let answered = ask(engine, directory, &tag, &extended, url)?;
    ensure!(
        answered.status.success() && answered.stdout.trim_end() == "200",
        "{}: with its CA in the bundle the server should answer 200; the client ended with {} and said: {}{}",
        image.name,
        answered.status,
        answered.stdout,
        answered.stderr
    );
    println!(
        "ok {} loads {count} roots, and a server of a CA added to them answers 200",
        image.name
    );
    program::output(&mut engine.command(&["rmi", &tag])).map(drop)
}

struct Answer {
    status: std::process::ExitStatus,
    stdout: String,
    stderr: String,
}

/// Builds an image with the probe in it and asks from inside.
fn ask(engine: &Engine, directory: &Path, tag: &str, dockerfile: &str, url: &str) -> Result<Answer> {
    let file = directory.join("Dockerfile");
    fs::write(&file, dockerfile).with_context(|| format!("cannot write {}", file.display()))?;
    program::run(
        engine
            .build()
            .args(["--quiet", "--tag", tag, "--file"])
            .arg(&file)
            .arg(directory)
            .stdout(Stdio::null()),
    )?;
    let entrypoint = format!("--entrypoint={PROBE}");
    let output = engine
        .command(&["run", "--rm", "--network=host", &entrypoint, tag, "get", url])
        .output()?;
    Ok(Answer {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The probe's other half, on this machine; ends with this value.
struct TlsServer {
    child: Child,
    url: String,
}

impl TlsServer {
    fn start(directory: &Path) -> Result<Self> {
        let mut child = Command::new(directory.join(PROBE))
            .arg("serve")
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {PROBE}"))?;
        let mut url = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let server = Self {
            child,
            url: url.trim_end().to_owned(),
        };
        if server.url.is_empty() {
            bail!("{PROBE} ended before it listened");
        }
        Ok(server)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
