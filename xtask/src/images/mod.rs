//! `images`: builds both Dockerfiles and, when asked, tries what is in the images.
//!
//! In: the Dockerfiles as they are. Out: two images in the engine's local storage and their sizes on stdout; with those of
//! each server alone, the sizes in the documentation. What was built and verified is remembered by a fingerprint of what it
//! was made of.

mod base;
mod engine;
mod fingerprint;
mod sizes;
#[cfg(test)]
mod tests;
mod verify;

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::{program, servers};
use engine::Engine;

/// A Dockerfile and what comes of it.
#[derive(Debug)]
struct Image {
    dockerfile: &'static str,
    name: String,
    binaries: Vec<String>,
    /// Whether the build has to be told which servers go in.
    some: bool,
}

const OPERATOR: &str = "Dockerfile.operator";
const SERVERS: &str = "Dockerfile.servers";

/// The operator, all servers in one and, if asked, each server in one of its own.
fn images(place: &Place, each: bool) -> Result<Vec<Image>> {
    let servers = servers::names(&place.root)?;
    let image = |dockerfile, name: &str, binaries: &[String], some| Image {
        dockerfile,
        name: format!("localhost/{name}:dev"),
        binaries: binaries.to_vec(),
        some,
    };
    let mut images = vec![
        image(OPERATOR, "mcp-eks-operator", &["mcp-operator".to_owned()], false),
        image(SERVERS, "mcp-eks-servers", &servers, false),
    ];
    if each {
        images.extend(servers.iter().map(|server| image(SERVERS, server, std::slice::from_ref(server), true)));
    }
    Ok(images)
}

/// What `cargo xtask images` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Also run what is in the images, and a TLS client against their CA bundle
    #[arg(long)]
    verify: bool,
    /// Only when a Dockerfile, the lock file or the toolchain has changed since the last success
    #[arg(long)]
    if_changed: bool,
    /// Also an image of each server alone, as for a registry that shall hold no more than what runs; records all sizes in
    /// docs/servers/images.md
    #[arg(long)]
    each: bool,
}

/// Builds, prints sizes, verifies.
pub(crate) fn run(place: &Place, options: &Options) -> Result<()> {
    let start = Instant::now();
    let seen = place.cache.join("images/verified");
    let fingerprint = fingerprint::of(&place.root)?;
    if options.if_changed && fs::read_to_string(&seen).is_ok_and(|it| it == fingerprint) {
        println!("images: not built: the Dockerfiles, Cargo.lock and the toolchain are those of the last success");
        return Ok(());
    }
    let engine = Engine::find(place)?;
    let elapsed = || start.elapsed().as_secs();
    base::provide(place, &engine, &base_name(place)?)?;
    let revision = program::output(place.command("git").args(["rev-parse", "HEAD"])).unwrap_or_default();
    let images = images(place, options.each)?;
    for image in &images {
        eprintln!("images: [{:4} s] building {} from {}", elapsed(), image.name, image.dockerfile);
        let mut build = engine.build();
        build.args(["--file", image.dockerfile, "--tag", &image.name]);
        if image.some {
            build.args(["--build-arg", &format!("SERVERS={}", image.binaries.join(" "))]);
        }
        build.args(["--build-arg", &format!("REVISION={revision}"), "."]);
        program::run(&mut build)?;
    }
    let mut sizes = Vec::new();
    for image in &images {
        let size = program::output(&mut engine.command(&["image", "inspect", "--format", "{{.Size}}", &image.name]))?;
        let bytes: f64 = size.parse().with_context(|| format!("the size of {} is `{size}`", image.name))?;
        println!("{} {:.1} MB", image.name, bytes / 1e6);
        sizes.push((image.name.clone(), bytes));
    }
    if options.each {
        sizes::record(place, &sizes, &revision)?;
    }
    if options.verify {
        eprintln!("images: [{:4} s] verifying", elapsed());
        verify::all(place, &engine, &images)?;
        fs::create_dir_all(place.cache.join("images"))?;
        fs::write(&seen, fingerprint).with_context(|| format!("cannot write {}", seen.display()))?;
    }
    eprintln!("images: [{:4} s] done", elapsed());
    Ok(())
}

/// The image the build stages start from, as the first Dockerfile names it.
fn base_name(place: &Place) -> Result<String> {
    let path = place.root.join(OPERATOR);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = text.lines().find_map(|line| line.strip_prefix("ARG RUST_IMAGE="));
    Ok(name.with_context(|| format!("{} has no line `ARG RUST_IMAGE=…`", path.display()))?.to_owned())
}
