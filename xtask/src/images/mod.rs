//! Skeleton.
use crate::place::Place;
use anyhow::Result;
/// Options.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Also run what is in the images, and a TLS client against their CA bundle
    #[arg(long)]
    verify: bool,
    /// Only when something the images are made of has changed since the last success
    #[arg(long)]
    if_changed: bool,
}
pub(crate) fn run(_place: &Place, _options: &Options) -> Result<()> {
    anyhow::bail!("not yet")
}
