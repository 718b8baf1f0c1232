//! Tries what is in the images: what files, whose, which programs run, and whether a TLS client finds the CA bundle.
//!
//! Every check prints one line; the first that fails ends the task and says what was expected and what was found.

mod contents;
mod tls;

use anyhow::Result;

use super::Image;
use super::engine::Engine;
use crate::place::Place;

/// Where every image has its trusted roots.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// All checks, on all images.
pub(super) fn all(place: &Place, engine: &Engine, images: &[Image]) -> Result<()> {
    let tls = tls::Bench::set_up(place)?;
    for image in images {
        contents::user(engine, image)?;
        contents::files(engine, image)?;
        contents::programs(engine, image)?;
        tls.try_bundle(engine, image)?;
    }
    Ok(())
}
