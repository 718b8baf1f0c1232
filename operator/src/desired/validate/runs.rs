//! Which server runs, and from which image.

use mcp_crds::McpServerSpec;

use super::{Defaults, Problems, bundled, image};
use crate::desired::bundled::Bundled;

/// What runs in the container.
#[derive(Clone, Debug, PartialEq)]
pub enum Runs {
    /// A server of ours.
    Bundled(Bundled),
    /// Any other server.
    Image(Image),
}

/// A server that nobody here knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its image.
    pub image: String,
    /// Replaces the entrypoint, unless empty.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its port.
    pub port: i32,
    /// Path of its MCP endpoint.
    pub path: String,
}

/// Port of the bundled servers.
pub(super) const BUNDLED_PORT: i32 = 8080;
/// Path of their MCP endpoint.
pub(super) const BUNDLED_PATH: &str = "/mcp";

impl Runs {
    /// The image.
    #[must_use]
    pub fn image(&self) -> &str {
        match self {
            Self::Bundled(server) => &server.image,
            Self::Image(server) => &server.image,
        }
    }

    /// Port of the MCP endpoint.
    #[must_use]
    pub fn port(&self) -> i32 {
        match self {
            Self::Bundled(_) => BUNDLED_PORT,
            Self::Image(server) => server.port,
        }
    }

    /// Path of the MCP endpoint.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Bundled(_) => BUNDLED_PATH,
            Self::Image(server) => &server.path,
        }
    }

    /// Value of `app.kubernetes.io/name`.
    #[must_use]
    pub fn app_name(&self) -> &'static str {
        match self {
            Self::Bundled(server) => server.binary,
            Self::Image(_) => "mcp-server",
        }
    }

    /// The server of ours, if it is one.
    #[must_use]
    pub fn bundled(&self) -> Option<&Bundled> {
        match self {
            Self::Bundled(server) => Some(server),
            Self::Image(_) => None,
        }
    }
}

/// `url` is the address that clients of a bundled server use.
pub(super) fn runs(spec: &McpServerSpec, defaults: &Defaults, url: &str, problems: &mut Problems) -> Option<Runs> {
    if let Some(image) = spec.image.as_ref().filter(|image| !image::is_reference(image)) {
        problems.add("spec.image", not_a_reference(image));
    }
    if spec.image.is_some() && spec.server.image.is_some() {
        problems.add("spec.image", "replaces the image of a bundled server: write it in spec.server.image.ref");
    }
    if spec.server.members() != 1 {
        problems.add("spec.server", "set exactly one of aws, database, custom, filesystem, product, order, image: an McpServer runs one server; write a second McpServer for another");
        return None;
    }
    match &spec.server.image {
        Some(server) => Some(Runs::Image(other(server, problems))),
        // None: a kind that cannot run yet, as `later` says.
        None => bundled::bundled(spec, &defaults.servers_image, url, problems).map(Runs::Bundled),
    }
}

fn other(server: &mcp_crds::ImageServer, problems: &mut Problems) -> Image {
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
    Image {
        image: server.reference.clone(),
        command: server.command.clone(),
        args: server.args.clone(),
        port: server.port,
        path: server.path.clone(),
    }
}

fn not_a_reference(text: &str) -> String {
    format!(
        "{text:?} is not an image reference: write registry/name:tag or registry/name@sha256:..., for example \
         ghcr.io/acme/tools:1.4"
    )
}
