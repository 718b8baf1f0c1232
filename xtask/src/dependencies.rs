//! What was compiled of dependencies, shared by the clones of a machine: a fresh clone compiles its own crates only.
//!
//! In: the build directory of a clone. Out: a copy of it without the workspace's members, under the cache, one for each
//! state of the manifest, the lock file, cargo's configuration and the compiler; and from there a clone's build directory.
//! It may not touch what cargo decides: a unit that does not fit has another hash, and cargo compiles it as always.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cargo::cargo;
use crate::place::Place;
use crate::program;

/// What decides which dependencies are compiled, and how.
const STATE: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// Cargo's folders in a profile, in the order they are copied: a unit whose fingerprint is there is complete.
const FOLDERS: [&str; 3] = ["deps", "build", ".fingerprint"];

/// Brings what the machine has of this clone's dependencies, unless the clone has compiled some itself.
pub(crate) fn take(place: &Place) -> Result<()> {
    let (store, clone) = (store(place)?, Clone::find(place)?);
    if !store.is_dir() || clone.has_members()? {
        return Ok(());
    }
    eprintln!("xtask: this clone is new: dependencies come from {}", store.display());
    for profile in clone.profiles() {
        copy_profile(&store.join(&profile), &clone.build.join(&profile), &BTreeSet::new())?;
    }
    Ok(())
}

/// Stores what this clone compiled of dependencies, unless that is there already; the store of an earlier state goes.
pub(crate) fn keep(place: &Place) -> Result<()> {
    let (store, clone) = (store(place)?, Clone::find(place)?);
    if store.is_dir() {
        println!("dependencies are in {} already", store.display());
        return Ok(());
    }
    let all = store.parent().context("the store has no parent directory")?;
    let part = all.with_file_name("dependencies.part");
    remove(&part)?;
    for profile in clone.profiles() {
        let from = clone.build.join(&profile);
        let members = units_of(&clone.members, &from)?;
        copy_profile(&from, &part.join(&profile), &members)?;
    }
    remove(all)?;
    fs::create_dir_all(all).with_context(|| format!("cannot make {}", all.display()))?;
    fs::rename(&part, &store).with_context(|| format!("cannot make {}", store.display()))?;
    println!("dependencies are kept in {}", store.display());
    Ok(())
}

fn store(place: &Place) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for file in STATE {
        let text = fs::read(place.root.join(file)).with_context(|| format!("cannot read {file}"))?;
        hash.update(u64::try_from(text.len()).unwrap_or_default().to_le_bytes());
        hash.update(text);
    }
    hash.update(program::output(place.command("rustc").arg("-vV"))?);
    let name = format!("{:x}", hash.finalize());
    Ok(place.cache.join("dependencies").join(name.get(..32).unwrap_or(&name)))
}

/// What cargo says of this clone.
struct Clone {
    build: PathBuf,
    members: Vec<String>,
    target: String,
}

impl Clone {
    fn find(place: &Place) -> Result<Self> {
        let words = ["metadata", "--no-deps", "--format-version", "1", "--locked"];
        let told: Value = serde_json::from_str(&program::output(&mut cargo(place, &words))?)
            .context("what `cargo metadata` printed is not JSON")?;
        let build = told.get("build_directory").and_then(Value::as_str);
        let build = build.context("`cargo metadata` names no build_directory: cargo 1.91 or newer is needed")?;
        let packages = told.get("packages").and_then(Value::as_array).into_iter().flatten();
        let members = packages.filter_map(|it| it.get("name").and_then(Value::as_str)).map(str::to_owned).collect();
        let target = program::output(place.command("rustc").args(["--print", "host-tuple"]))?;
        Ok(Self { build: PathBuf::from(build), members, target })
    }

    /// The dev profile: of programs that run while compiling, and of everything else.
    fn profiles(&self) -> [PathBuf; 2] {
        [PathBuf::from("debug"), Path::new(&self.target).join("debug")]
    }

