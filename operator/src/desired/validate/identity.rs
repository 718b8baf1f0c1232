//! What the pods shall have in AWS, typed.

use mcp_crds::{
    McpServerSpec,
    identity::{Adoption, DeletionPolicy, SessionPolicyType},
};

use super::{Problems, session_policy};
use crate::identity::{Grant, associations::POLICY};

/// What the pods shall have in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Roles and policy.
    pub grant: Grant,
    /// Whether an association whose tags name this server is taken over.
    pub adopt: bool,
    /// Hash of the association that the pods get, once there is one.
    pub hash: Option<String>,
}

/// Whether the association of a server stays when the server goes. Never validates: cleanup has to go on.
#[must_use]
pub fn is_retained(spec: &McpServerSpec) -> bool {
    spec.identity.as_ref().is_some_and(|identity| identity.deletion_policy == DeletionPolicy::Retain)
}

pub(super) fn identity(spec: &McpServerSpec, problems: &mut Problems) -> Option<Wanted> {
    let identity = spec.identity.as_ref()?;
    if identity.role.is_some() {
        problems.not_yet("spec.identity.role", "the operator makes no roles yet: name one that exists in roleArn");
    }
    let policy = match &identity.session_policy {
        Some(session) if session.type_ == SessionPolicyType::FromTools => session_policy::from_tools(spec, problems),
        Some(session) if session.type_ == SessionPolicyType::Inline => {
            session.policy.clone().inspect(|policy| check(policy, problems))
        }
        _ => None,
    };
    let role_arn = identity.role_arn.clone().unwrap_or_default();
    if role_arn.is_empty() && identity.role.is_none() {
        problems.add("spec.identity", "names no role: set roleArn");
    }
    let disable_session_tags = policy.is_some();
    let target_role_arn = identity.target_role_arn.clone();
    let grant = Grant { role_arn, target_role_arn, policy, disable_session_tags };
    Some(Wanted { grant, adopt: identity.adoption == Adoption::IfTagged, hash: None })
}

fn check(policy: &str, problems: &mut Problems) {
    const FIELD: &str = "spec.identity.sessionPolicy.policy";
    let length = policy.chars().count();
    if length > POLICY {
        problems.too_large(
            FIELD,
            format!("has {length} characters, and EKS takes {POLICY}: name fewer actions or resources"),
        );
    }
    let object = serde_json::from_str::<serde_json::Value>(policy).is_ok_and(|policy| policy.is_object());
    if !object {
        problems
            .add(FIELD, "is no JSON object: write an IAM policy, {\"Version\": \"2012-10-17\", \"Statement\": […]}");
    }
}
