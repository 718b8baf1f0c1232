//! `McpServer`: one MCP server, as its team writes it.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use crate::{
    auth::Auth,
    expose::Expose,
    identity::Identity,
    kinds::ServerKind,
    network::{LabelValue, Network},
    pod::{AnnotationValue, EnvFromSource, EnvVar, LocalRef, Resources, Volume, VolumeMount},
    rule,
    scaling::Autoscaling,
    scheduling::{Disruption, Probes, Scheduling},
    session::Session,
    status::McpServerStatus,
    tools::Tools,
    watch::{Audit, Conformance, Telemetry},
};

/// Replicas when the spec names none: the scale subresource needs a value, and two survive the loss of a node.
const DEFAULT_REPLICAS: i32 = 2;

/// Desired state of one MCP server.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mcp-eks.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    singular = "mcpserver",
    shortname = "emcp",
    category = "mcp-eks",
    namespaced,
    status = "McpServerStatus",
    derive = "PartialEq",
    doc = "An MCP server: the operator turns it into a Deployment, a Service and what else it needs, and reports in status whether clients can use it.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name becomes the name of a Service: at most 63 lower-case letters, digits and '-', beginning with a letter"),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.mcp.toolCount"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.address.internal"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = "1"
    ),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.server.image.ref", priority = "1"),
    printcolumn(name = "Protocol", type_ = "string", json_path = ".status.mcp.era", priority = "1"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.identity.roleArn", priority = "1"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.className", priority = "1")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = needs_class())]
#[x_kube(validation = class_stays())]
#[x_kube(validation = open_to_the_internet())]
#[x_kube(validation = policy_from_tools())]
#[x_kube(validation = zero_only_when_stateless())]
#[x_kube(validation = utilization_needs_requests())]
#[x_kube(validation = one_pod_for_state())]
#[x_kube(validation = consent_needs_a_key())]
#[x_kube(validation = Rule::new("!has(self.image) || !has(self.server.image)")
    .message("spec.image replaces the image of a bundled server: with spec.server.image write it in spec.server.image.ref"))]
pub struct McpServerSpec {
    /// Name of the McpServerClass that says what this server may do; without one it is reached from inside the cluster only
    /// and has no identity in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// What runs: exactly one kind of server.
    pub server: ServerKind,
    /// Image of a bundled server instead of the operator's own, for example from a mirror or a private registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rule::image())]
    pub image: Option<String>,
    /// Number of pods; not looked at while autoscaling is set, and the number after it is taken out.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// How clients and pods belong together, and how a pod ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Which tools clients may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// How many pods, by load and by the clock; KEDA does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// How clients outside the cluster reach the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,
    /// What the server may do in AWS: a role, given to its pods by EKS Pod Identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Who may call the server, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Which calls are recorded, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Metrics and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Who may reach the pods, and what they may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// CPU, memory and other resources of the server container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Environment variables of the server container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// Secrets and ConfigMaps whose keys become environment variables; a later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub env_from: Vec<EnvFromSource>,
    /// Volumes of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<Volume>,
    /// Where volumes appear in the server container; the roots of a Filesystem server are mounted without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["mountPath".into()]))]
    pub volume_mounts: Vec<VolumeMount>,
    /// Where pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// How many pods may be missing while nodes are drained. Not set: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
    /// How the health of a pod is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// Whether the server is held against the official conformance suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformance: Option<Conformance>,
    /// Secrets with which images are pulled, in the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Labels of the pods beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_labels: BTreeMap<String, LabelValue>,
    /// Annotations of the pods beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_annotations: BTreeMap<String, AnnotationValue>,
    /// Stops the operator from writing anything of this server but its status; what runs goes on running.
    #[serde(default)]
    pub paused: bool,
}

impl McpServerSpec {
    /// Why the pod holds state that a second pod would not have; none when it holds none.
    #[must_use]
    pub fn state_in_the_pod(&self) -> Option<&'static str> {
        use crate::kinds::{Writes, custom::Backend, filesystem::Access};
        let server = &self.server;
        let own = |name: &str| self.volumes.iter().any(|it| it.name == name && it.empty_dir.is_some());
        let mut roots = server.filesystem.iter().flat_map(|filesystem| &filesystem.roots);
        if roots.any(|root| root.access == Access::ReadWrite && own(&root.volume)) {
            return Some("files that clients may change in an emptyDir");
        }
        let database = server.database.as_ref().and_then(|it| Some((&it.sqlite.as_ref()?.persistence, it.writes)));
        let product = server.product.as_ref().and_then(|it| Some((&it.sqlite.as_ref()?.persistence, it.writes)));
        if let Some((persistence, writes)) = database.or(product)
            && (persistence.is_some() || writes != Writes::Off)
        {
            return Some("SQLite with writes or persistence");
        }
        if server.order.as_ref().is_some_and(|order| order.sqlite.is_some()) {
            return Some("orders in SQLite");
        }
        match server.custom.as_ref()?.kv.as_ref()?.backend {
            Backend::Memory => Some("a key-value store in memory"),
            Backend::Disk => Some("a key-value store on disk"),
            Backend::Valkey => None,
        }
    }
}