    /// Whether more than this program was compiled here.
    fn has_members(&self) -> Result<bool> {
        let others: Vec<_> = self.members.iter().filter(|it| *it != env!("CARGO_PKG_NAME")).cloned().collect();
        for profile in self.profiles() {
            if !units_of(&others, &self.build.join(profile))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The hashes of every unit of some packages that was compiled in a profile.
fn units_of(packages: &[String], profile: &Path) -> Result<BTreeSet<String>> {
    let units = names(&profile.join(".fingerprint"))?;
    let theirs = |unit: &&String| unit.rsplit_once('-').is_some_and(|(name, _)| packages.iter().any(|it| it == name));
    Ok(units.iter().filter(theirs).filter_map(|unit| hash_of(unit)).map(str::to_owned).collect())
}

/// Copies cargo's folders of a profile but for some units. What is there already is written over: cargo compiles anew what
/// is older than what it depends on, and this program's own dependencies were compiled a moment ago.
fn copy_profile(from: &Path, to: &Path, without: &BTreeSet<String>) -> Result<()> {
    for folder in FOLDERS {
        for name in names(&from.join(folder))? {
            if hash_of(&name).is_none_or(|hash| !without.contains(hash)) {
                copy(&from.join(folder).join(&name), &to.join(folder).join(&name))?;
            }
        }
    }
    Ok(())
}

/// Cargo's name of a unit: `name-0123456789abcdef`, with an ending in `deps`.
fn hash_of(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    let hash = stem.rsplit_once('-')?.1;
    (hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit())).then_some(hash)
}

/// Names in a directory; none where it is not there.
fn names(directory: &Path) -> Result<Vec<String>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned())).collect()
}

/// Copies a file, or all of a directory, with the times that cargo compares.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        names(from)?.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)))?;
        return Ok(());
    }
    let copied = || -> std::io::Result<()> {
        to.parent().map(fs::create_dir_all).transpose()?;
        fs::copy(from, to)?;
        File::options().append(true).open(to)?.set_modified(from.metadata()?.modified()?)
    };
    copied().with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_unit_is_found_in_each_of_its_names() {
        for name in ["serde-0123456789abcdef", "libserde-0123456789abcdef.rlib", "serde-0123456789abcdef.d"] {
            assert_eq!(hash_of(name), Some("0123456789abcdef"), "{name}");
        }
        for name in ["serde", "serde-derive", "serde-0123456789abcdeg", "libserde.rlib"] {
            assert_eq!(hash_of(name), None, "{name}");
        }
    }

    #[test]
    fn members_stay_behind_and_the_times_are_those_of_the_store_whatever_is_there() {
        let root = std::env::temp_dir().join(format!("xtask-dependencies-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        let (own, foreign) = ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb");
        for (package, hash) in [("mcp-crds", own), ("serde", foreign)] {
            for path in [format!(".fingerprint/{package}-{hash}/lib"), format!("deps/lib{package}-{hash}.rlib")] {
                fs::create_dir_all(from.join(&path).parent().unwrap()).unwrap();
                fs::write(from.join(&path), "compiled here").unwrap();
            }
        }
        let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        let rlib = format!("deps/libserde-{foreign}.rlib");
        File::options().append(true).open(from.join(&rlib)).unwrap().set_modified(old).unwrap();
        let print = format!(".fingerprint/serde-{foreign}/lib");
        fs::create_dir_all(to.join(&print).parent().unwrap()).unwrap();
        fs::write(to.join(&print), "compiled there").unwrap();

        let members = units_of(&["mcp-crds".to_owned()], &from).unwrap();
        assert_eq!(members, BTreeSet::from([own.to_owned()]));
        copy_profile(&from, &to, &members).unwrap();

        assert_eq!(names(&to.join("deps")).unwrap(), [format!("libserde-{foreign}.rlib")]);
        assert_eq!(names(&to.join(".fingerprint")).unwrap(), [format!("serde-{foreign}")]);
        assert_eq!(to.join(&rlib).metadata().unwrap().modified().unwrap(), old);
        assert_eq!(fs::read_to_string(to.join(&print)).unwrap(), "compiled here");
        fs::remove_dir_all(root).unwrap();
    }
}
