//! Everything a user can do wrong is decided here, and all of it at once.
//!
//! In: an `McpServer` as the API server stored it, and the operator's defaults. Out: a [`Valid`] from which builders
//! cannot fail, or every [`Problem`]. The API server checks most of it first; this holds where its rules are older.

mod env;
mod image;
mod resources;
mod runs;
mod volumes;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements, Volume, VolumeMount};
use kube::ResourceExt;
use mcp_crds::McpServer;

pub use runs::{Root, Runs};

use super::{disruption::Budget, network::Network};

/// What the operator adds to every server: its settings, as far as objects depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Image of the bundled tool servers.
    pub servers_image: String,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Namespace of the operator, which may call every server.
    pub operator_namespace: String,
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
    /// Number of pods.
    pub replicas: i32,
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
}

/// One thing that is wrong with a spec, in words that say how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, for example `spec.volumes[data]`.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Collects problems on the way.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
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
    if spec.replicas < 0 {
        problems.add("spec.replicas", format!("{} is less than no pods: use 0 or more", spec.replicas));
    }
    let volumes = volumes::volumes(&spec.volumes, &mut problems);
    let mounts = volumes::mounts(&spec.volume_mounts, &spec.volumes, &mut problems);
    let env = env::variables(&spec.env, &mut problems);
    let env_from = env::sources(&spec.env_from, &mut problems);
    let runs = runs::runs(spec, defaults, &mut problems);
    let resources = resources::resources(spec.resources.as_ref(), runs.as_ref(), &mut problems);
    match runs {
        Some(runs) if problems.0.is_empty() => Ok(Valid {
            namespace: server.namespace().unwrap_or_default(),
            uid: server.uid().unwrap_or_default(),
            cluster_domain: defaults.cluster_domain.clone(),
            operator_namespace: defaults.operator_namespace.clone(),
            replicas: spec.replicas,
            name,
            runs,
            resources,
            env,
            env_from,
            volumes,
            mounts,
            network: Network::default(),
            disruption: Budget::default(),
        }),
        _ => Err(problems.0),
    }
}

/// Whether a name is an RFC 1035 label, as Services need it.
fn is_service_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner)
}
