//! The words of the project that outsiders see: labels, annotations, field managers, condition types and reasons.
//!
//! Each list lives here alone; a test holds it unique and documented in `docs/reference/conditions.md`.

/// Field manager of everything the operator applies.
pub const FIELD_MANAGER: &str = "mcp-eks-operator";
/// Field manager that holds the number of pods from the moment the operator lets go of it until an autoscaler sets it.
pub const HANDOVER_MANAGER: &str = "mcp-eks-operator-handover";
/// Field manager of the status subresource.
pub const STATUS_MANAGER: &str = "mcp-eks-operator-status";

/// Who reports an Event.
pub const EVENT_REPORTER: &str = "mcp-eks.dev/operator";
/// What was done when an Event came about.
pub const EVENT_ACTION: &str = "Reconcile";

/// Value of `app.kubernetes.io/managed-by` on every child.
pub const MANAGED_BY: &str = "mcp-eks";
/// Selects every child of every server.
pub const MANAGED_SELECTOR: &str = "app.kubernetes.io/managed-by=mcp-eks";
/// Label on every child and pod: the name of its `McpServer`.
pub const SERVER_LABEL: &str = "mcp-eks.dev/server";
/// Annotation on every child: a hash of what was applied, so that a field dropped from the spec is noticed.
pub const APPLIED_HASH: &str = "mcp-eks.dev/applied-hash";
/// Annotation of the pod template: a hash of the settings file, which a server reads at its start alone.
pub const SETTINGS_HASH: &str = "mcp-eks.dev/settings-hash";
/// Annotation of the pod template: a hash of which ConfigMaps the spec names and of their versions.
pub const CONFIG_MAPS_HASH: &str = "mcp-eks.dev/config-maps-hash";
/// Annotation of the pod template: changes with the Secrets that the spec names, where the operator may see that they do.
pub const SECRETS_HASH: &str = "mcp-eks.dev/secrets-hash";

/// Annotation of the pod template: a hash of the association and of what it gives, so that pods roll when that changes.
pub const IDENTITY_HASH: &str = "mcp-eks.dev/identity-hash";
/// Finalizer of a server that has, or may have, an association.
pub const FINALIZER: &str = "mcp-eks.dev/identity";

/// Words of other projects, by which they find an MCP server behind a Service.
pub mod discovery {
    /// `appProtocol` of the port, for agentgateway.
    pub const APP_PROTOCOL: &str = "agentgateway.dev/mcp";
    /// Annotation: path of the endpoint.
    pub const AGENTGATEWAY_PATH: &str = "agentgateway.dev/mcp-path";
    /// Label with the value `true`: kagent lists the Service as a tool server.
    pub const KAGENT_LABEL: &str = "kagent.dev/mcp-service";
    /// Annotation: path of the endpoint.
    pub const KAGENT_PATH: &str = "kagent.dev/mcp-service-path";
    /// Annotation: port of the endpoint.
    pub const KAGENT_PORT: &str = "kagent.dev/mcp-service-port";
    /// Annotation: transport of the endpoint.
    pub const KAGENT_PROTOCOL: &str = "kagent.dev/mcp-service-protocol";
}

/// Type of a status condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// A client can use the server.
    Ready,
    /// The spec is valid.
    Accepted,
    /// Pods have the identity in AWS that the spec asks for; absent if it asks for none.
    IdentityReady,
    /// The Deployment has its minimum of ready pods.
    Available,
    /// Every pod that gets traffic, and the Service, speak MCP.
    Verified,
    /// The server is reached from outside as the spec asks for; absent if it does not.
    Exposed,
    /// KEDA decides the number of pods; absent if the spec does not ask for it and KEDA has let go of it.
    Scaling,
    /// The operator is working on it; absent otherwise.
    Reconciling,
    /// Only a person can mend it; absent otherwise.
    Stalled,
}

