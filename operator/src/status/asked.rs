//! Conditions that exist only while the spec asks for their part, and what it asks for in vain.

use mcp_crds::{McpServerSpec, expose::ExposeType};

use super::conditions::Conditions;
use crate::{
    desired::validate::left_out,
    vocabulary::{ConditionType, Reason},
};

/// Sets the conditions of the parts that the spec asks for.
pub(super) fn set(conditions: &mut Conditions<'_>, spec: &McpServerSpec) {
    let mut missing = |kind, message: &str| conditions.set(kind, false, Reason::NotYetSupported, message);
    if spec.expose.as_ref().is_some_and(|expose| expose.type_ != ExposeType::ClusterIP) {
        let message = "spec.expose.type is not acted on yet: the server is reached from inside the cluster only";
        missing(ConditionType::Exposed, message);
    }
}

/// What is said of a spec that is taken.
pub(super) fn accepted(spec: &McpServerSpec, paused: bool) -> (Reason, String) {
    let left_out = left_out(spec);
    let rest = if left_out.is_empty() { String::new() } else { format!("; not acted on yet: {}", left_out.join(", ")) };
    if paused {
        (Reason::Paused, format!("the spec is valid; nothing is written while spec.paused is true{rest}"))
    } else {
        (Reason::Valid, format!("the spec is valid{rest}"))
    }
}
