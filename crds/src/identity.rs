//! What the server may do in AWS: a role, given to its pods by EKS Pod Identity.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, rule};

/// What the server may do in AWS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&["roleArn", "role"], "set exactly one of roleArn, a role that exists, and role, one that the operator makes"))]
pub struct Identity {
    /// The role that the pods get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(validation = rule::role_arn())]
    pub role_arn: Option<String>,
    /// A role that the operator makes for this server, and removes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// A role of another account that the pods get by way of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(validation = rule::role_arn())]
    pub target_role_arn: Option<String>,
    /// What is left of the role's permissions in this server's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_policy: Option<SessionPolicy>,
    /// What to do with an association that is there already.
    #[serde(default)]
    #[schemars(transform = Adoption::explain)]
    pub adoption: Adoption,
    /// What becomes of the association when the McpServer is deleted.
    #[serde(default)]
    #[schemars(transform = DeletionPolicy::explain)]
    pub deletion_policy: DeletionPolicy,
}

/// A role that the operator makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::at_least_one(&["managedPolicyArns", "inlinePolicy"], "the role may do nothing: set managedPolicyArns, inlinePolicy or both"))]
pub struct Role {
    /// ARNs of managed policies to attach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(min = 20, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = rule::all_match(
        "^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]+$",
        "not a list of policy ARNs: write arn:aws:iam::aws:policy/NAME or arn:aws:iam::123456789012:policy/NAME"
    ))]
    pub managed_policy_arns: Vec<String>,
    /// A policy of its own, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 10_240))]
    pub inline_policy: Option<String>,
}

choice! {
    /// Where a session policy comes from.
    SessionPolicyType {
        /// There is none: the pods may do all that the role may.
        None,
        /// Made from the tools that are turned on; for servers whose tools declare their AWS actions.
        FromTools,
        /// Given in policy.
        Inline,
    }
}

/// What is left of the role's permissions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Inline') == has(self.policy)")
    .message("set policy with type Inline, and leave it out with any other"))]
pub struct SessionPolicy {
    /// Where it comes from.
    #[serde(rename = "type")]
    #[schemars(transform = SessionPolicyType::explain)]
    pub type_: SessionPolicyType,
    /// The policy, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2048))]
    pub policy: Option<String>,
}

choice! {
    /// What to do with an association that is there already.
    Adoption {
        /// It is left alone, and no pod starts.
        Never,
        /// It is taken over if its tags name this McpServer.
        IfTagged,
    }
}

choice! {
    /// What becomes of what was made in AWS.
    DeletionPolicy {
        /// It goes too.
        Delete,
        /// It stays.
        Retain,
    }
}
