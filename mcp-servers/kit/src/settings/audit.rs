//! The settings of the audit: where records go, and whether calls wait for them.

use std::path::PathBuf;

use clap::Arg;

use super::{flag, repeated, sources::Sources};
use crate::audit::{Postgres, Settings};

const SINKS: &str = "stdout, postgres or cloudwatch-logs";

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 6] {
    [
        repeated(
            "audit",
            "SINK,...",
            "Where audit records go: stdout (every call and refusal, as JSON lines), postgres (refusals, and calls of tools \
             that change something), cloudwatch-logs (the same), or none [default: stdout]",
        ),
        flag(
            "audit-required",
            "true|false",
            "Refuse calls of tools that change something while their record cannot be stored [default: false]",
        ),
        flag(
            "audit-postgres",
            "FILE",
            "A file with the connection URI of the database for --audit postgres (a mounted Secret)",
        ),
        flag(
            "audit-postgres-ca",
            "FILE",
            "Certificates that database is trusted by, as PEM [default: those browsers trust]",
        ),
        flag(
            "audit-log-group",
            "NAME",
            "The log group for --audit cloudwatch-logs, in the region of the environment; it has to be there",
        ),
        flag("audit-writer", "NAME", "Who writes the records: the uid of the pod [default: the name of the host]"),
    ]
}

/// Reads and checks them; `None` exactly when there were problems.
pub(crate) fn audit(sources: &mut Sources) -> Option<Settings> {
    let given = sources.many("audit");
    let (mut stdout, mut wants_postgres, mut wants_logs, mut good) = (given.is_empty(), false, false, true);
    for sink in &given {
        match sink.text.as_str() {
            "stdout" => stdout = true,
            "postgres" => wants_postgres = true,
            "none" if given.len() == 1 => {}
            "cloudwatch-logs" if cfg!(feature = "cloudwatch-logs") => wants_logs = true,
            "cloudwatch-logs" => {
                good = false;
                let found = "\"cloudwatch-logs\", which this server is built without";
                let mend = "write stdout: the log agent of the node ships it to CloudWatch Logs";
                sources.problems.add(&sink.at, "stdout or postgres", found, mend);
            }
            other => {
                good = false;
                sources.problems.add(&sink.at, format!("{SINKS}, or none alone"), format!("{other:?}"), "use those");
            }
        }
    }
    let required = match sources.one("audit-required") {
        None => false,
        Some(given) => given.text.parse().unwrap_or_else(|_| {
            good = false;
            sources.problems.add(given.at, "true or false", format!("{:?}", given.text), "use one of the two");
            false
        }),
    };
    if required && !stdout && !wants_postgres && !wants_logs {
        good = false;
        sources.problems.add(
            "--audit-required",
            "a sink to keep records in",
            "none",
            "give --audit stdout, postgres or cloudwatch-logs",
        );
    }
    let log_group = group(sources, wants_logs);
    good &= log_group.is_ok();
    let log_group = log_group.unwrap_or_default();
    let uri = sources.one("audit-postgres").map(|given| (PathBuf::from(given.text), given.at));
    let ca = sources.one("audit-postgres-ca").map(|given| PathBuf::from(given.text));
    let postgres = match (wants_postgres, uri) {
        (true, Some((uri, at))) => {
            if let Err(error) = std::fs::metadata(&uri) {
                good = false;
                let found = format!("{}: {error}", uri.display());
                sources.problems.add(at, "a readable file with a connection URI", found, "correct the path");
            }
            Some(Postgres { uri, ca })
        }
        (true, None) => {
            good = false;
            let mend = "give --audit-postgres FILE, a file with postgres://user:password@host/database";
            sources.problems.add("--audit postgres", "the database it goes to", "none", mend);
            None
        }
        (false, Some((_, at))) => {
            good = false;
            sources.problems.add(
                at,
                "--audit postgres beside it",
                "a database nothing goes to",
                "add postgres to --audit",
            );
            None
        }
        (false, None) => None,
    };
    let writer = sources.one("audit-writer").map_or_else(host, |given| given.text);
    #[cfg(not(feature = "cloudwatch-logs"))]
    drop(log_group);
    let settings = Settings {
        stdout,
        postgres,
        #[cfg(feature = "cloudwatch-logs")]
        log_group,
        required,
        writer,
    };
    good.then_some(settings)
}

/// What was found was told.
#[derive(Debug)]
struct Wrong;

/// The log group, which is named exactly when records are to go there.
fn group(sources: &mut Sources, wanted: bool) -> Result<Option<String>, Wrong> {
    let given = sources.one("audit-log-group");
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-/.#".contains(letter);
    let problems = &mut sources.problems;
    match (wanted, given) {
        (true, Some(given)) if (1..=512).contains(&given.text.len()) && given.text.chars().all(allowed) => {
            return Ok(Some(given.text));
        }
        (true, Some(given)) => {
            let expected = "the name of a log group: letters, digits and _-/.#, at most 512";
            problems.add(given.at, expected, format!("{:?}", given.text), "name one that is there");
        }
        (true, None) => {
            let mend = "give --audit-log-group NAME, for example /mcp-eks/CLUSTER/audit";
            problems.add("--audit cloudwatch-logs", "the log group records go to", "none", mend);
        }
        (false, Some(given)) => {
            let mend = "add cloudwatch-logs to --audit";
            problems.add(given.at, "--audit cloudwatch-logs beside it", "a log group nothing goes to", mend);
        }
        (false, None) => return Ok(None),
    }
    Err(Wrong)
}

/// The name of this machine, which in a cluster is the pod's.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}
