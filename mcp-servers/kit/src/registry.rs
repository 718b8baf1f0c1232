//! What one server offers: tools, prompts and resources, each unique, well formed, always in the same order. Lists, calls
//! and tests read this.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    consent,
    prompt::Prompt,
    resource::{Address, Resource, Shelf},
    settings::Writes,
    tool::Tool,
};

/// The longest description a tool may have, in characters.
const DESCRIPTION: usize = 200;

/// A tool, prompt or resource that may not be served.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// Two tools have one name.
    #[error("two tools are called {0}: names must be unique")]
    Duplicate(&'static str),
    /// A name the protocol does not allow.
    #[error("tool name {0:?}: expected 1 to 64 characters of a-z, 0-9 and _")]
    Name(&'static str),
    /// A description that is missing or costs too much.
    #[error("tool {0}: expected a description of 1 to {DESCRIPTION} characters, found {1}")]
    Description(&'static str, usize),
    /// A schema clients cannot be expected to read.
    #[error("tool {0}: expected {1}")]
    Schema(&'static str, &'static str),
    /// Two prompts, or two arguments of one, have one name.
    #[error("prompt {0}: expected names of prompts, and of the arguments of each, to be unique")]
    Prompt(&'static str),
    /// An address that cannot be served.
    #[error("resource {0}: {1}")]
    Resource(&'static str, String),
}

/// What one server offers.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    tools: BTreeMap<&'static str, Tool>,
    prompts: BTreeMap<&'static str, Prompt>,
    shelf: Shelf,
}

impl Registry {
    /// Checks and takes the tools.
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for tool in tools {
            check(&tool)?;
            let name = tool.name;
            if registry.tools.insert(name, tool).is_some() {
                return Err(RegistryError::Duplicate(name));
            }
        }
        Ok(registry)
    }

    /// The same with these prompts.
    pub fn with_prompts(mut self, prompts: impl IntoIterator<Item = Prompt>) -> Result<Self, RegistryError> {
        for prompt in prompts {
            let name = prompt.name;
            let arguments: BTreeSet<&str> = prompt.arguments.iter().map(|argument| argument.name).collect();
            let unique = arguments.len() == prompt.arguments.len();
            if self.prompts.insert(name, prompt).is_some() || !unique {
                return Err(RegistryError::Prompt(name));
            }
        }
        Ok(self)
    }

    /// The same with these resources.
    pub fn with_resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Result<Self, RegistryError> {
        for resource in resources {
            let uri = resource.uri;
            self.shelf.add(resource).map_err(|error| RegistryError::Resource(uri, error))?;
        }
        Ok(self)
    }

    /// The same without the tools that write, unless they may; those that may destroy something ask, where that is wanted.
    pub(crate) fn writing(mut self, writes: Writes) -> Self {
        self.tools.retain(|_, tool| tool.hints.read_only || tool.always || writes != Writes::Off);
        if writes == Writes::Consent {
            let asking = |tool: &Tool| !tool.hints.read_only && tool.hints.destructive;
            let tools = self.tools.into_iter();
            self.tools =
                tools.map(|(name, tool)| (name, if asking(&tool) { consent::listed(tool) } else { tool })).collect();
        }
        self
    }

    /// The same without the tools that are not to be there: neither listed nor called.
    pub(crate) fn only(mut self, has: impl Fn(&str) -> bool) -> Self {
        self.tools.retain(|name, _| has(name));
        self
    }

    /// The tools in the order clients see them: by name.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// The prompts in the order clients see them: by name.
    pub fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.prompts.values()
    }

    /// The prompt of this name.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Prompt> {
        self.prompts.get(name)
    }

    /// The resources in the order clients see them: by address.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.shelf.all()
    }

    /// The scopes of all there is, each once.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let scopes = self.tools().map(|tool| tool.scope).chain(self.resources().map(|resource| resource.scope));
        scopes.collect::<BTreeSet<&str>>().into_iter().map(String::from).collect()
    }

    /// The resource this address belongs to.
    pub(crate) fn resource(&self, uri: &str) -> Option<(&Resource, Address)> {
        self.shelf.find(uri)
    }
}

fn check(tool: &Tool) -> Result<(), RegistryError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.bytes().all(allowed) {
        return Err(RegistryError::Name(tool.name));
    }
    let length = tool.description.chars().count();
    if length == 0 || length > DESCRIPTION {
        return Err(RegistryError::Description(tool.name, length));
    }
    if tool.input_schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        let message = "a closed input schema: put #[serde(deny_unknown_fields)] on the arguments";
        return Err(RegistryError::Schema(tool.name, message));
    }
    if [&tool.input_schema, &tool.output_schema].iter().any(|schema| schema.values().any(refers)) {
        return Err(RegistryError::Schema(tool.name, "schemas without $ref: recursive types cannot be written out"));
    }
    Ok(())
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("$ref") || map.contains_key("$defs") || map.values().any(refers),
        Value::Array(list) => list.iter().any(refers),
        _ => false,
    }
}
