//! Names processes so that none is ever taken for another: a pid alone is reused by the kernel.
//!
//! In: pids, `/proc`. Out: identities, and SIGKILL to exactly those. Signals nothing whose identity it has not
//! checked in the moment before.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process: its pid, when it started, and in which boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id in this pid namespace.
    pub pid: i32,
    started: u64,
    boot: String,
}

impl Identity {
    /// Who has this pid now; none when nobody has it, or only an unburied corpse.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let started = parse_stat(&stat)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Some(Self { pid, started, boot: boot.trim().to_owned() })
    }

    /// True while that very process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// The processes it has started itself.
    #[must_use]
    pub fn children(&self) -> Vec<Identity> {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Self::of).collect()
    }

    fn kill(&self) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// All processes with the two arguments `flag value` next to each other, and `word` as another one.
#[must_use]
pub fn with_arguments(word: &str, flag: &str, value: &Path) -> Vec<Identity> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let pair = [flag.as_bytes(), value.as_os_str().as_encoded_bytes()];
        arguments.contains(&word.as_bytes()) && arguments.windows(2).any(|window| window == pair)
    })
    .filter_map(Identity::of)
    .collect()
}

/// Kills all of `processes` and waits until they are gone; gives back those that are still there at the deadline.
#[must_use]
pub fn end(processes: &[Identity], patience: Duration) -> Vec<Identity> {
    let deadline = Instant::now() + patience;
    for process in processes {
        process.kill();
    }
    loop {
        let alive: Vec<Identity> = processes.iter().filter(|process| process.is_alive()).cloned().collect();
        if alive.is_empty() || Instant::now() >= deadline {
            return alive;
        }
        sleep(Duration::from_millis(10));
    }
}

/// Start time in clock ticks (field 22 of proc(5) stat); none for zombies and the dead. The second field is the
/// program's name in brackets, which may itself hold brackets and spaces.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    match fields.first()? {
        &"Z" | &"X" => None,
        _ => fields.get(19)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_recycled_pid_is_somebody_else() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        let other = Identity { started: own.started + 1, ..own.clone() };
        assert!(!other.is_alive());
        assert!(end(&[other], Duration::from_secs(1)).is_empty());
        assert!(own.is_alive());
    }

    #[test]
    fn a_process_is_found_by_its_arguments_and_ended() {
        let marker = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo; read line", "supervise", "--dir"]).arg(marker.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // `spawn` returns in the middle of exec, when the kernel does not show arguments yet: its first words come after.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let found = with_arguments("supervise", "--dir", marker.path());
        assert_eq!(found.iter().map(|process| process.pid).collect::<Vec<_>>(), [i32::try_from(child.id()).unwrap()]);
        assert!(with_arguments("supervise", "--dir", Path::new("/elsewhere")).is_empty());
        assert!(end(&found, Duration::from_secs(5)).is_empty());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn brackets_in_a_program_name_do_not_confuse() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse_stat(&format!("42 (a) b) {fields}")), Some(4711));
        assert_eq!(parse_stat(&format!("42 (gone) {}", fields.replacen('S', "Z", 1))), None);
    }
}
