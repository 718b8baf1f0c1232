//! How the health of a pod is looked at, and how long its end may take.

use mcp_crds::McpServerSpec;

use super::Problems;

/// How the health of a pod is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Seconds that the server may take to start.
    pub startup_seconds: i32,
    /// Path that answers 200 on the MCP port; an open port counts without it. None for bundled servers.
    pub path: Option<String>,
    /// Seconds between two looks.
    pub period_seconds: i32,
    /// Seconds that an answer may take.
    pub timeout_seconds: i32,
}

pub(super) fn probes(spec: &McpServerSpec, problems: &mut Problems) -> Probes {
    let probes = spec.probes.clone().unwrap_or_default();
    if probes.path.is_some() && spec.server.image.is_none() {
        problems.add("spec.probes.path", "bundled servers have probes of their own: take it out");
    }
    if probes.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        problems.add("spec.probes.path", "is not a path: begin it with a slash, for example /health");
    }
    for (name, seconds) in [
        ("startupSeconds", probes.startup_seconds),
        ("periodSeconds", probes.period_seconds),
        ("timeoutSeconds", probes.timeout_seconds),
    ] {
        if seconds < 1 {
            problems.add(format!("spec.probes.{name}"), format!("{seconds} is too short: use 1 or more"));
        }
    }
    Probes {
        startup_seconds: probes.startup_seconds,
        path: probes.path,
        period_seconds: probes.period_seconds,
        timeout_seconds: probes.timeout_seconds,
    }
}

/// The longest drain that bundled servers know.
const LONGEST_DRAIN: i32 = 3600;

/// Seconds in which running calls may end.
pub(super) fn drain(spec: &McpServerSpec, problems: &mut Problems) -> i32 {
    let drain = spec.session.clone().unwrap_or_default().drain_seconds;
    if !(0..=LONGEST_DRAIN).contains(&drain) {
        problems.add("spec.session.drainSeconds", format!("{drain} is no time to end in: use 0 to {LONGEST_DRAIN}"));
    }
    drain
}
