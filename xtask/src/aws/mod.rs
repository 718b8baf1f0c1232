//! `make aws-plan`, `make aws-up`, `make aws-down`: an environment of terraform/ in an account, or in an emulator.
//!
//! In: the environment's files, the caller's credentials. Out: what would change, or what changed and what to type next; or a
//! refusal that names what is missing: programs and credentials first, then all quotas. It makes what Terraform describes and nothing else: images, cluster
//! add-ons and the operator are the commands that it prints.

mod next;
mod outcome;
mod quota;
mod ready;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::program;
use outcome::Plan;
use session::Session;

/// What to do with an environment.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Task {
    /// Say what would change, and what is missing for it; change nothing
    Plan(Options),
    /// Make the environment, or bring it to what its files say; the second time it changes nothing
    Up(Options),
    /// Destroy the environment
    Down {
        #[command(flatten)]
        options: Options,
        /// The name of what is destroyed, as terraform.tfvars has it
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

/// Which environment, and where it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A directory of terraform/environments
    #[arg(long, default_value = "dev")]
    environment: String,
    /// Keep the state in S3: bucket=…, key=…, region=…; repeat it. Without it the state is a file beside the environment
    #[arg(long, value_name = "KEY=VALUE")]
    backend_config: Vec<String>,
    /// Speak to an emulator instead of AWS: an address for everything, or SERVICE=URL for one service; repeat it
    #[arg(long, value_name = "URL|SERVICE=URL", conflicts_with = "backend_config")]
    emulator: Vec<String>,
    /// Where an emulator's state is kept [default: the cache]
    #[arg(long, value_name = "DIRECTORY", requires = "emulator")]
    state_dir: Option<PathBuf>,
}

pub(crate) fn run(place: &Place, task: Task) -> Result<ExitCode> {
    match task {
        Task::Plan(options) => plan(&Session::new(place, &options)?).map(drop),
        Task::Up(options) => up(&Session::new(place, &options)?),
        Task::Down { options, confirm } => down(&Session::new(place, &options)?, confirm.as_deref()),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// What would change, looked at before anything does: what the account has no room for is refused here.
fn plan(session: &Session<'_>) -> Result<Plan> {
    refuse(&ready::missing(session), session)?;
    session.init()?;
    program::run(session.terraform(&["plan", "-input=false"]).arg(session.plan_argument()).args(session.variables()))?;
    let plan = Plan::read(&program::output(session.terraform(&["show", "-json"]).arg(session.plan_file()))?)?;
    let (missing, unknown) = quota::missing(session, &plan);
    for quota in unknown {
        eprintln!("xtask: not known: {quota}");
    }
    refuse(&missing, session)?;
    println!("{}: {plan}", session.name()?);
    Ok(plan)
}

fn up(session: &Session<'_>) -> Result<()> {
    if plan(session)?.changes_nothing() {
        println!("{}: nothing to do", session.name()?);
    } else {
        program::run(session.terraform(&["apply", "-input=false"]).args(session.state()).arg(session.plan_file()))?;
    }
    let outputs = program::output(session.terraform(&["output", "-json"]).args(session.state()))?;
    print!("{}", next::Next::read(&outputs)?);
    Ok(())
}

fn down(session: &Session<'_>, confirmed: Option<&str>) -> Result<()> {
    let name = session.name()?;
    if confirmed != Some(name.as_str()) {
        bail!("this destroys {name} with everything in it. To do so: cargo xtask aws down --confirm {name}");
    }
    let mut missing = ready::missing(session);
    if missing.is_empty() {
        missing = ready::made_by_controllers(session, &name);
    }
    refuse(&missing, session)?;
    session.init()?;
    program::run(
        session
            .terraform(&["destroy", "-input=false", "-auto-approve"])
            .args(session.state())
            .args(session.variables()),
    )?;
    println!("{name}: destroyed");
    Ok(())
}

fn refuse(missing: &[String], session: &Session<'_>) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = missing.iter().map(|it| format!("  - {it}")).collect();
    bail!("{} was left as it is; missing:\n{}", session.environment().display(), list.join("\n"))
}
