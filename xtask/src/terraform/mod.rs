//! Terraform: format, tests of every module and environment, fresh READMEs, checkov; and with `--apply` the real thing
//! against an emulator.
//!
//! In: terraform/ as it lies there. Out: steps and their results. Of AWS it needs nothing: the provider is mocked, or talks
//! to MiniStack on 127.0.0.1. What it downloads and writes lies under the cache, but for READMEs.

mod cli;
mod fingerprint;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::place::Place;
use crate::program;
use crate::step::{self, Step};
use crate::venv::Environment;
pub(crate) use cli::{Terraform, services};

const CHECKOV: &str = "checkov installed";
const PARLIAMENT: &str = "parliament installed";
const MINISTACK: &str = "ministack installed";
const MOTO: &str = "moto installed";
const AWS_CLI: &str = "awscli installed";
const SERVER: &str = "mcp-aws built";
const APPLY: &str = "terraform apply";

/// What `cargo xtask terraform` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Apply `dev` against MiniStack, change it, destroy it, and look at the policies it made (minutes)
    #[arg(long)]
    apply: bool,
    /// Write the generated part of every README, and check nothing
    #[arg(long, conflicts_with = "apply")]
    readme: bool,
    /// Only when a file of terraform/ or Terraform itself has changed since the last success
    #[arg(long, conflicts_with_all = ["apply", "readme"])]
    if_changed: bool,
}

/// Runs the steps, having found Terraform and its provider.
pub(crate) fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let roots = roots(place)?;
    let checkov = Environment::of(place, "checkov", "xtask/terraform/checkov.txt")?;
    let mut steps = vec![Step::new(CHECKOV, checkov.install(place))];
    if options.readme {
        steps.push(readme(place, &checkov, &roots, false));
        return step::run_all(place, steps);
    }
    let terraform = Terraform::find(place)?;
    if options.apply {
        return step::run_all(place, apply(place, &terraform)?);
    }
    // One for all clones: it says what was checked, not where.
    let seen = place.cache.join("terraform/passed");
    let version =
        program::output(place.command("terraform").args(["version", "-json"]).env_remove("TF_CLI_CONFIG_FILE"))?;
    let fingerprint = fingerprint::of(&place.root, &version)?;
    if options.if_changed && fs::read_to_string(&seen).is_ok_and(|it| it == fingerprint) {
        println!("terraform: not checked: its files are those of the last success");
        return Ok(ExitCode::SUCCESS);
    }
    let mut format = terraform.command(place, "fmt");
    format.args(["fmt", "-check", "-diff", "-recursive", "terraform"]);
    steps.push(Step::new("terraform fmt", [format]));
    steps.extend(roots.iter().map(|root| terraform.tests(place, root)));
    steps.push(readme(place, &checkov, &roots, true));
    let mut scan = checkov.tool(place, "checkov");
    scan.args(["--directory", "terraform", "--framework", "terraform", "--quiet", "--compact", "--skip-download"]);
    steps.push(Step::new("checkov", [scan]).needs(CHECKOV));
    let code = step::run_all(place, steps)?;
    if code == ExitCode::SUCCESS {
        fs::write(&seen, fingerprint).with_context(|| format!("cannot write {}", seen.display()))?;
    }
    Ok(code)
}

fn readme(place: &Place, checkov: &Environment, roots: &[PathBuf], check: bool) -> Step {
    let mut command = checkov.tool(place, "python");
    command.arg("xtask/terraform/readme.py").args(check.then_some("--check")).args(roots);
    Step::new("terraform READMEs", [command]).needs(CHECKOV)
}

/// `dev` on an emulator, and parliament's word on the policies that came out.
fn apply(place: &Place, terraform: &Terraform) -> Result<Vec<Step>> {
    let ministack = Environment::of(place, "ministack", "xtask/terraform/ministack.txt")?;
    let moto = Environment::of(place, "moto", "e2e/emulators/moto.txt")?;
    let aws_cli = Environment::of(place, "awscli", "xtask/terraform/awscli.txt")?;
    let parliament = Environment::of(place, "parliament", "xtask/terraform/parliament.txt")?;
    let state = terraform.data.join("applied.json");
    let this = std::env::current_exe().context("where this program lies is not known")?;
    let mut run = ministack.tool(place, "python");
    run.args(["xtask/terraform/apply.py", "dev"]).arg(&state).arg(moto.tool(place, "moto_server").get_program());
    run.arg(place.bin_dir()?.join("mcp-aws")).arg(this).arg(terraform.data.join("apply"));
    terraform.settings(&mut run, "apply");
    // The project's own AWS CLI, of the version that is pinned, before any other.
    let program = aws_cli.tool(place, "aws");
    let others = std::env::var_os("PATH").unwrap_or_default();
    let own = Path::new(program.get_program()).parent().map(Path::to_path_buf);
    run.env("PATH", std::env::join_paths(own.into_iter().chain(std::env::split_paths(&others)))?);
    let mut judge = parliament.tool(place, "python");
    judge.arg("xtask/terraform/policies.py").arg(&state);
    Ok(vec![
        Step::new(MINISTACK, ministack.install(place)),
        Step::new(MOTO, moto.install(place)).needs(MINISTACK),
        Step::new(AWS_CLI, aws_cli.install(place)).needs(MOTO),
        Step::new(PARLIAMENT, parliament.install(place)).needs(AWS_CLI),
        Step::new(SERVER, [cargo(place, &["build", "--locked", "--workspace", "--bin", "mcp-aws"])]).needs(PARLIAMENT),
        Step::new(APPLY, [run]).needs(SERVER),
        Step::new("parliament", [judge]).needs(APPLY),
    ])
}

/// Every module and environment, relative to the repository, in order.
fn roots(place: &Place) -> Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for kind in ["terraform/modules", "terraform/environments"] {
        let path = place.root.join(kind);
        let before = roots.len();
        for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))? {
            let entry = entry?;
            if entry.path().is_dir() {
                roots.push(Path::new(kind).join(entry.file_name()));
            }
        }
        // No directory, no step: an empty list must not count as passed.
        if roots.len() == before {
            bail!("{} holds nothing to check", path.display());
        }
    }
    roots.sort();
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::find().unwrap()
    }

    /// `prod` differs from `dev` in values alone.
    #[test]
    fn the_environments_share_every_file_but_their_values() {
        let environments = place().root.join("terraform/environments");
        let names = |environment: &str| {
            let entries = fs::read_dir(environments.join(environment)).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            // An override is a person's own: `aws up --backend-config` writes one.
            let shared =
                |it: &String| Path::new(it).extension().is_some_and(|it| it == "tf") && !it.ends_with("_override.tf");
            let mut names: Vec<_> = names.filter(shared).collect();
            names.sort();
            names
        };
        assert_eq!(names("dev"), names("prod"));
        for name in names("dev") {
            let read = |environment: &str| fs::read_to_string(environments.join(environment).join(&name)).unwrap();
            assert_eq!(read("dev"), read("prod"), "{name} differs");
        }
    }
}