impl ConditionType {
    /// Every type, in the order in which status lists them.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Accepted,
        Self::IdentityReady,
        Self::Available,
        Self::Verified,
        Self::Exposed,
        Self::Scaling,
        Self::Reconciling,
        Self::Stalled,
    ];

    /// The type as it stands in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Accepted => "Accepted",
            Self::IdentityReady => "IdentityReady",
            Self::Available => "Available",
            Self::Verified => "Verified",
            Self::Exposed => "Exposed",
            Self::Scaling => "Scaling",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition is as it is: a closed list, and part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason as it stands in status.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// Enough pods are ready, and the server is reachable.
    Serving,
    /// Every pod that gets traffic, and the Service, answered the handshake and listed their tools.
    ToolsListed,
    /// The operator is asking them.
    Probing,
    /// One of them does not speak MCP, or cannot be reached.
    ProbeFailed,
    /// One of them does not answer in time.
    ProbeTimeout,
    /// The server refuses the name under which clients know it.
    HostNotAllowed,
    /// The server speaks no revision of MCP that the operator knows.
    ProtocolMismatch,
    /// The server wants credentials, which the operator does not have.
    AuthRequired,
    /// The spec is valid.
    Valid,
    /// The spec asks for something that cannot be; the message lists all problems.
    InvalidSpec,
    /// The spec asks for something that its class does not allow; the message lists all of it.
    ClassDenied,
    /// The spec asks for something that this version cannot do; the message lists it.
    NotYetSupported,
    /// The session policy made from the tools is longer than EKS takes.
    PolicyTooLarge,
    /// The operator writes nothing, because the spec says so.
    Paused,
    /// A child's name is taken by an object that is not ours.
    NameConflict,
    /// Children of the same name are still going away.
    WaitingForDeletion,
    /// Children are being created or changed.
    Progressing,
    /// Pods are starting.
    WaitingForPods,
    /// The spec asks for no pods.
    ScaledToZero,
    /// The load balancer has an address, and pods are ready when it holds them for healthy.
    LoadBalancerReady,
    /// The load balancer has no address yet.
    WaitingForLoadBalancer,
    /// The operator does not know from where load balancers call, so that the NetworkPolicy keeps this one out.
    LoadBalancerCidrsMissing,
    /// The load balancer has an address, and pods are ready before it knows them.
    ReadinessGatesMissing,
    /// KEDA decides the number of pods.
    Autoscaling,
    /// The cluster has no KEDA: the number of pods stays as it is.
    KedaMissing,
    /// KEDA has not looked at the ScaledObject yet.
    WaitingForKeda,
    /// KEDA has made its HorizontalPodAutoscaler, and that has nothing to scale by: nobody tells it the load.
    WaitingForMetrics,
    /// KEDA cannot scale by what the spec says.
    ScalerFailed,
    /// The number of pods is held where it is, by request.
    ScalingPaused,
    /// The ScaledObject is going away; then the number of pods is that of the spec.
    HandingBack,
    /// An image cannot be pulled.
    ImagePullFailed,
    /// A container ends again and again.
    PodsCrashLooping,
    /// A container cannot be created: a Secret, ConfigMap or key it names is missing.
    PodConfigMissing,
    /// A volume cannot be mounted: its ConfigMap, Secret or key is missing.
    VolumeNotMounted,
    /// The node cannot make the sandbox that containers run in: too little memory, no network.
    PodSandboxFailed,
    /// No node takes the pod.
    PodsUnschedulable,
    /// The cluster refuses to make pods: quota, admission.
    PodsRefused,
    /// Pods do not become ready, and nothing says why.
    RolloutStuck,
    /// The association is as the spec asks, and AWS has had time to show it to pods.
    Associated,
    /// The association is being made, changed or settled; pods wait for it.
    WaitingForAssociation,
    /// Pods lack the credentials that EKS puts into those that start after their association.
    PodsPredateAssociation,
    /// The ServiceAccount has an association that is not of this server; no pod starts.
    ForeignAssociation,
    /// The operator does not know which EKS cluster this is.
    AwsNotConfigured,
    /// AWS says that it is asked too often.
    AwsThrottled,
    /// The operator lacks a right in AWS, or credentials.
    AwsDenied,
    /// AWS refuses the association as it is asked for.
    AwsRefused,
    /// AWS does not answer.
    AwsUnavailable,
    /// The API server refuses a child.
    ApplyRefused,
    /// The API server cannot be used now.
    ApiUnavailable,
    /// The operator itself failed; it is logged and counted.
    Bug,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ConditionType, Reason};

    const REFERENCE: &str = include_str!("../../docs/reference/conditions.md");

    #[test]
    fn every_condition_type_and_reason_is_unique_and_documented() {
        let types: BTreeSet<_> = ConditionType::ALL.iter().map(|kind| kind.as_str()).collect();
        let reasons: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!((types.len(), reasons.len()), (ConditionType::ALL.len(), Reason::ALL.len()));
        for word in types.iter().chain(&reasons) {
            assert!(
                REFERENCE.contains(&format!("| `{word}` |")),
                "docs/reference/conditions.md lacks a row for {word}"
            );
        }
    }

    #[test]
    fn the_reference_documents_nothing_that_does_not_exist() {
        for row in REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
            let known = ConditionType::ALL.iter().any(|kind| kind.as_str() == row)
                || Reason::ALL.iter().any(|reason| reason.as_str() == row);
            assert!(known, "{row} is documented, but no condition type or reason");
        }
    }
}
