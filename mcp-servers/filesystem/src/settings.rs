//! The settings of this server: its roots, and names that are never shown.

use std::{path::PathBuf, sync::Arc};

use cap_std::{ambient_authority, fs::Dir};
use clap::Arg;
use mcp_kit::settings::{Given, Sources, repeated};
use serde::Deserialize;

use crate::sandbox::{Deny, Root, Sandbox};

pub(crate) const EXAMPLES: &str = "\
Examples:
  Serve two directories over HTTP on this machine:
    mcp-filesystem --root docs=./docs --root src=./src
  For a client that starts the server itself:
    mcp-filesystem --stdio --root docs=/srv/docs
  In a cluster, under the name of its Service:
    mcp-filesystem --listen 0.0.0.0:8080 --health-listen 0.0.0.0:9090 --allowed-hosts files.team.svc --root data=/data
  The same from a file (--config):
    listen: 0.0.0.0:8080
    allowedHosts: [files.team.svc]
    roots:
      - {name: data, path: /data}
      - {name: drafts, path: /drafts, access: readWrite}
    writes: allow

A flag wins over its variable, the variable over the file. Exit codes: 0 ended in order, 1 could not start, 2 wrong settings.";

const ROOT_EXPECTED: &str = "NAME=PATH, for example docs=/srv/docs";
const NAME_EXPECTED: &str = "a name of 1 to 63 characters of a-z, 0-9, - and _, beginning with a letter or digit";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootEntry {
    name: String,
    path: PathBuf,
    #[serde(default)]
    access: Access,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Access {
    #[default]
    ReadOnly,
    ReadWrite,
}

/// A root as it was given, not yet checked.
struct Wanted {
    name: String,
    path: PathBuf,
    access: Access,
    at: String,
}

pub(crate) fn flags() -> Vec<Arg> {
    vec![
        repeated("root", "NAME=PATH", "A directory to serve, seen by clients as /NAME; may be repeated"),
        repeated(
            "writable-root",
            "NAME=PATH",
            "The same, and with --writes clients may change what is in it; may be repeated",
        ),
        repeated(
            "deny",
            "GLOB,...",
            "More names that are never listed, found or read, besides .env, .env.*, *.pem, *.key, .git, id_rsa* and the like",
        ),
    ]
}

/// Opens the roots. `None` exactly when there were problems.
pub(crate) fn sandbox(sources: &mut Sources) -> Option<Arc<Sandbox>> {
    let deny = deny(sources);
    let wanted = wanted(sources)?;
    if wanted.is_empty() {
        let mend = "say what may be read: --root docs=/srv/docs (seen by clients as /docs), MCP_ROOT=docs=/srv/docs, or \
                    `roots: [{name: docs, path: /srv/docs}]` in the file";
        sources.problems.add("--root", "at least one directory to serve", "none", mend);
        return None;
    }
    let count = wanted.len();
    let mut roots: Vec<Root> = Vec::new();
    for one in wanted {
        if roots.iter().any(|root| root.name == one.name) {
            let found = format!("two roots named {:?}", one.name);
            sources.problems.add(one.at, "root names that differ", found, "rename one of them");
        } else if let Some(root) = open(one, sources) {
            roots.push(root);
        }
    }
    (roots.len() == count).then_some(())?;
    Some(Arc::new(Sandbox::new(roots, deny?)))
}

fn deny(sources: &mut Sources) -> Option<Deny> {
    let given = sources.many("deny");
    match Deny::with(given.iter().map(|given| given.text.as_str())) {
        Ok(deny) => Some(deny),
        Err(error) => {
            let at = given.first().map_or_else(String::new, |given| given.at.clone());
            let expected = "globs that match one name, such as *.secret";
            sources.problems.add(
                at,
                expected,
                error.to_string(),
                "correct the pattern; it is matched against single names",
            );
            None
        }
    }
}

fn wanted(sources: &mut Sources) -> Option<Vec<Wanted>> {
    let mut from_line = Vec::new();
    for (name, access) in [("root", Access::ReadOnly), ("writable-root", Access::ReadWrite)] {
        for given in sources.line(name) {
            // A path on the command line may contain commas; the variable has no other way to name several.
            let parts: Vec<&str> =
                if given.at.starts_with("--") { vec![&given.text] } else { given.text.split(',').collect() };
            let parts = parts.into_iter().map(|part| Given { text: part.trim().to_owned(), at: given.at.clone() });
            from_line.extend(parts.map(|given| (given, access)));
        }
    }
    let expected = "a list such as `- {name: docs, path: /srv/docs}`";
    let from_file = sources.structured::<Vec<RootEntry>>("roots", expected);
    if from_line.is_empty() {
        let (entries, at) = from_file.unwrap_or_default();
        let wanted = entries.into_iter().map(|entry| Wanted {
            name: entry.name,
            path: entry.path,
            access: entry.access,
            at: at.clone(),
        });
        return Some(wanted.collect());
    }
    let parsed: Vec<_> = from_line.into_iter().map(|(given, access)| split(given, access, sources)).collect();
    parsed.into_iter().collect()
}

fn split(given: Given, access: Access, sources: &mut Sources) -> Option<Wanted> {
    if let Some((name, path)) = given.text.split_once('=')
        && !path.is_empty()
    {
        return Some(Wanted { name: name.to_owned(), path: path.into(), access, at: given.at });
    }
    let mend = "give the directory a name clients will see: NAME=PATH";
    sources.problems.add(given.at, ROOT_EXPECTED, format!("{:?}", given.text), mend);
    None
}

fn open(wanted: Wanted, sources: &mut Sources) -> Option<Root> {
    let Wanted { name, path, access, at } = wanted;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = name.bytes().next().is_some_and(good)
        && name.len() <= 63
        && name.bytes().all(|byte| good(byte) || byte == b'-' || byte == b'_');
    if !valid {
        sources.problems.add(at, NAME_EXPECTED, format!("{name:?}"), "choose another name");
        return None;
    }
    // Opened now and kept: whatever is later put in its place under the same name is not served.
    match Dir::open_ambient_dir(&path, ambient_authority()) {
        Ok(dir) => Some(Root { name, dir, writable: access == Access::ReadWrite }),
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            let expected = format!("an existing directory this user may read, for root {name:?}");
            sources.problems.add(at, expected, found, "create it, mount it, or correct the path");
            None
        }
    }
}
