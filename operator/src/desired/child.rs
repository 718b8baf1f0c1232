//! One object the operator makes, as JSON, sealed with the hash of what was asked for.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Service, ServiceAccount},
};
use kube::{Resource, core::ApiResource};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Valid;
use crate::vocabulary::APPLIED_HASH;

/// The kinds of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// Identity of the pods.
    ServiceAccount,
    /// The address inside the cluster.
    Service,
    /// The pods.
    Deployment,
}

impl ChildKind {
    /// Every kind, in the order in which children are applied.
    pub const ALL: [Self; 3] = [Self::ServiceAccount, Self::Service, Self::Deployment];

    /// Group, version and plural of the kind.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
        }
    }

    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
        }
    }
}

/// An object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object, apiVersion and kind included.
    pub object: Value,
}

impl Child {
    /// Turns a typed object into a child and writes the hash of it into its annotations.
    pub(super) fn seal<K: Resource + Serialize>(kind: ChildKind, server: &Valid, typed: &K) -> Self {
        // k8s-openapi types always serialise; an empty object would be refused by the API server, not applied.
        let mut object = serde_json::to_value(typed).unwrap_or_else(|_| json!({}));
        let hash = hash_of(&object);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(map) = annotations.as_object_mut() {
                map.insert(APPLIED_HASH.to_owned(), Value::String(hash));
            }
        }
        Self { kind, namespace: server.namespace.clone(), name: server.name.clone(), object }
    }

    /// Kind and name, for messages.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.name(), self.name)
    }
}

/// A short hash of the meaning of an object: serde_json keeps keys sorted.
fn hash_of(object: &Value) -> String {
    let digest = Sha256::digest(object.to_string());
    let (first, _) = digest.split_at(8);
    format!("{:016x}", first.iter().fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte)))
}
