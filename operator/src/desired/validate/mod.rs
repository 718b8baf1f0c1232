//! Everything a user can do wrong is decided here, and all of it at once.
//!
//! In: an `McpServer` as the API server stored it, and the operator's defaults. Out: a [`Valid`] from which builders
//! cannot fail, or every [`Problem`]. The API server checks most of it first; this holds where its rules are older.

mod bundled;
mod env;
mod expose;
pub mod identity;
mod image;
mod later;
mod metadata;
mod network;
mod probes;
mod resources;
mod runs;
mod scaling;
mod scheduling;
mod session_policy;
mod state;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements, Volume, VolumeMount};
use kube::ResourceExt;
use mcp_crds::{McpServer, McpServerSpec, class::PodSecurity, scaling::Autoscaling, session::SessionMode};

pub use bundled::is_guarded;
pub use later::left_out;
pub use probes::Probes;
pub use runs::{Image, Runs};
pub use scheduling::Scheduling;
pub use state::Strategy;
pub(super) use state::{authorities, secrets};

use super::{
    disruption::Budget,
    exposure::{Balancers, Exposure},
    hosts,
    network::Network,
    scaled_object::Keda,
};
use crate::vocabulary::Reason;

/// Whether a client belongs to a pod.
fn is_stateful(spec: &McpServerSpec) -> bool {
    spec.session.as_ref().is_some_and(|session| session.mode == SessionMode::Stateful)
}

/// What the operator adds to every server: its settings, as far as objects depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Image of the bundled tool servers.
    pub servers_image: String,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Namespace of the operator, which may call every server.
    pub operator_namespace: String,
    /// What load balancers there are.
    pub balancers: Balancers,
}

/// A server that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    /// Name of the server and of its children.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Uid of the `McpServer`: the owner of the children.
    pub uid: String,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Namespace of the operator.
    pub operator_namespace: String,
    /// Number of pods, where nothing scales.
    pub replicas: i32,
    /// How KEDA decides it.
    pub autoscaling: Option<Autoscaling>,
    /// What runs.
    pub runs: Runs,
    /// CPU and memory of the server container.
    pub resources: ResourceRequirements,
    /// Its environment.
    pub env: Vec<EnvVar>,
    /// Secrets and ConfigMaps as environment.
    pub env_from: Vec<EnvFromSource>,
    /// The pod's volumes, without the operator's own.
    pub volumes: Vec<Volume>,
    /// The container's mounts, without the operator's own.
    pub mounts: Vec<VolumeMount>,
    /// Who may talk to the pods, and to whom they may talk.
    pub network: Network,
    /// How many pods a drain may take at once.
    pub disruption: Budget,
    /// Names under which clients call, beside those of the Service.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call.
    pub origins: Vec<String>,
    /// The load balancer, if the spec asks for one.
    pub exposure: Option<Exposure>,
    /// What load balancers there are.
    pub balancers: Balancers,
    /// Name of this one, as soon as it has one. No part of the spec: the shell sets it.
    pub balancer: Option<String>,
    /// Where pods run.
    pub scheduling: Scheduling,
    /// How their health is looked at.
    pub probes: Probes,
    /// Seconds in which running calls may end when a pod stops.
    pub drain_seconds: i32,
    /// Whether a client belongs to a pod.
    pub stateful: bool,
    /// How one pod template follows another.
    pub strategy: Strategy,
    /// Secrets with which images are pulled.
    pub pull_secrets: Vec<String>,
    /// Labels of the pods, without the operator's own.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods, without the operator's own.
    pub pod_annotations: BTreeMap<String, String>,
    /// Public half of the probe's key, for a server that asks who calls. No part of the spec: the shell sets it.
    pub probe_key: Option<String>,
    /// What is relaxed of the pods' security. No part of the spec: a class says it.
    pub pod_security: PodSecurity,
    /// What the pods shall have in AWS.
    pub identity: Option<identity::Wanted>,
    /// What there is of KEDA. No part of the spec: the shell sets it.
    pub keda: Keda,
}

impl Valid {
    /// Whether the number of pods is the operator's to write. It is not while KEDA could still write it.
    #[must_use]
    pub fn owns_replicas(&self) -> bool {
        self.autoscaling.is_none() && !self.keda.holds
    }
}

