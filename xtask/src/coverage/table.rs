//! Lines and covered lines by crate, from what llvm-cov exports. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};

/// Lines of code, and those that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    found: u64,
    hit: u64,
}

impl Lines {
    fn add(&mut self, other: Self) {
        self.found += other.found;
        self.hit += other.hit;
    }
}

/// Sums an export in lcov's format up by crate. `crate_of` says which crate a file counts for, if any.
pub(super) fn by_crate(lcov: &str, crate_of: impl Fn(&str) -> Option<String>) -> Result<BTreeMap<String, Lines>> {
    let mut crates: BTreeMap<String, Lines> = BTreeMap::new();
    let (mut file, mut lines) = ("", Lines::default());
    for line in lcov.lines() {
        let number = |text: &str| text.parse().with_context(|| format!("llvm-cov exported {line:?}"));
        match line.split_once(':') {
            Some(("SF", name)) => (file, lines) = (name, Lines::default()),
            Some(("LF", found)) => lines.found = number(found)?,
            Some(("LH", hit)) => lines.hit = number(hit)?,
            _ if line == "end_of_record" => {
                if let Some(name) = crate_of(file) {
                    crates.entry(name).or_default().add(lines);
                }
            }
            _ => {}
        }
    }
    Ok(crates)
}

/// The table, with all crates together in its last line.
pub(super) fn written(crates: &BTreeMap<String, Lines>) -> String {
    let mut all = Lines::default();
    for lines in crates.values() {
        all.add(*lines);
    }
    let rows = crates.iter().map(|(name, lines)| (name.as_str(), *lines)).chain([("together", all)]);
    let mut text = format!("{:16} {:>7} {:>7} {:>8}\n", "crate", "lines", "covered", "");
    for (name, lines) in rows {
        let _ = writeln!(text, "{name:16} {:>7} {:>7} {:>6} %", lines.found, lines.hit, percent(lines));
    }
    text
}

/// With one decimal, rounded down: what is not all is never 100.0.
fn percent(lines: Lines) -> String {
    let thousandths = (lines.hit * 1000).checked_div(lines.found).unwrap_or_default();
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = "SF:/r/kit/src/a.rs\nFNF:1\nLF:10\nLH:9\nend_of_record\nSF:/r/kit/src/b.rs\nLF:0\nLH:0\n\
                          end_of_record\nSF:/elsewhere.rs\nLF:100\nLH:0\nend_of_record\nSF:/r/aws/src/a.rs\nLF:3\n\
                          LH:2\nend_of_record\n";

    #[test]
    fn files_count_for_their_crate_and_others_do_not() {
        let of = |file: &str| file.strip_prefix("/r/").and_then(|rest| Some(rest.split_once('/')?.0.to_owned()));
        let crates = by_crate(EXPORT, of).unwrap();
        assert_eq!(crates["kit"], Lines { found: 10, hit: 9 });
        assert_eq!(crates["aws"], Lines { found: 3, hit: 2 });
        assert_eq!(crates.len(), 2);
        let text = written(&crates);
        assert!(text.ends_with("together              13      11   84.6 %\n"), "{text}");
        assert!(by_crate("SF:/r/a/b\nLF:ten\n", of).is_err());
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(percent(Lines { found: 10_000, hit: 9_999 }), "99.9");
        assert_eq!(percent(Lines { found: 5, hit: 5 }), "100.0");
        assert_eq!(percent(Lines::default()), "0.0");
    }
}
