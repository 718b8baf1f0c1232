//! One object the operator makes, as JSON, sealed with the hash of what was asked for.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{Resource, core::ApiResource};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Valid, names, scaled_object};
use crate::vocabulary::APPLIED_HASH;

/// The kinds of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// Identity of the pods.
    ServiceAccount,
    /// The settings file of a bundled server.
    ConfigMap,
    /// Who may talk to the pods, and to whom they may talk.
    NetworkPolicy,
    /// The address inside the cluster.
    Service,
    /// The pods.
    Deployment,
    /// A load balancer that speaks HTTP, in front of the Service.
    Ingress,
    /// How many pods a drain may take at once.
    PodDisruptionBudget,
    /// How many pods there are, where KEDA decides it.
    ScaledObject,
}

impl ChildKind {
    /// Every kind, in the order in which children are applied.
    pub const ALL: [Self; 8] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::NetworkPolicy,
        Self::Service,
        Self::Deployment,
        Self::Ingress,
        Self::PodDisruptionBudget,
        // Last: that a cluster lacks KEDA, or KEDA refuses it, keeps nothing else from being there.
        Self::ScaledObject,
    ];

    /// Group, version and plural of the kind.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::Ingress => ApiResource::erase::<Ingress>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::ScaledObject => scaled_object::resource(),
        }
    }

    /// The kind's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::Ingress => "Ingress",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::ScaledObject => "ScaledObject",
        }
    }

    /// Whether one and the same server can do without this child, so that it is deleted when the spec no longer asks for it.
    /// The others go by garbage collection alone: the operator has no right to delete them.
    #[must_use]
    pub fn is_optional(self) -> bool {
        match self {
            Self::NetworkPolicy | Self::Ingress | Self::PodDisruptionBudget | Self::ScaledObject => true,
            Self::ServiceAccount | Self::ConfigMap | Self::Service | Self::Deployment => false,
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
    /// Name of its server.
    pub server: String,
    /// The object, apiVersion and kind included.
    pub object: Value,
    /// What a new object begins with beyond that, and what is not the operator's afterwards.
    pub begins_with: Option<Value>,
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
        let name = names::child(kind, &server.name);
        Self { kind, namespace: server.namespace.clone(), name, server: server.name.clone(), object, begins_with: None }
    }

    /// Kind and name, for messages.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.name(), self.name)
    }
}

/// A short hash of the meaning of an object: serde_json keeps keys sorted.
pub(super) fn hash_of(object: &Value) -> String {
    let digest = Sha256::digest(object.to_string());
    let (first, _) = digest.split_at(8);
    format!("{:016x}", first.iter().fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte)))
}
