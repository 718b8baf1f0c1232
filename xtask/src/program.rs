//! Running other programs: by name, with an error that says what was run, and how to get what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fmt};

use anyhow::{Context, Result, bail};

/// The command line as a person would type it.
pub(crate) fn line(command: &Command) -> impl fmt::Display {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a program with this process's own output; fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| missing(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// What a program prints on stdout, without the last newline; its stderr is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| missing(command))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Whether a program is there and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}

/// Becomes the program: its output, signals and exit code are this process's own. Returns only when it cannot start.
pub(crate) fn become_program(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| missing(command))
}

/// Where a program lies on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Installs Debian packages when `program` is not there, or says what to type.
pub(crate) fn ensure(program: &str, packages: &[&str]) -> Result<()> {
    if on_path(program).is_some() {
        return Ok(());
    }
    let install = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !nix::unistd::geteuid().is_root() || on_path("apt-get").is_none() {
        bail!("`{program}` is needed and not on PATH. On Debian or Ubuntu: sudo {install}");
    }
    eprintln!("xtask: {program} is missing: {install}");
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // Fresh machines often carry a package list that is too old; a third-party list that fails does not matter.
    let _ = Command::new("apt-get").args(["update", "-qq"]).stdin(Stdio::null()).stdout(Stdio::null()).status();
    // Another task may be installing too, or the machine its upgrades.
    let patience = ["-o", "DPkg::Lock::Timeout=300"];
    apt.args(["install", "-y", "-qq", "--no-install-recommends"]).args(patience).args(packages).stdout(Stdio::null());
    run(&mut apt).with_context(|| format!("`{program}` could not be installed"))
}

fn missing(command: &Command) -> String {
    format!("cannot start `{}`", line(command))
}