/// One thing that is wrong with a spec, in words that say how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, for example `spec.volumes[data]`.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// Whether it can never be, or this version cannot do it yet.
    pub reason: Reason,
}

/// Collects problems on the way.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into(), reason: Reason::InvalidSpec });
    }

    /// Adds what is right, and cannot be done by this version.
    fn not_yet(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into(), reason: Reason::NotYetSupported });
    }

    /// Adds a session policy that EKS would not take.
    fn too_large(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into(), reason: Reason::PolicyTooLarge });
    }

    /// Adds a problem for every key that stands more than once.
    fn duplicates<'a>(&mut self, field: &str, keys: impl Iterator<Item = &'a str>) {
        let mut seen = std::collections::BTreeSet::new();
        for key in keys {
            if !seen.insert(key) {
                self.add(format!("{field}[{key}]"), "stands more than once: keep one entry of that key");
            }
        }
    }
}

/// Checks a server and types it.
pub fn validate(server: &McpServer, defaults: &Defaults) -> Result<Valid, Vec<Problem>> {
    let mut problems = Problems::default();
    let spec = &server.spec;
    let name = server.name_any();
    if !is_service_name(&name) {
        problems.add("metadata.name", format!("{name:?} cannot name a Service: use at most 63 lower-case letters, digits and '-', beginning with a letter"));
    }
    later::refused(spec, &mut problems);
    state::replicas(spec, &mut problems);
    state::objects(spec, &mut problems);
    state::databases(spec, &mut problems);
    let volumes = volumes::volumes(&spec.volumes, &mut problems);
    let mounts = volumes::mounts(&spec.volume_mounts, &spec.volumes, &mut problems);
    if spec.server.image.is_none() {
        env::settings(&spec.env, &mut problems);
    }
    let env = env::variables(&spec.env, &mut problems);
    let env_from = env::sources(&spec.env_from, &mut problems);
    let (hosts, origins) = expose::names(spec.expose.as_ref(), &mut problems);
    let exposure = expose::exposure(spec, &mut problems);
    let namespace = server.namespace().unwrap_or_default();
    let url = address(&name, &namespace, &hosts, defaults);
    let runs = runs::runs(spec, defaults, &url, &mut problems);
    scaling::scaling(spec, &mut problems);
    let resources = resources::resources(spec.resources.as_ref(), runs.as_ref(), &mut problems);
    let network = network::network(spec.network.as_ref(), &mut problems);
    let disruption = scheduling::disruption(spec.disruption.as_ref(), &mut problems);
    let scheduling = scheduling::scheduling(spec.scheduling.as_ref(), &mut problems);
    let probes = probes::probes(spec, &mut problems);
    let drain_seconds = probes::drain(spec, &mut problems);
    let pod_labels = metadata::pod_labels(spec, &mut problems);
    let pod_annotations = metadata::pod_annotations(spec, &mut problems);
    let identity = identity::identity(spec, &mut problems);
    match runs {
        Some(runs) if problems.0.is_empty() => Ok(Valid {
            namespace,
            uid: server.uid().unwrap_or_default(),
            cluster_domain: defaults.cluster_domain.clone(),
            operator_namespace: defaults.operator_namespace.clone(),
            replicas: spec.replicas,
            autoscaling: spec.autoscaling.clone(),
            name,
            runs,
            resources,
            env,
            env_from,
            volumes,
            mounts,
            network,
            disruption,
            hosts,
            origins,
            exposure,
            balancers: defaults.balancers.clone(),
            balancer: None,
            scheduling,
            probes,
            drain_seconds,
            stateful: is_stateful(spec),
            strategy: state::strategy(spec),
            pull_secrets: spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
            pod_labels,
            pod_annotations,
            probe_key: None,
            keda: Keda::default(),
            pod_security: PodSecurity::default(),
            identity,
        }),
        _ => Err(problems.0),
    }
}

/// The address under which clients know a bundled server: the first of its own names, or that of its Service.
fn address(name: &str, namespace: &str, names: &[String], defaults: &Defaults) -> String {
    let inside = || hosts::url(name, namespace, &defaults.cluster_domain, runs::BUNDLED_PORT, runs::BUNDLED_PATH);
    names.first().map_or_else(inside, |host| format!("https://{host}{}", runs::BUNDLED_PATH))
}

/// Whether a name is an RFC 1035 label, as Services need it.
fn is_service_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner)
}
