//! Walks chains and names what is wrong with them. Knows lines and checkpoints, and not where they come from.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use super::record::{GENESIS, hex};

/// Findings that are told one by one.
const FINDINGS: usize = 50;
/// How far back a line may be there again: what a writer that got no answer sends a second time.
const AGAIN: usize = 256;

/// What a line says of its place.
#[derive(Deserialize)]
struct Place {
    kind: String,
    chain: String,
    sequence: u64,
    previous: String,
    hash: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    lost: u64,
}

/// What a checkpoint says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Checkpoint {
    kind: String,
    pub(super) number: u64,
    chain: String,
    sequence: u64,
    head: String,
    previous: String,
    pub(super) hash: String,
}

impl Checkpoint {
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|it: &Self| it.kind == "checkpoint")
    }
}

/// One chain, as far as it was walked.
#[derive(Debug)]
struct Walk {
    next: u64,
    head: String,
    closed: bool,
    lost: u64,
    /// The last lines, by place and hash.
    recent: VecDeque<(u64, String)>,
    /// Lines that were there again, word for word.
    again: u64,
    /// Hashes at the places that checkpoints name.
    anchors: BTreeMap<u64, Option<String>>,
    /// After its first defect a chain has nothing more to say.
    broken: bool,
}

/// All that was walked.
#[derive(Debug, Default)]
pub(super) struct Report {
    chains: BTreeMap<String, Walk>,
    checkpoints: Vec<Checkpoint>,
    findings: Vec<String>,
    more: usize,
    records: u64,
}

impl Report {
    /// Takes the checkpoints, in the order of their numbers, before any line. `known` is one that somebody noted: number
    /// and hash.
    pub(super) fn checkpoints(&mut self, texts: impl Iterator<Item = String>, known: Option<(u64, &str)>) {
        let mut head = GENESIS.to_owned();
        for (expected, text) in (0_u64..).zip(texts) {
            let Some(checkpoint) = Checkpoint::parse(&text) else {
                return self.find(format!("checkpoint {expected} is no checkpoint"));
            };
            if checkpoint.number != expected {
                return self.find(format!("checkpoint {expected} is missing"));
            }
            if !sealed(&text, &checkpoint.hash) {
                return self.find(format!("checkpoint {expected} was altered: it does not have its hash"));
            }
            if checkpoint.previous != head {
                return self.find(format!("checkpoint {expected} does not follow the one before it"));
            }
            head.clone_from(&checkpoint.hash);
            let walk = self.chains.entry(checkpoint.chain.clone()).or_default();
            walk.anchors.insert(checkpoint.sequence, None);
            self.checkpoints.push(checkpoint);
        }
        if let Some((number, hash)) = known {
            let there = usize::try_from(number).ok().and_then(|number| self.checkpoints.get(number));
            if there.is_none_or(|there| there.hash != hash) {
                self.find(format!(
                    "checkpoint {number} is not the one that was noted: the last ones were cut off or replaced"
                ));
            }
        }
    }

    /// Takes the next line of its chain. `row` is where the store says it belongs.
    pub(super) fn line(&mut self, text: &str, row: Option<(&str, u64)>) {
        let place = serde_json::from_str::<Place>(text).ok().filter(|place| place.kind == "audit");
        let Some(place) = place else {
            self.records += 1;
            let at = row.map_or_else(|| "a line".to_owned(), |(chain, at)| format!("chain {chain}: record {at}"));
            return self.find(format!("{at} was altered: it is no audit record"));
        };
        let (chain, at) = row.unwrap_or((&place.chain, place.sequence));
        let walk = self.chains.entry(chain.to_owned()).or_default();
        // It changes nothing, and says nothing new.
        if row.is_none() && walk.has(at, &place.hash) && sealed(text, &place.hash) {
            walk.again += 1;
            return;
        }
        self.records += 1;
        if let Some(anchor) = walk.anchors.get_mut(&at) {
            *anchor = Some(place.hash.clone());
        }
        if walk.broken {
            return;
        }
        let finding = if place.chain != chain || place.sequence != at {
            Some(format!("record {at} is in the place of another: it is {} of {}", place.sequence, place.chain))
        } else if at < walk.next {
            Some(format!("record {at} is there twice, or in the wrong order"))
        } else if at > walk.next {
            let last = at - 1;
            Some(if last == walk.next {
                format!("record {last} is missing")
            } else {
                format!("records {} to {last} are missing", walk.next)
            })
        } else if !sealed(text, &place.hash) {
            Some(format!("record {at} was altered: it does not have its hash"))
        } else if place.previous != walk.head {
            Some(format!("record {at} does not follow the one before it"))
        } else if walk.closed {
            Some(format!("record {at} comes after the end of the chain"))
        } else {
            None
        };
        walk.next = at + 1;
        walk.recent.truncate(AGAIN - 1);
        walk.recent.push_front((at, place.hash.clone()));
        walk.head = place.hash;
        walk.closed = place.event == "closed";
        walk.lost += place.lost;
        if let Some(finding) = finding {
            walk.broken = true;
            let finding = format!("chain {chain}: {finding}");
            self.find(finding);
        }
    }

