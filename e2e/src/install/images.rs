//! The fast local images: the binaries as cargo built them, FROM scratch, tagged by content.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::image::{Image, Packed};

/// Names the servers in the one image that holds them all; this image has the same.
const DOCKERFILE: &str = include_str!("../../../Dockerfile.servers");

/// The two images and their archives.
#[derive(Clone, Debug)]
pub struct Images {
    /// The operator's.
    pub operator: Packed,
    /// Archive of the operator's.
    pub operator_archive: PathBuf,
    /// That of the tool servers.
    pub servers: Packed,
    /// Archive of that of the tool servers.
    pub servers_archive: PathBuf,
}

impl Images {
    /// Packs both images into `target`, under names that say what is inside: other binaries, another tag.
    pub fn pack(bin_dir: &Path, target: &Path) -> Result<Self> {
        let (operator, operator_archive) = pack("mcp-eks-operator", &["mcp-operator"], bin_dir, target, |image| {
            image.entrypoint(["/usr/local/bin/mcp-operator"])
        })?;
        let (servers, servers_archive) =
            pack("mcp-eks-servers", &servers(), bin_dir, target, |image| image.command(["mcp-filesystem", "--help"]))?;
        Ok(Self { operator, operator_archive, servers, servers_archive })
    }
}

/// The bundled servers, as `Dockerfile.servers` lists them.
#[must_use]
pub fn servers() -> Vec<&'static str> {
    let line = DOCKERFILE.lines().find_map(|line| line.strip_prefix("ARG SERVERS="));
    line.unwrap_or_default().trim_matches('"').split_whitespace().collect()
}

fn pack(
    name: &str,
    binaries: &[&str],
    bin_dir: &Path,
    target: &Path,
    finish: impl Fn(Image) -> Image,
) -> Result<(Packed, PathBuf)> {
    let tag = content_hash(binaries, bin_dir)?;
    let mut image = Image::new(format!("localhost/{name}:{tag}")).base();
    for binary in binaries {
        image = image.file(bin_dir.join(binary), &format!("/usr/local/bin/{binary}"), 0o755);
    }
    // One file a name: an older build's archive is overwritten, not kept.
    let archive = target.join(format!("{name}.tar"));
    let packed = finish(image).pack(&archive)?;
    Ok((packed, archive))
}

fn content_hash(binaries: &[&str], bin_dir: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for binary in binaries {
        let path = bin_dir.join(binary);
        let mut file = File::open(&path).with_context(|| {
            format!("{} is not built: run `cargo xtask up`, which builds it, or give --bin-dir", path.display())
        })?;
        io::copy(&mut file, &mut digest).with_context(|| format!("read {}", path.display()))?;
    }
    let hex = digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok(hex.get(..12).unwrap_or(&hex).to_owned())
}
