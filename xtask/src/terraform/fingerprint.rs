//! What the checks look at, as one number.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The files and directories that decide whether the checks pass.
const INGREDIENTS: [&str; 3] = ["terraform", "xtask/terraform", "config/iam"];

/// Pages that tests of modules read: the alarms' metrics are looked up there.
const PAGES: [&str; 2] = ["docs/servers/metrics.md", "docs/reference/metrics.md"];

/// A digest of the ingredients' names and contents, and of the program that would check them.
pub(super) fn of(root: &Path, version: &str) -> Result<String> {
    let mut files: Vec<_> = PAGES.iter().map(|page| root.join(page)).collect();
    for name in INGREDIENTS {
        collect(&root.join(name), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    digest.update(version);
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(format!("{} {}\n", file.strip_prefix(root).unwrap_or(&file).display(), content.len()));
        digest.update(content);
    }
    Ok(format!("{:x}", digest.finalize()))
}

/// Every file below a directory but what Terraform leaves there itself.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with(".terraform") {
                collect(&path, files)?;
            }
        } else if !path.ends_with(".terraform.lock.hcl") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn a_change_of_one_file_is_seen() {
        let root = std::env::temp_dir().join(format!("xtask-terraform-{}", std::process::id()));
        for name in INGREDIENTS {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for page in PAGES {
            fs::create_dir_all(root.join(page).parent().unwrap()).unwrap();
            fs::write(root.join(page), page).unwrap();
        }
        fs::write(root.join("terraform/main.tf"), "a").unwrap();
        let before = of(&root, "1").unwrap();
        assert_eq!(before, of(&root, "1").unwrap());
        assert_ne!(before, of(&root, "2").unwrap());
        fs::write(root.join("terraform/main.tf"), "b").unwrap();
        assert_ne!(before, of(&root, "1").unwrap());
        fs::write(root.join("terraform/main.tf"), "a").unwrap();
        assert_eq!(before, of(&root, "1").unwrap());
        fs::write(root.join(PAGES[0]), "less").unwrap();
        assert_ne!(before, of(&root, "1").unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_repository_has_every_ingredient() {
        of(&Place::find().unwrap().root, "1").unwrap();
    }
}
