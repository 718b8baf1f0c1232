//! Where values come from: flag over environment over file.

use clap::{ArgMatches, parser::ValueSource};
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::{Document, Writes, key, problem::Problems, variable};

/// A value as text, and where it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The text.
    pub text: String,
    /// `--listen`, `MCP_LISTEN` or ``key `listen` in settings.yaml``.
    pub at: String,
}

/// All sources of one start, and the problems found so far.
#[derive(Debug)]
pub struct Sources {
    matches: ArgMatches,
    document: Document,
    /// Whether tools that write are there.
    pub writes: Writes,
    /// What is wrong so far.
    pub problems: Problems,
}

impl Sources {
    pub(crate) fn new(matches: ArgMatches) -> Self {
        let (document, problems) = (Document::default(), Problems::default());
        let mut sources = Self { matches, document, writes: Writes::Off, problems };
        if let Some(config) = sources.one("config") {
            sources.document = Document::read(config.text.as_ref(), &config.at, &mut sources.problems);
        }
        sources.writes = Writes::read(&mut sources);
        sources
    }

    /// The value of a setting that has one.
    pub fn one(&mut self, name: &str) -> Option<Given> {
        // The key is taken even when it does not count, so that it is not called unknown.
        let from_file = self.document.take(&key(name));
        self.line(name).pop().or_else(|| {
            let (at, value) = from_file?;
            let text = scalar(&value);
            if text.is_none() {
                let mend = "write a single value after the colon";
                self.problems.add(&at, "one value", "a list or mapping", mend);
            }
            text.map(|text| Given { text, at })
        })
    }

    /// The values of a repeated setting, split at commas wherever they come from.
    pub fn many(&mut self, name: &str) -> Vec<Given> {
        let from_file = self.document.take(&key(name));
        let mut values = self.line(name);
        if values.is_empty()
            && let Some((at, value)) = from_file
        {
            let entries = if let Value::Sequence(entries) = value { entries } else { vec![value] };
            for entry in &entries {
                match scalar(entry) {
                    Some(text) => values.push(Given { text, at: at.clone() }),
                    None => {
                        self.problems.add(&at, "a list of plain values", "a nested list or mapping", "write `- value`");
                    }
                }
            }
        }
        let parts = values.iter().flat_map(|given| {
            let parts = given.text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| Given { text: part.to_owned(), at: given.at.clone() })
        });
        parts.collect()
    }

    /// The same, left where they are: for a server to see a setting that the kit reads after it.
    #[must_use]
    pub fn peek(&self, name: &str) -> Vec<String> {
        let mut texts: Vec<String> = self.line(name).into_iter().map(|given| given.text).collect();
        if texts.is_empty() {
            texts = match self.document.look(&key(name)) {
                Some(Value::Sequence(entries)) => entries.iter().filter_map(scalar).collect(),
                Some(value) => scalar(value).into_iter().collect(),
                None => Vec::new(),
            };
        }
        let parts = texts.iter().flat_map(|text| text.split(',').map(str::trim).filter(|part| !part.is_empty()));
        parts.map(str::to_owned).collect()
    }

    /// The values given on the command line, or else in the environment (there split at commas).
    #[must_use]
    pub fn line(&self, name: &str) -> Vec<Given> {
        let source = self.matches.value_source(name);
        let values = self.matches.try_get_many::<String>(name).ok().flatten().into_iter().flatten();
        match source {
            Some(ValueSource::CommandLine) => {
                values.map(|text| Given { text: text.clone(), at: format!("--{name}") }).collect()
            }
            Some(ValueSource::EnvVariable) => {
                // An empty variable is how Kubernetes manifests switch one off.
                let given = values.filter(|text| !text.is_empty());
                given.map(|text| Given { text: text.clone(), at: variable(name) }).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The file's value of a setting that has a shape of its own there, read as `T`.
    pub fn structured<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Option<(T, String)> {
        let (at, value) = self.document.take(key)?;
        match serde_yaml::from_value(value) {
            Ok(value) => Some((value, at)),
            Err(error) => {
                self.problems.add(at, expected, error.to_string(), "correct that key of the file");
                None
            }
        }
    }

    /// Whether a switch was given.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default()
    }

    /// All problems, the keys nobody asked for included.
    pub(crate) fn finish(mut self) -> Problems {
        self.document.finish(&mut self.problems);
        self.problems
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
