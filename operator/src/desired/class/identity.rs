//! Which roles a class allows.

use mcp_crds::{
    McpServerClassSpec, McpServerSpec,
    class::{AllowedIdentity, SessionPolicyRule},
    identity::SessionPolicyType,
};

use super::{Denied, pattern::begins};

pub(super) fn check(spec: &McpServerSpec, class: &McpServerClassSpec, denied: &mut Denied) {
    let Some(identity) = &spec.identity else { return };
    let Some(allowed) = &class.identity else {
        return denied.add("spec.identity", "the class allows no role: take it out, or set spec.identity of the class");
    };
    if let Some(role) = identity.role_arn.as_ref().filter(|role| !is_allowed(allowed, &allowed.allowed_role_arns, role))
    {
        denied.add("spec.identity.roleArn", not_allowed(role, "allowedRoleArns"));
    }
    if let Some(role) =
        identity.target_role_arn.as_ref().filter(|role| !is_allowed(allowed, &allowed.allowed_target_roles, role))
    {
        denied.add("spec.identity.targetRoleArn", not_allowed(role, "allowedTargetRoles"));
    }
    let has = identity.session_policy.as_ref().is_some_and(|policy| policy.type_ != SessionPolicyType::None);
    match allowed.session_policy {
        SessionPolicyRule::Required if !has => denied.add(
            "spec.identity.sessionPolicy",
            "the class wants a session policy: set type Inline or FromTools, or sessionPolicy Optional in the class",
        ),
        SessionPolicyRule::Forbidden if has => {
            denied.add("spec.identity.sessionPolicy", "the class forbids a session policy: take it out");
        }
        _ => {}
    }
    if allowed.require_role_consent_tag {
        denied.add(
            "spec.identity",
            "the class takes only roles whose tags consent, and tags of roles are not looked at yet: set \
             requireRoleConsentTag of the class to false",
        );
    }
}

/// Whether servers of the class may have a role.
pub(super) fn allows(class: &McpServerClassSpec, role: &str) -> bool {
    class.identity.as_ref().is_some_and(|allowed| is_allowed(allowed, &allowed.allowed_role_arns, role))
}

/// A path bounds what the list names; by itself it names nothing, since anybody's account may have it.
fn is_allowed(allowed: &AllowedIdentity, roles: &[String], role: &str) -> bool {
    let below = |path: &String| path_of(role).is_some_and(|of_role| of_role.starts_with(path.as_str()));
    begins(roles, role) && allowed.allowed_role_path.as_ref().is_none_or(below)
}

/// The path of a role, by its ARN: `/`, or one that begins and ends with a slash.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
fn path_of(role: &str) -> Option<&str> {
    let name = role.splitn(6, ':').last()?.strip_prefix("role")?;
    name.get(..=name.rfind('/')?)
}

fn not_allowed(role: &str, list: &str) -> String {
    format!(
        "the class does not allow {role}: name a role that it allows, or add this one to identity.{list} of the class"
    )
}
