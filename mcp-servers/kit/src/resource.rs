//! A resource as a value: something to read under an address of its own, fixed or with parts left open.
//!
//! In: an address (`db://schema`, or `db://tables/{name}` for many), texts, an async function. Out: a [`Resource`] that is
//! listed and read, each read with a call's time limit, panic guard and budget. Knows nothing of the protocol's messages.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use matchit::Router;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::{
    call::{Call, RESPONSE_BUDGET},
    tool::{TIMEOUT, ToolError},
};

/// The longest address that is looked at.
const LONGEST: usize = 2048;

type Read = dyn Fn(Address, Call) -> BoxFuture<'static, Result<Contents, ToolError>> + Send + Sync;

/// What a resource holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A text.
    Text(String),
    /// Anything else, as base64.
    Blob(String),
}

impl Contents {
    /// A value as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, ToolError> {
        let text = serde_json::to_string(value);
        text.map(Self::Text).map_err(|error| ToolError::new(format!("the resource cannot be written as JSON: {error}")))
    }

    pub(crate) const fn bytes(&self) -> usize {
        let (Self::Text(text) | Self::Blob(text)) = self;
        text.len()
    }
}

/// The address a resource is read at, and what stands in its open parts, decoded.
#[derive(Clone, Debug, Default)]
pub struct Address {
    uri: String,
    parts: BTreeMap<String, String>,
}

impl Address {
    /// The whole of it, as it was asked for.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What stands in the open part of this name; nothing when there is no such part.
    #[must_use]
    pub fn part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }
}

/// One resource, or all those of one form.
#[derive(Clone)]
pub struct Resource {
    /// Its address. With `{name}` in place of a whole segment it is a template.
    pub uri: &'static str,
    /// Its name, for programs.
    pub name: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// What it holds.
    pub description: &'static str,
    /// The media type of what it holds.
    pub mime_type: &'static str,
    /// What a caller must hold to see and read it.
    pub scope: &'static str,
    /// The most bytes it may have.
    pub budget: usize,
    /// The longest a read may take.
    pub timeout: Duration,
    read: Arc<Read>,
}

impl Resource {
    /// Makes a resource from its address and the function that reads it.
    pub fn new<F, Fut>(
        uri: &'static str,
        name: &'static str,
        title: &'static str,
        description: &'static str,
        mime_type: &'static str,
        read: F,
    ) -> Self
    where
        F: Fn(Address, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Contents, ToolError>> + Send + 'static,
    {
        let read = move |address: Address, call: Call| read(address, call).boxed();
        Self {
            uri,
            name,
            title,
            description,
            mime_type,
            scope: "read",
            budget: RESPONSE_BUDGET,
            timeout: TIMEOUT,
            read: Arc::new(read),
        }
    }

    /// The same resource with another scope.
    #[must_use]
    pub const fn with_scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }

    /// Whether it stands for many.
    pub(crate) fn is_template(&self) -> bool {
        self.uri.contains('{')
    }

    pub(crate) fn read(&self, address: Address, call: Call) -> BoxFuture<'static, Result<Contents, ToolError>> {
        (self.read)(address, call)
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resource").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// The resources of one server, by address.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    by_uri: BTreeMap<&'static str, Resource>,
    router: Router<&'static str>,
}

impl Shelf {
    /// Takes one; an address that two would answer to is told.
    pub(crate) fn add(&mut self, resource: Resource) -> Result<(), String> {
        let good = resource.uri.split_once("://").is_some_and(|(scheme, rest)| {
            !rest.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
        if !good {
            return Err("expected an address such as db://tables/{name}".to_owned());
        }
        self.router.insert(resource.uri, resource.uri).map_err(|error| error.to_string())?;
        self.by_uri.insert(resource.uri, resource);
        Ok(())
    }

    /// All of them, by address.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Resource> {
        self.by_uri.values()
    }

    /// Which resource an address belongs to.
    pub(crate) fn find(&self, uri: &str) -> Option<(&Resource, Address)> {
        if uri.len() > LONGEST {
            return None;
        }
        let found = self.router.at(uri).ok()?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let parts: Option<BTreeMap<String, String>> =
            found.params.iter().map(|(name, text)| Some((name.to_owned(), decoded(text)?))).collect();
        Some((self.by_uri.get(*found.value)?, Address { uri: uri.to_owned(), parts: parts? }))
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.by_uri.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(uri: &'static str) -> Resource {
        Resource::new(uri, "name", "Name", "Something", "text/plain", |_, _| async { Ok(Contents::Text("x".into())) })
    }

    fn shelf() -> Shelf {
        let mut shelf = Shelf::default();
        for uri in ["db://schema", "db://tables/{name}", "db://tables/{name}/rows/{row}", "db://tables/all"] {
            shelf.add(resource(uri)).unwrap();
        }
        shelf
    }

    #[test]
    fn an_address_finds_its_resource_and_its_open_parts() {
        let shelf = shelf();
        for (uri, found, parts) in [
            ("db://schema", "db://schema", vec![]),
            ("db://tables/all", "db://tables/all", vec![]),
            ("db://tables/users", "db://tables/{name}", vec![("name", "users")]),
            ("db://tables/a%2Fb%20c", "db://tables/{name}", vec![("name", "a/b c")]),
            ("db://tables/u/rows/7", "db://tables/{name}/rows/{row}", vec![("name", "u"), ("row", "7")]),
        ] {
            let (resource, address) = shelf.find(uri).unwrap();
            assert_eq!(resource.uri, found);
            assert_eq!(address.uri(), uri);
            for (name, text) in parts {
                assert_eq!(address.part(name), text, "{uri}");
            }
        }
    }

    #[test]
    fn what_has_no_such_form_is_not_found() {
        let shelf = shelf();
        let long = format!("db://tables/{}", "x".repeat(LONGEST));
        for uri in
            ["", "db://", "db://tables", "db://tables/", "db://tables/a/b", "db://tables/%ff", "file:///x", &long]
        {
            assert!(shelf.find(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn two_resources_never_answer_to_one_address() {
        let mut shelf = shelf();
        for uri in ["db://schema", "db://tables/{other}"] {
            assert!(shelf.add(resource(uri)).is_err(), "{uri}");
        }
        for uri in ["schema", "db://", "DB://x"] {
            assert!(shelf.add(resource(uri)).unwrap_err().contains("expected an address"), "{uri}");
        }
    }
}
