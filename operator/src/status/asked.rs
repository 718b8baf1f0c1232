//! What is said of a spec that is taken, and of what it asks for in vain.

use mcp_crds::McpServerSpec;

use crate::{desired::validate::left_out, vocabulary::Reason};

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
