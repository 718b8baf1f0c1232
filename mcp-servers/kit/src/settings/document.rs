//! The settings file: a YAML mapping whose keys are taken one by one; what nobody takes is a mistake.

use std::{collections::BTreeSet, path::Path};

use serde_yaml::{Mapping, Value};

use super::problem::Problems;

/// A settings file that was read, or an empty one.
#[derive(Debug, Default)]
pub(crate) struct Document {
    file: String,
    rest: Mapping,
    known: BTreeSet<String>,
}

impl Document {
    /// Reads a file; a file that cannot be used is a problem, and then as good as empty.
    pub(crate) fn read(path: &Path, at: &str, problems: &mut Problems) -> Self {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                problems.add(
                    at,
                    "a readable YAML file",
                    format!("{file}: {error}"),
                    "correct the path or its permissions",
                );
                return Self::default();
            }
        };
        match serde_yaml::from_str::<Option<Mapping>>(&text) {
            Ok(mapping) => Self { file, rest: mapping.unwrap_or_default(), known: BTreeSet::new() },
            Err(error) => {
                let expected = "a YAML mapping such as `listen: 127.0.0.1:8080`";
                problems.add(format!("{at} {file}"), expected, error.to_string(), "correct the file at that place");
                Self::default()
            }
        }
    }

    /// The value of a key that is left for somebody else to take.
    pub(crate) fn look(&self, key: &str) -> Option<&Value> {
        self.rest.get(key)
    }

    /// Takes the value of a key, with words for where it was found.
    pub(crate) fn take(&mut self, key: &str) -> Option<(String, Value)> {
        self.known.insert(key.to_owned());
        let value = self.rest.remove(key)?;
        Some((format!("key `{key}` in {}", self.file), value))
    }

    /// Reports the keys nobody took.
    pub(crate) fn finish(self, problems: &mut Problems) {
        let known = self.known.into_iter().collect::<Vec<_>>().join(", ");
        for key in self.rest.keys() {
            let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
            let at = format!("key `{key}` in {}", self.file);
            problems.add(at, format!("one of {known}"), format!("`{key}`"), "correct the spelling or remove the key");
        }
    }
}
