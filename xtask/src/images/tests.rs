//! What is written twice agrees: the Dockerfiles, the toolchain, the workspace and this crate.

use std::fs;
use std::path::Path;

use super::{OPERATOR, SERVERS, fingerprint};
use crate::servers;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands behind `prefix` on the first line that begins with it, without quotes.
fn value(name: &str, prefix: &str) -> String {
    let text = read(name);
    let line = text.lines().find_map(|line| line.strip_prefix(prefix));
    line.unwrap_or_else(|| panic!("{name} has no line `{prefix}…`")).replace('"', "")
}

#[test]
fn both_dockerfiles_build_with_the_toolchain_of_the_workspace() {
    let channel = value("rust-toolchain.toml", "channel = ");
    for dockerfile in [OPERATOR, SERVERS] {
        let base = value(dockerfile, "ARG RUST_IMAGE=");
        assert_eq!(base, format!("docker.io/library/rust:{channel}-bookworm"), "{dockerfile}");
    }
}

#[test]
fn the_servers_image_has_every_bundled_server() {
    let mut servers: Vec<String> = fs::read_dir(root().join("mcp-servers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("src/main.rs").is_file())
        .map(|path| format!("mcp-{}", path.file_name().unwrap().to_string_lossy()))
        .collect();
    servers.sort();
    assert_eq!(servers::names(root()).unwrap(), servers);
}

#[test]
fn the_build_context_has_every_member_of_the_workspace() {
    let ignore = read(".dockerignore");
    let members = value("Cargo.toml", "members = ");
    for member in members.trim_matches(['[', ']']).split(", ") {
        // Cargo reads every manifest of a workspace before it builds one member, and looks for the targets they name.
        for part in ["Cargo.toml", "build.rs", "src", "tests", "benches", "examples"] {
            let path = Path::new(member).join(part);
            let mut admitted = ignore.lines().filter_map(|line| line.strip_prefix('!'));
            let there = root().join(&path).exists();
            assert!(!there || admitted.any(|it| path.starts_with(it)), ".dockerignore leaves out {}", path.display());
        }
    }
}

#[test]
fn a_fingerprint_is_of_files_that_exist_and_stays_the_same() {
    assert_eq!(fingerprint::of(root()).unwrap(), fingerprint::of(root()).unwrap());
}
