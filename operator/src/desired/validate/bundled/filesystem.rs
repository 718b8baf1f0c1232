//! The Filesystem server: every root a volume, and nobody to call.

use mcp_crds::{
    FilesystemServer, McpServerSpec, Root,
    kinds::{Writes, filesystem::Access},
};
use serde_json::{Value, json};

use super::super::{Problems, volumes};
use crate::desired::bundled::{Amounts, Bundled, Place, ROOTS_DIR};

pub(super) fn server(server: &FilesystemServer, spec: &McpServerSpec, problems: &mut Problems) -> Bundled {
    check(server, spec, problems);
    let mut bundled = Bundled {
        binary: "mcp-filesystem",
        places: server.roots.iter().map(place).collect(),
        resources: Amounts { cpu: "50m", memory: "32Mi", most_memory: "256Mi" },
        ..Bundled::default()
    };
    bundled.set("roots", server.roots.iter().map(root).collect::<Vec<_>>());
    bundled
}

fn place(root: &Root) -> Place {
    Place {
        volume: root.volume.clone(),
        path: format!("{ROOTS_DIR}/{}", root.name),
        writable: root.access == Access::ReadWrite,
    }
}

fn root(root: &Root) -> Value {
    let path = place(root).path;
    match root.access {
        Access::ReadOnly => json!({"name": root.name, "path": path}),
        Access::ReadWrite => json!({"name": root.name, "path": path, "access": "readWrite"}),
    }
}

fn check(server: &FilesystemServer, spec: &McpServerSpec, problems: &mut Problems) {
    let field = "spec.server.filesystem.roots";
    problems.duplicates(field, server.roots.iter().map(|root| root.name.as_str()));
    if server.roots.is_empty() {
        problems.add(field, "is empty: name at least one directory that clients may see");
    }
    for root in &server.roots {
        let field = format!("{field}[{}]", root.name);
        let volume = spec.volumes.iter().find(|volume| volume.name == root.volume);
        let Some(volume) = volume else {
            let message = format!("no volume {:?} in spec.volumes: add it there, or name one that is", root.volume);
            problems.add(format!("{field}.volume"), message);
            continue;
        };
        if root.access == Access::ReadOnly {
            continue;
        }
        if server.writes == Writes::Off {
            let message = "ReadWrite needs writes: Consent or writes: Allow: without it no tool could write there";
            problems.add(format!("{field}.access"), message);
        }
        if volumes::is_read_only(volume) {
            let message = format!("volume {:?} cannot be written: set ReadOnly, or use another volume", root.volume);
            problems.add(format!("{field}.access"), message);
        }
    }
}
