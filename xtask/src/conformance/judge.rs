//! What the suite said, and whether that is good: pure.
//!
//! A required scenario passes, or is a known exception. An exception that passes, or that no scenario answers to, is
//! stale, and as bad as a failure: the list must not outlive its reasons.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};

/// How one scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    server: &'static str,
    revision: &'static str,
    name: String,
    passed: u32,
    failed: u32,
    required: bool,
}

impl Scenario {
    /// The scenarios in the summary of a run of all requirements.
    pub(super) fn of_requirements(server: &'static str, revision: &'static str, said: &str) -> Result<Vec<Self>> {
        let Some((_, summary)) = said.split_once("=== SUMMARY ===") else {
            bail!("the suite came to no summary of {server} {revision}; it said:\n{said}");
        };
        let (scored, rest) = summary.split_once("\nTotal: ").unwrap_or((summary, ""));
        // "  ✗ name (reason)"
        let unscored: BTreeSet<&str> = rest
            .lines()
            .filter(|line| line.starts_with("  "))
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        let mut scenarios = Vec::new();
        // "✓ name: 2 passed, 0 failed"
        for line in scored.lines().filter(|line| line.starts_with(['✓', '✗'])) {
            let read = || {
                let (name, counts) = line.get('✓'.len_utf8()..)?.trim().split_once(": ")?;
                let (passed, failed) = counts.split_once(" passed, ")?;
                let failed = failed.split(' ').next()?.parse().ok()?;
                Some((name.to_owned(), passed.parse().ok()?, failed))
            };
            let (name, passed, failed) = read().with_context(|| format!("the suite's line {line:?} is new to us"))?;
            let required = !unscored.contains(name.as_str());
            // A cross without a failed check is a scenario that broke off.
            let failed = if line.starts_with('✗') { u32::max(failed, 1) } else { failed };
            scenarios.push(Self { server, revision, name, passed, failed, required });
        }
        if scenarios.is_empty() {
            bail!("the suite ran nothing for {server} {revision}; it said:\n{said}");
        }
        Ok(scenarios)
    }

    /// A scenario that was run alone; it counts as required.
    pub(super) fn alone(server: &'static str, revision: &'static str, name: &str, said: &str) -> Result<Self> {
        // "Passed: 2/2, 0 failed, 0 warnings"
        let read = || {
            let (passed, rest) = said.rsplit_once("Passed: ")?.1.split_once('/')?;
            let failed = rest.split_once(", ")?.1.split(' ').next()?;
            Some((passed.parse().ok()?, failed.parse().ok()?))
        };
        let (passed, failed) = read().with_context(|| format!("the suite did not run {name}; it said:\n{said}"))?;
        Ok(Self { server, revision, name: name.to_owned(), passed, failed, required: true })
    }

    fn key(&self) -> (String, String, String) {
        (self.server.to_owned(), self.revision.to_owned(), self.name.clone())
    }
}

/// The known exceptions.
#[derive(Debug, Default)]
pub(super) struct Exceptions(BTreeSet<(String, String, String)>);

impl Exceptions {
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut exceptions = BTreeSet::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let (Some(server), Some(revision), Some(name), Some(_reason)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                bail!("exception {line:?}: expected server, revision, scenario and a reason");
            };
            exceptions.insert((server, revision, name));
        }
        Ok(Self(exceptions))
    }
}

/// The end of a run.
#[derive(Debug)]
pub(super) struct Verdict {
    lines: Vec<String>,
    passed: usize,
    checks: u32,
    empty: usize,
    known: usize,
    failed: usize,
    stale: usize,
}

impl Verdict {
    pub(super) const fn is_good(&self) -> bool {
        self.failed == 0 && self.stale == 0 && self.passed > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(formatter, "{line}")?;
        }
        let Self { passed, checks, empty, known, failed, stale, .. } = self;
        write!(
            formatter,
            "conformance: {passed} scenarios passed ({checks} checks), {empty} checked nothing, {known} known exceptions, \
             {stale} stale exceptions, {failed} failed"
        )
    }
}

/// Weighs what was seen against what is known.
pub(super) fn judge(seen: &[Scenario], exceptions: &Exceptions) -> Verdict {
    let mut verdict = Verdict { lines: Vec::new(), passed: 0, checks: 0, empty: 0, known: 0, failed: 0, stale: 0 };
    let mut left = exceptions.0.clone();
    for scenario in seen.iter().filter(|scenario| scenario.required) {
        // A server may be judged more than once, with other settings.
        let known = exceptions.0.contains(&scenario.key());
        left.remove(&scenario.key());
        let Scenario { server, revision, name, passed, failed, .. } = scenario;
        let told = format!("{server} {revision} {name}: {passed} checks passed, {failed} failed");
        match (*failed > 0, known) {
            (true, true) => verdict.known += 1,
            (true, false) => {
                verdict.failed += 1;
                verdict.lines.push(format!("FAILED  {told}"));
            }
            (false, true) => {
                verdict.stale += 1;
                verdict.lines.push(format!("STALE   {told}: take it off the exceptions"));
            }
            (false, false) if *passed == 0 => verdict.empty += 1,
            (false, false) => {
                verdict.passed += 1;
                verdict.checks += passed;
            }
        }
    }
    for (server, revision, name) in left {
        verdict.stale += 1;
        verdict.lines.push(format!("STALE   {server} {revision} {name}: no such scenario was run"));
    }
    for scenario in seen.iter().filter(|scenario| !scenario.required) {
        let Scenario { server, revision, name, passed, failed, .. } = scenario;
        verdict.lines.push(format!("unscored {server} {revision} {name}: {passed} checks passed, {failed} failed"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "noise\n=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ sampling: 1 passed, 1 failed\n\
                        ✓ streams: 0 passed, 0 failed\n✗ tasks: 0 passed, 3 failed\n\nTotal: 3 passed, 4 failed\n\n\
                        Not scored for R: 1 scenario(s) run\n  ✗ tasks (extension)\n";

    fn verdict(exceptions: &str) -> Verdict {
        judge(&Scenario::of_requirements("s", "R", SAID).unwrap(), &Exceptions::read(exceptions).unwrap())
    }

    #[test]
    fn a_failure_is_a_failure_unless_it_is_known() {
        let unknown = verdict("# none\n");
        assert!(!unknown.is_good());
        assert_eq!((unknown.passed, unknown.empty, unknown.known, unknown.failed), (1, 1, 0, 1));
        let known = verdict("s R sampling it needs a session\n");
        assert!(known.is_good(), "{known}");
        assert!(known.to_string().ends_with("1 known exceptions, 0 stale exceptions, 0 failed"), "{known}");
    }

    #[test]
    fn an_exception_that_has_no_reason_any_more_is_told() {
        for stale in ["s R ping why\ns R sampling why\n", "s R gone why\ns R sampling why\n"] {
            assert!(!verdict(stale).is_good(), "{stale}");
        }
        assert!(Exceptions::read("s R sampling\n").is_err(), "without a reason");
    }

    #[test]
    fn a_suite_that_says_nothing_has_not_passed() {
        assert!(Scenario::of_requirements("s", "R", "Error: no server").is_err());
        assert!(Scenario::of_requirements("s", "R", "=== SUMMARY ===\n\nTotal: 0 passed, 0 failed").is_err());
        assert!(Scenario::alone("s", "R", "ping", "Unknown scenario").is_err());
        assert_eq!(Scenario::alone("s", "R", "ping", "Passed: 3/4, 1 failed, 0 warnings").unwrap().failed, 1);
        assert!(!judge(&[], &Exceptions::default()).is_good());
    }
}
