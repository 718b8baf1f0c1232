//! `McpServerClass`: what servers of a class may do, as platform admins write it. What is not allowed is denied.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    choice::choice,
    expose::{ExposeType, Scheme},
    network::{LabelValue, Network, Selector},
    pod::{AnnotationValue, Resources},
    quantity::Quantity,
    rule,
    scheduling::{Disruption, Probes, Scheduling},
    session::Session,
    watch::{Audit, Telemetry},
};

/// What servers of this class may do; what is not allowed is denied.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "mcp-eks.dev",
    version = "v1alpha1",
    kind = "McpServerClass",
    plural = "mcpserverclasses",
    singular = "mcpserverclass",
    shortname = "emcpc",
    category = "mcp-eks",
    derive = "PartialEq",
    doc = "What the McpServers that name this class may do, and what they get where their own spec says nothing. Platform admins write it; what it does not allow is denied.",
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".spec.allowedNamespaces.names"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct McpServerClassSpec {
    /// Namespaces whose McpServers may name this class; none, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// Roles in AWS that servers may have; none, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<AllowedIdentity>,
    /// Images that servers may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<AllowedImages>,
    /// Names of the Secrets that servers may read; a name may end in *. None, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub secret_names: Vec<String>,
    /// What is relaxed of the pods' security, for images that need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// How servers may be reached beside from inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<AllowedExpose>,
    /// Volumes that servers may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<AllowedVolumes>,
    /// Where servers may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<AllowedScheduling>,
    /// The most that one server may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What servers may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<AllowedEgress>,
    /// What servers get where their own spec says nothing; never written into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
}

/// Namespaces by name or by label; either is enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct AllowedNamespaces {
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Labels of namespaces; all namespaces, if it has no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

choice! {
    /// Whether servers have a session policy.
    SessionPolicyRule {
        /// A server without one is refused.
        Required,
        /// A server may have one.
        Optional,
        /// A server with one is refused.
        Forbidden,
    }
}

/// Roles in AWS that servers may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedIdentity {
    /// ARNs of roles for identity.roleArn; one may end in *.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 20, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_role_arns: Vec<String>,
    /// Path below which every role has to be, for example /mcp/.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rule::matches("^/([A-Za-z0-9+=,.@_-]+/)*$", "not a path of roles: begin and end it with a slash, for example /mcp/"))]
    pub allowed_role_path: Option<String>,
    /// ARNs of roles for identity.targetRoleArn; one may end in *.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 20, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_target_roles: Vec<String>,
    /// Whether servers have a session policy.
    #[serde(default)]
    #[schemars(transform = SessionPolicyRule::explain)]
    pub session_policy: SessionPolicyRule,
    /// Takes only roles whose tag mcp-eks.dev/allowed names the cluster and the server's namespace.
    #[serde(default)]
    pub require_role_consent_tag: bool,
}

/// Images that servers may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedImages {
    /// How the reference of an image may begin, for example 123456789012.dkr.ecr.us-west-2.amazonaws.com/; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_prefixes: Vec<String>,
    /// Takes only images by digest.
    #[serde(default)]
    pub require_digest: bool,
}

/// What is relaxed of the pods' security.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurity {
    /// Whether containers can write only to their volumes.
    #[serde(default)]
    #[schemars(transform = RootFilesystem::explain)]
    pub root_filesystem: RootFilesystem,
    /// User that containers run as; 10001, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
}

choice! {
    /// What a container may do to its root.
    RootFilesystem {
        /// Read it.
        ReadOnly,
        /// Read and write it.
        ReadWrite,
    }
}

/// How servers may be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedExpose {
    /// Values of expose.type that servers may have beside ClusterIP: LoadBalancer, Ingress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_types: Vec<ExposeType>,
    /// Values of expose.scheme that servers may have beside Internal: InternetFacing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_schemes: Vec<Scheme>,
    /// Values of expose.group that servers may have: whoever is in a group shares its load balancer. None, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_groups: Vec<String>,
    /// Annotations that a server's own spec may put on Services and Ingresses; a key may end in *.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 316)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_annotations: Vec<String>,
}

choice! {
    /// A kind of volume.
    VolumeType {
        /// Keys of a ConfigMap.
        ConfigMap,
        /// Keys of a Secret.
        Secret,
        /// An empty directory.
        EmptyDir,
        /// A PersistentVolumeClaim.
        PersistentVolumeClaim,
        /// A volume of a CSI driver.
        Csi,
    }
}

/// Volumes that servers may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedVolumes {
    /// Kinds of volumes: ConfigMap, Secret, EmptyDir, PersistentVolumeClaim, Csi.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_types: Vec<VolumeType>,
    /// CSI drivers, for example efs.csi.aws.com; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_csi_drivers: Vec<String>,
}

/// Where servers may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedScheduling {
    /// Labels that every node of such a server carries, added to its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, LabelValue>,
    /// PriorityClasses that servers may name; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_priority_classes: Vec<String>,
    /// RuntimeClasses that servers may name; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_runtime_classes: Vec<String>,
    /// Keys of taints that servers may tolerate; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 316)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_taints: Vec<String>,
}

/// The most that one server may ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The most pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: Option<i32>,
    /// The most CPU of a container, requests and limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// The most memory of a container, requests and limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// What servers may reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedEgress {
    /// Names of hosts for network.egress.hosts; a name may begin with *. None, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_hosts: Vec<String>,
    /// Blocks of addresses that those of network.egress.cidrs have to lie in; none, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 3, max = 43)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::cidrs())]
    pub allowed_cidrs: Vec<String>,
}

/// What servers get where their own spec says nothing: each part as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Defaults {
    /// Stands in for spec.session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Stands in for spec.resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Stands in for spec.scheduling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// Stands in for spec.disruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
    /// Stands in for spec.probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// Stands in for spec.network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Stands in for spec.audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Stands in for spec.telemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Joined to spec.podLabels, whose values win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_labels: BTreeMap<String, LabelValue>,
    /// Joined to spec.podAnnotations, whose values win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_annotations: BTreeMap<String, AnnotationValue>,
}