    /// Compares chains and checkpoints, and tells all of it; `true` when nothing is wrong. Checkpoints name chains of one
    /// store: lines from elsewhere have none.
    pub(super) fn finish(mut self, anchored: bool) -> (String, bool) {
        let mut findings = Vec::new();
        for checkpoint in &self.checkpoints {
            let Some(walk) = self.chains.get(&checkpoint.chain) else { continue };
            let found = walk.anchors.get(&checkpoint.sequence).and_then(Option::as_ref);
            let told = if walk.next == 0 {
                format!("chain {} is missing: checkpoint {} names it", checkpoint.chain, checkpoint.number)
            } else if found.is_some_and(|found| *found != checkpoint.head) {
                format!(
                    "chain {}: record {} is not the one that checkpoint {} names",
                    checkpoint.chain, checkpoint.sequence, checkpoint.number
                )
            } else if found.is_none() && !walk.broken {
                format!(
                    "chain {}: it ends before record {}, which checkpoint {} names",
                    checkpoint.chain, checkpoint.sequence, checkpoint.number
                )
            } else {
                continue;
            };
            let prefix = told.split(':').next().unwrap_or_default().to_owned();
            if !findings.iter().any(|it: &String| it.starts_with(&prefix)) {
                findings.push(told);
            }
        }
        if anchored {
            let bare = self.chains.iter().filter(|(_, walk)| walk.anchors.is_empty());
            findings.extend(bare.map(|(chain, _)| format!("chain {chain}: no checkpoint names it")));
        }
        for finding in findings {
            self.find(finding);
        }
        self.told()
    }

    fn told(&self) -> (String, bool) {
        use std::fmt::Write;
        let mut text = String::new();
        let open = self.chains.values().filter(|walk| !walk.closed).count();
        let lost: u64 = self.chains.values().map(|walk| walk.lost).sum();
        let _ =
            writeln!(text, "{} records in {} chains, of which {open} have no end yet", self.records, self.chains.len());
        if lost > 0 {
            let _ = writeln!(text, "{lost} records were lost by their writers, who say so themselves");
        }
        let again: u64 = self.chains.values().map(|walk| walk.again).sum();
        if again > 0 {
            let _ = writeln!(
                text,
                "{again} lines are there again, word for word: a writer had no answer and sent them twice"
            );
        }
        if let Some(last) = self.checkpoints.last() {
            let _ = writeln!(
                text,
                "last checkpoint: {}:{} (note it; --head finds out when the end is cut off)",
                last.number, last.hash
            );
        }
        for finding in &self.findings {
            let _ = writeln!(text, "wrong: {finding}");
        }
        if self.more > 0 {
            let _ = writeln!(text, "wrong: {} more", self.more);
        }
        let good = self.findings.is_empty();
        text.push_str(if good {
            "all links hold\n"
        } else {
            "the audit was tampered with, or part of it is missing\n"
        });
        (text, good)
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS { self.findings.push(finding) } else { self.more += 1 }
    }
}

impl Walk {
    fn has(&self, at: u64, hash: &str) -> bool {
        at < self.next && self.recent.iter().any(|(there, known)| *there == at && known == hash)
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            next: 0,
            head: GENESIS.to_owned(),
            closed: false,
            lost: 0,
            recent: VecDeque::new(),
            again: 0,
            anchors: BTreeMap::new(),
            broken: false,
        }
    }
}

/// Whether a line has the hash of what stands before it.
fn sealed(text: &str, hash: &str) -> bool {
    text.strip_suffix(&format!(",\"hash\":\"{hash}\"}}")).is_some_and(|hashed| hex(&format!("{hashed}}}")) == hash)
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::{Chain, Event, Record},
        *,
    };

    fn lines(id: &str, count: u64) -> Vec<String> {
        let mut chain = Chain::new(id.to_owned());
        let record = Record::new(&"mcp-demo".into(), Event::Done).tool(Some("wait"), None);
        (0..count).map(|_| chain.append(&record, 0).text).collect()
    }

    fn walked(lines: &[String]) -> (String, bool) {
        let mut report = Report::default();
        for line in lines {
            report.line(line, None);
        }
        report.finish(false)
    }

    #[test]
    fn whole_chains_hold_even_when_their_lines_are_mixed() {
        let mixed: Vec<String> = lines("a", 5).into_iter().zip(lines("b", 5)).flat_map(|(a, b)| [a, b]).collect();
        let (told, good) = walked(&mixed);
        assert!(good && told.contains("10 records in 2 chains"), "{told}");
    }

    #[test]
    fn lines_that_were_sent_again_are_told_and_not_held_against_a_chain() {
        let whole = lines("a", 6);
        let (told, good) = walked(&[&whole[..4], &whole[2..]].concat());
        assert!(good && told.contains("6 records in 1 chains") && told.contains("2 lines are there again"), "{told}");
    }

    #[test]
    fn what_was_done_to_a_chain_is_named() {
        let whole = lines("a", 6);
        let without = |index: usize| [&whole[..index], &whole[index + 1..]].concat();
        let with = |index: usize, line: String| {
            let mut all = whole.clone();
            all[index] = line;
            all
        };
        let resealed = {
            let body = whole[3].rsplit_once(",\"hash\"").unwrap().0.replace("\"wait\"", "\"ask\"") + "}";
            format!("{},\"hash\":\"{}\"}}", body.strip_suffix('}').unwrap(), hex(&body))
        };
        for (tampered, expected) in [
            (without(0), "chain a: record 0 is missing"),
            (without(3), "chain a: record 3 is missing"),
            ([&whole[..2], &whole[4..]].concat(), "chain a: records 2 to 3 are missing"),
            (with(3, whole[3].replace("\"wait\"", "\"ask\"")), "chain a: record 3 was altered"),
            (with(3, resealed), "chain a: record 4 does not follow"),
            (with(3, whole[2].clone()), "chain a: record 3 is missing"),
            ([&whole[..3], &[whole[2].replace("\"wait\"", "\"ask\"")]].concat(), "chain a: record 2 is there twice"),
            (with(3, "{}".to_owned()), "it is no audit record"),
        ] {
            let (told, good) = walked(&tampered);
            assert!(!good && told.contains(expected), "{expected}: {told}");
        }
    }
}
