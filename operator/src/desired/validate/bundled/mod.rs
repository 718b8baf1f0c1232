//! What each kind of bundled server says of itself, and what all of them have in common.
//!
//! In: the spec. Out: a [`Bundled`], from which builders make objects without knowing kinds. A kind has a file of its
//! own: binary, settings, volumes, files, whom it calls, how much it needs.

mod aws;
mod custom;
mod database;
mod door;
mod filesystem;
mod record;
mod upstream;

use mcp_crds::{McpServerSpec, auth::AuthMode};

use super::{Problems, is_stateful};
use crate::desired::bundled::Bundled;

/// Whether a spec makes a bundled server ask who calls. Then the operator's probe shows a token; to no other server.
#[must_use]
pub fn is_guarded(spec: &McpServerSpec) -> bool {
    spec.server.image.is_none() && spec.auth.as_ref().is_some_and(|auth| auth.mode != AuthMode::None)
}

/// The bundled server of a spec; none for a kind that does not run yet. `url` is the address that clients use.
pub(super) fn bundled(spec: &McpServerSpec, image: &str, url: &str, problems: &mut Problems) -> Option<Bundled> {
    let kind = &spec.server;
    let server = None
        .or_else(|| kind.aws.as_ref().map(|it| aws::server(it, problems)))
        .or_else(|| kind.database.as_ref().map(|it| database::server(it, spec, problems)))
        .or_else(|| kind.custom.as_ref().map(|it| custom::server(it, spec, problems)))
        .or_else(|| kind.filesystem.as_ref().map(|it| filesystem::server(it, spec, problems)))?;
    let mut server = Bundled { image: spec.image.clone().unwrap_or_else(|| image.to_owned()), ..server };
    if is_stateful(spec) {
        server.set("sessions", "stateful");
    }
    door::add(&mut server, spec, url, problems);
    record::add(&mut server, spec, problems);
    Some(server)
}
