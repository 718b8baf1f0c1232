//! The program `terraform`, its provider, and settings that keep both to a mirror and out of the work tree.
//!
//! In: PATH, `TF_PLUGIN_DIR`, the usual places of mirrors. Out: commands; or a word on how to get what is missing.

use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::program;
use crate::step::Step;

/// The provider, as mirrors lay it out.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws/5.100.0";

/// Where mirrors usually lie, beside `TF_PLUGIN_DIR` and the user's own directory.
const MIRRORS: [&str; 3] = ["/opt/tf-plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"];

const HOW_TO_GET_TERRAFORM: &str = "Terraform 1.11 or newer is needed: install the package `terraform` as \
    https://developer.hashicorp.com/terraform/install says, and have it on PATH";

/// The program, with settings that keep it to the mirror and out of the work tree.
pub(crate) struct Terraform {
    config: PathBuf,
    pub(crate) data: PathBuf,
}

impl Terraform {
    pub(crate) fn find(place: &Place) -> Result<Self> {
        if program::on_path("terraform").is_none() {
            bail!(HOW_TO_GET_TERRAFORM);
        }
        // Two clones share the cache: each has initialised directories of its own.
        let clone = format!("{:x}", Sha256::digest(place.root.to_string_lossy().as_bytes()));
        let data = place.cache.join("terraform").join(clone.get(..12).unwrap_or(&clone));
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let mirror = mirror(place)?;
        let config = data.join("cli.tfrc");
        let text = format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            mirror.display()
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        Ok(Self { config, data })
    }

    /// Takes the provider from the mirror, asks nothing, and tells nobody which version runs.
    pub(crate) fn mirrored(&self, command: &mut Command) {
        command.env("TF_CLI_CONFIG_FILE", &self.config);
        command.env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0").env("CHECKPOINT_DISABLE", "1");
    }

    pub(super) fn settings(&self, command: &mut Command, name: &str) {
        self.mirrored(command);
        command.env("TF_DATA_DIR", self.data.join(name));
        // Nothing here may find its way to an account, whatever the person who runs it is signed in to.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
    }

    pub(super) fn command(&self, place: &Place, name: &str) -> Command {
        let mut command = place.command("terraform");
        self.settings(&mut command, name);
        command
    }

    /// `test` validates what it runs; `init` may not touch the lock file of an environment.
    pub(super) fn tests(&self, place: &Place, root: &Path) -> Step {
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let in_root = |words: &[&str]| {
            let mut command = self.command(place, &name);
            command.arg(format!("-chdir={}", root.display())).args(words);
            command
        };
        let mut init = in_root(&["init", "-no-color", "-backend=false"]);
        let mut commands = Vec::new();
        if place.root.join(root).join(".terraform.lock.hcl").exists() && root.starts_with("terraform/environments") {
            init.arg("-lockfile=readonly");
            commands.push(in_root(&["validate", "-no-color"]));
        }
        commands.push(in_root(&["test", "-no-color"]));
        Step::new(format!("terraform {name}"), iter::once(init).chain(commands))
    }
}

/// The services that an environment can send elsewhere, as its providers.tf has them.
pub(crate) fn services(provider: &str) -> impl Iterator<Item = &str> {
    provider.lines().filter_map(|line| Some(line.split_once("= lookup(endpoints")?.0.trim()))
}

/// A directory with the provider in it; where there is none, Terraform fetches it into the cache, once.
fn mirror(place: &Place) -> Result<PathBuf> {
    let own = place.cache.join("terraform/plugins");
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".terraform.d/plugins"));
    let given = env::var_os("TF_PLUGIN_DIR").filter(|it| !it.is_empty()).map(PathBuf::from);
    let known = MIRRORS.iter().map(PathBuf::from).chain(home).chain([own.clone()]);
    let holds = |directory: &PathBuf| directory.join(PROVIDER).is_dir() || has_archive(directory);
    if let Some(given) = given {
        if !holds(&given) {
            bail!("TF_PLUGIN_DIR is {}, and there is no {PROVIDER} in it", given.display());
        }
        return Ok(given);
    }
    if let Some(found) = known.into_iter().find(holds) {
        return Ok(found);
    }
    eprintln!("xtask: no mirror holds the provider: fetching it from its registry into {}", own.display());
    let mut fetch = place.command("terraform");
    fetch.args(["-chdir=terraform/environments/dev", "providers", "mirror"]).arg(&own);
    program::run(&mut fetch).with_context(|| {
        format!(
            "the provider hashicorp/aws 5.100.0 is needed, and its registry cannot be reached. On a machine that reaches it \
             run `terraform providers mirror DIR` in terraform/environments/dev, bring DIR here, and set TF_PLUGIN_DIR=DIR \
             (it holds DIR/{PROVIDER})"
        )
    })?;
    Ok(own)
}

/// `terraform providers mirror` writes archives beside an index, not directories.
fn has_archive(directory: &Path) -> bool {
    directory.join("registry.terraform.io/hashicorp/aws/5.100.0.json").is_file()
}
