//! A prompt as a value: a text a person picks, with a few arguments, made by a pure function.
//!
//! In: names and texts, a function over the given arguments. Out: a [`Prompt`] a registry can list and fill in. Knows
//! nothing of the protocol's messages, and reaches for nothing: what a prompt needs to know, its tools tell the model.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::tool::Content;

/// The most values one completion may have, by the protocol.
const SUGGESTIONS: usize = 100;

type Write = dyn Fn(&Arguments) -> Vec<Message> + Send + Sync;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation that a prompt begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    pub content: Content,
}

impl Message {
    /// A text the person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::User, content: Content::Text(text.into()) }
    }

    /// A text the model says.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::Assistant, content: Content::Text(text.into()) }
    }
}

/// An argument of a prompt.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What to write there.
    pub description: &'static str,
    /// Whether the prompt needs it.
    pub required: bool,
    /// What a client may offer while a person types.
    suggestions: Vec<String>,
}

/// The arguments a prompt was asked with. All required ones are there.
#[derive(Clone, Debug, Default)]
pub struct Arguments(BTreeMap<&'static str, String>);

impl Arguments {
    /// An argument that was given and is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// An argument, or this where it was not given.
    #[must_use]
    pub fn get_or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }
}

/// One prompt: name, texts, arguments, and the function that writes it.
#[derive(Clone)]
pub struct Prompt {
    /// The name clients ask for.
    pub name: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its arguments, in the order people see them.
    pub arguments: Vec<Argument>,
    write: Arc<Write>,
}

impl Prompt {
    /// Makes a prompt without arguments.
    pub fn new(
        name: &'static str,
        title: &'static str,
        description: &'static str,
        write: impl Fn(&Arguments) -> Vec<Message> + Send + Sync + 'static,
    ) -> Self {
        Self { name, title, description, arguments: Vec::new(), write: Arc::new(write) }
    }

    /// The same prompt with an argument it needs.
    #[must_use]
    pub fn required(self, name: &'static str, description: &'static str) -> Self {
        self.with(Argument { name, description, required: true, suggestions: Vec::new() })
    }

    /// The same prompt with an argument that may be left out.
    #[must_use]
    pub fn optional(self, name: &'static str, description: &'static str) -> Self {
        self.with(Argument { name, description, required: false, suggestions: Vec::new() })
    }

    /// The same prompt with values a client may offer for the argument that was added last.
    #[must_use]
    pub fn suggesting<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        if let Some(argument) = self.arguments.last_mut() {
            argument.suggestions = values.into_iter().map(Into::into).collect();
        }
        self
    }

    fn with(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Whether there is anything to complete.
    pub(crate) fn suggests(&self) -> bool {
        self.arguments.iter().any(|argument| !argument.suggestions.is_empty())
    }

    /// The values that begin with what was typed, and how many there are; `None` when there is no such argument.
    pub(crate) fn complete(&self, argument: &str, typed: &str) -> Option<(Vec<String>, usize)> {
        let argument = self.arguments.iter().find(|known| known.name == argument)?;
        let typed = typed.to_lowercase();
        let fits = || argument.suggestions.iter().filter(|value| value.to_lowercase().starts_with(&typed));
        Some((fits().take(SUGGESTIONS).cloned().collect(), fits().count()))
    }

    /// The messages for these arguments, or what is wrong with the arguments.
    pub(crate) fn write(&self, given: Map<String, Value>) -> Result<Vec<Message>, String> {
        let mut arguments = Arguments::default();
        for (name, value) in given {
            let Some(argument) = self.arguments.iter().find(|argument| argument.name == name) else {
                return Err(format!("prompt {}: unknown argument {name:?}; expected {}", self.name, self.expected()));
            };
            let Value::String(text) = value else {
                return Err(format!("prompt {}: expected {name} as text, found {value}", self.name));
            };
            arguments.0.insert(argument.name, text);
        }
        let missing = self.arguments.iter().find(|known| known.required && arguments.get(known.name).is_none());
        if let Some(missing) = missing {
            return Err(format!("prompt {}: {} is missing; expected {}", self.name, missing.name, self.expected()));
        }
        Ok((self.write)(&arguments))
    }

    fn expected(&self) -> String {
        let kind = |argument: &Argument| if argument.required { "required" } else { "optional" };
        let told: Vec<String> =
            self.arguments.iter().map(|argument| format!("{} ({})", argument.name, kind(argument))).collect();
        if told.is_empty() { "no arguments".to_owned() } else { told.join(", ") }
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Prompt").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn greeting() -> Prompt {
        let write = |given: &Arguments| {
            let name = given.get_or("name", "");
            vec![Message::user(format!("Greet {name} {}", given.get_or("how", "kindly")))]
        };
        Prompt::new("greet", "Greet", "Greets somebody", write)
            .required("name", "Whom")
            .optional("how", "In which way")
            .suggesting(["kindly", "Kinda", "coldly"])
    }

    fn write(given: &Value) -> Result<Vec<Message>, String> {
        greeting().write(given.as_object().unwrap().clone())
    }

    #[test]
    fn a_prompt_is_written_from_its_arguments() {
        assert_eq!(write(&json!({"name": "Ada"})).unwrap(), [Message::user("Greet Ada kindly")]);
        assert_eq!(write(&json!({"name": "Ada", "how": "coldly"})).unwrap(), [Message::user("Greet Ada coldly")]);
    }

    #[test]
    fn wrong_arguments_are_told_with_what_is_expected() {
        for (given, told) in [
            (json!({}), "prompt greet: name is missing; expected name (required), how (optional)"),
            (json!({"name": ""}), "prompt greet: name is missing; expected name (required), how (optional)"),
            (json!({"name": 7}), "prompt greet: expected name as text, found 7"),
            (json!({"nme": "x"}), "prompt greet: unknown argument \"nme\"; expected name (required), how (optional)"),
        ] {
            assert_eq!(write(&given).unwrap_err(), told);
        }
    }

    #[test]
    fn values_are_completed_by_what_they_begin_with() {
        let prompt = greeting();
        assert!(prompt.suggests());
        assert_eq!(prompt.complete("how", "KIND").unwrap(), (vec!["kindly".to_owned(), "Kinda".to_owned()], 2));
        assert_eq!(prompt.complete("name", "a").unwrap(), (vec![], 0));
        assert_eq!(prompt.complete("other", ""), None);
    }
}