fn needs_class() -> Rule {
    Rule::new("has(self.className) || !(has(self.identity) || (has(self.expose) && self.expose.type != 'ClusterIP'))")
        .message("spec.identity and a load balancer (expose.type LoadBalancer or Ingress) need spec.className: name the McpServerClass that allows them")
}

/// An association that was made under one class may be forbidden by another.
fn class_stays() -> Rule {
    Rule::new("!has(oldSelf.identity) || !has(self.identity) || (has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className))")
        .message("spec.className cannot change while there is a spec.identity: take spec.identity out first, then change the class")
}

fn open_to_the_internet() -> Rule {
    Rule::new("!has(self.expose) || self.expose.scheme != 'InternetFacing' || self.expose.acknowledgeUnauthenticated || (has(self.auth) && self.auth.mode != 'None')")
        .message("expose.scheme InternetFacing lets the whole internet call this server: set spec.auth.mode to ApiKey or Jwt, or expose.acknowledgeUnauthenticated to true if that is what you want")
}

fn policy_from_tools() -> Rule {
    Rule::new("!has(self.identity) || !has(self.identity.sessionPolicy) || self.identity.sessionPolicy.type != 'FromTools' || has(self.server.aws)")
        .message("identity.sessionPolicy FromTools is for spec.server.aws, whose tools declare their AWS actions: use type Inline with a policy, or None")
}

fn zero_only_when_stateless() -> Rule {
    Rule::new("!has(self.autoscaling) || !has(self.session) || self.session.mode == 'Stateless' || self.autoscaling.minReplicas > 0")
        .message("autoscaling to zero ends sessions: set session.mode to Stateless, or keep autoscaling.minReplicas at 1 or more")
}

/// Utilization is a share of what the container requests. A limit is a request where there is none; a bundled server has
/// both by itself. Without a trigger, CPU is the one.
fn utilization_needs_requests() -> Rule {
    Rule::new(
        "!has(self.autoscaling) || ((has(self.autoscaling.memory) ? ['memory'] : []) + (has(self.autoscaling.cpu) || !(has(self.autoscaling.memory) || has(self.autoscaling.schedule) || has(self.autoscaling.prometheus)) ? ['cpu'] : [])).all(name, has(self.resources) ? (has(self.resources.requests) && name in self.resources.requests) || (has(self.resources.limits) && name in self.resources.limits) : !has(self.server.image))",
    )
    .message("autoscaling by cpu or memory measures against what pods request: set spec.resources.requests of the same name, or scale by schedule or prometheus")
}

fn one_pod_for_state() -> Rule {
    let sqlite = |member: &str| {
        format!(
            "(has(it.{member}) && has(it.{member}.sqlite) && (it.{member}.writes != 'Off' || has(it.{member}.sqlite.persistence)))"
        )
    };
    let state = [
        sqlite("database"),
        sqlite("product"),
        "(has(it.order) && has(it.order.sqlite))".to_owned(),
        "(has(it.custom) && has(it.custom.kv) && it.custom.kv.backend != 'Valkey')".to_owned(),
    ];
    // Through a variable the API server knows no bounds of lists, and holds such a rule for too expensive.
    let own = "(has(self.server.filesystem) && has(self.volumes) && self.server.filesystem.roots.exists(root, root.access == 'ReadWrite' && self.volumes.exists(volume, volume.name == root.volume && has(volume.emptyDir))))";
    Rule::new(format!(
        "(self.replicas <= 1 && !has(self.autoscaling)) || !({own} || [self.server].exists(it, {}))",
        state.join(" || ")
    ))
    .message("this server keeps state in its pod (SQLite with writes or persistence, orders in SQLite, a key-value store in memory or on disk, a ReadWrite root in an emptyDir), so a second pod would not know it: set spec.replicas to 1 without autoscaling, or use postgres, Valkey or a volume that pods share")
}

fn consent_needs_a_key() -> Rule {
    let members = ["aws", "database", "filesystem", "product", "order"];
    let asks = members.map(|member| format!("(has(it.{member}) && it.{member}.writes == 'Consent')"));
    Rule::new(format!(
        "(self.replicas <= 1 && !has(self.autoscaling)) || (has(self.tools) && has(self.tools.consentKeyRef)) || ![self.server].exists(it, {})",
        asks.join(" || ")
    ))
    .message("writes: Consent with several replicas needs a key that all pods share: make a Secret with 32 random bytes and name it in spec.tools.consentKeyRef, or set spec.replicas to 1")
}

fn default_replicas() -> i32 {
    DEFAULT_REPLICAS
}
