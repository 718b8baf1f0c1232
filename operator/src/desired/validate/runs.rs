//! Which server runs, and from which image.

use mcp_crds::McpServerSpec;

use super::{Defaults, Problems, image};

/// What runs in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The bundled Filesystem server.
    Filesystem {
        /// Image of the bundled servers.
        image: String,
        /// What clients may see.
        roots: Vec<Root>,
    },
    /// Any other server.
    Image {
        /// Its image.
        image: String,
        /// Replaces the entrypoint, unless empty.
        command: Vec<String>,
        /// Its arguments.
        args: Vec<String>,
        /// Its port.
        port: i32,
        /// Path of its MCP endpoint.
        path: String,
    },
}

/// A directory that clients see as `/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// First part of the paths below it.
    pub name: String,
    /// The volume behind it.
    pub volume: String,
}

/// Port of the bundled servers.
const BUNDLED_PORT: i32 = 8080;

impl Runs {
    /// The image.
    #[must_use]
    pub fn image(&self) -> &str {
        match self {
            Self::Filesystem { image, .. } | Self::Image { image, .. } => image,
        }
    }

    /// Port of the MCP endpoint.
    #[must_use]
    pub fn port(&self) -> i32 {
        match self {
            Self::Filesystem { .. } => BUNDLED_PORT,
            Self::Image { port, .. } => *port,
        }
    }

    /// Path of the MCP endpoint.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Filesystem { .. } => "/mcp",
            Self::Image { path, .. } => path,
        }
    }

    /// Value of `app.kubernetes.io/name`.
    #[must_use]
    pub fn app_name(&self) -> &'static str {
        match self {
            Self::Filesystem { .. } => "mcp-filesystem",
            Self::Image { .. } => "mcp-server",
        }
    }
}

pub(super) fn runs(spec: &McpServerSpec, defaults: &Defaults, problems: &mut Problems) -> Option<Runs> {
    if let Some(image) = spec.image.as_ref().filter(|image| !image::is_reference(image)) {
        problems.add("spec.image", not_a_reference(image));
    }
    if spec.image.is_some() && spec.server.image.is_some() {
        problems.add("spec.image", "replaces the image of a bundled server: write it in spec.server.image.ref");
    }
    match (spec.server.members(), &spec.server.filesystem, &spec.server.image) {
        (1, Some(filesystem), None) => {
            problems.duplicates("spec.server.filesystem.roots", filesystem.roots.iter().map(|root| root.name.as_str()));
            if filesystem.roots.is_empty() {
                problems
                    .add("spec.server.filesystem.roots", "is empty: name at least one directory that clients may see");
            }
            for root in &filesystem.roots {
                if !spec.volumes.iter().any(|volume| volume.name == root.volume) {
                    let field = format!("spec.server.filesystem.roots[{}].volume", root.name);
                    problems.add(
                        field,
                        format!("no volume {:?} in spec.volumes: add it there, or name one that is", root.volume),
                    );
                }
            }
            let roots = filesystem.roots.iter();
            let roots = roots.map(|root| Root { name: root.name.clone(), volume: root.volume.clone() }).collect();
            let image = spec.image.clone().unwrap_or_else(|| defaults.servers_image.clone());
            Some(Runs::Filesystem { image, roots })
        }
        (1, None, Some(server)) => {
            if !image::is_reference(&server.reference) {
                problems.add("spec.server.image.ref", not_a_reference(&server.reference));
            }
            if !server.path.starts_with('/') {
                let message = format!("{:?} is not a path: begin it with a slash, for example /mcp", server.path);
                problems.add("spec.server.image.path", message);
            }
            if !(1..=65535).contains(&server.port) {
                problems.add("spec.server.image.port", format!("{} is not a TCP port: use 1 to 65535", server.port));
            }
            Some(Runs::Image {
                image: server.reference.clone(),
                command: server.command.clone(),
                args: server.args.clone(),
                port: server.port,
                path: server.path.clone(),
            })
        }
        // A kind that cannot run yet, as `later` says.
        (1, None, None) => None,
        _ => {
            problems.add("spec.server", "set exactly one of aws, database, custom, filesystem, product, order, image: an McpServer runs one server; write a second McpServer for another");
            None
        }
    }
}

fn not_a_reference(text: &str) -> String {
    format!(
        "{text:?} is not an image reference: write registry/name:tag or registry/name@sha256:..., for example \
         ghcr.io/acme/tools:1.4"
    )
}
