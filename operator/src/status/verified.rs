//! The condition Verified, from what the probe knows; and what it means for Ready. Pure.
//!
//! A verdict stands until the probe has another: after a restart, and while new pods are being asked, nothing is
//! known yet, and a status that says so would be written twice for nothing.

use mcp_crds::{McpServer, McpServerStatus, status::McpStatus};

use super::{
    conditions::{Truth, bounded},
    rollout::Rollout,
};
use crate::{
    desired::is_guarded,
    probe::{Report, outcome::Wants},
    vocabulary::{ConditionType, Reason},
};

/// Bytes of a message. Three conditions may carry it, and beside the longest of others it is not cut once more: what was
/// published can be told from something else.
const MESSAGE_LIMIT: usize = 320;

/// The condition to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// Who, what came back, and what to do.
    pub message: String,
}

impl Verified {
    /// What keeps the server from being Ready, if anything does.
    #[must_use]
    pub fn obstacle(&self) -> Option<(Reason, String)> {
        let passes = self.truth == Truth::True || self.reason == Reason::AuthRequired;
        (!passes).then(|| (self.reason, self.message.clone()))
    }

    /// The reason of a server that is Ready.
    #[must_use]
    pub fn serving(&self) -> Reason {
        if self.truth == Truth::True { Reason::Serving } else { self.reason }
    }

    /// How many pods are ready, and on what that rests.
    #[must_use]
    pub fn count(&self, rollout: &Rollout) -> String {
        if self.truth == Truth::True {
            return rollout.count();
        }
        format!("{}, by the kubelet's word alone: {}", rollout.count(), self.message)
    }
}

/// Decides for one server.
#[must_use]
pub fn verified(server: &McpServer, last: &McpServerStatus, report: &Report, rollout: &Rollout) -> Verified {
    let unknown = |reason, message: &str| Verified { truth: Truth::Unknown, reason, message: message.to_owned() };
    match report {
        Report::Spoke(_) => Verified {
            truth: Truth::True,
            reason: Reason::ToolsListed,
            message: "every ready pod and the Service answer the MCP handshake and list their tools".to_owned(),
        },
        Report::Failed(who, failure) => {
            let what = format!("{who} {}", failure.what);
            // The server's own words may differ every time, and are no reason to write.
            let message = match verdict(last) {
                Some(verdict) if verdict.message.starts_with(&what) => verdict.message,
                _ if failure.quote.is_empty() => bounded(&what, MESSAGE_LIMIT),
                _ => bounded(&format!("{what}; it says: {:?}", failure.quote), MESSAGE_LIMIT),
            };
            Verified { truth: Truth::False, reason: failure.reason, message }
        }
        // Pods that the rollout replaces may know another key.
        Report::AuthRequired(who, Wants { scheme, shown: true }) if rollout.complete => Verified {
            truth: Truth::False,
            reason: Reason::ProbeFailed,
            message: format!(
                "{who} wants credentials ({scheme}) and does not take the operator's token: is its clock right, and does \
                 its image know the setting probeKey"
            ),
        },
        Report::AuthRequired(who, Wants { scheme, .. }) if may_ask(server) => Verified {
            truth: Truth::Unknown,
            reason: Reason::AuthRequired,
            message: format!("{who} wants credentials ({scheme}), which the operator does not have"),
        },
        Report::AuthRequired(who, Wants { scheme, .. }) => Verified {
            truth: Truth::False,
            reason: Reason::ProbeFailed,
            message: format!("{who} wants credentials ({scheme}), and nothing in the spec asks it to"),
        },
        Report::Nobody if !rollout.serving && rollout.desired == 0 => {
            unknown(Reason::ScaledToZero, "no pod runs, so none was asked for its tools")
        }
        Report::Nobody if !rollout.serving => {
            unknown(Reason::WaitingForPods, "no pod is ready, so none was asked for its tools")
        }
        Report::Pending | Report::Nobody => verdict(last)
            .unwrap_or_else(|| unknown(Reason::Probing, "the pods and the Service are being asked for their tools")),
    }
}

/// Whether a server may want credentials: nobody knows what a foreign one wants, and ours do what the spec says.
fn may_ask(server: &McpServer) -> bool {
    server.spec.server.image.is_some() || is_guarded(&server.spec)
}

/// What the server says of itself: its last word, until it has another or none.
#[must_use]
pub fn says(last: &McpServerStatus, report: &Report) -> Option<McpStatus> {
    match report {
        Report::Spoke(spoken) => Some(McpStatus {
            era: Some(spoken.era.to_owned()),
            protocol_versions: spoken.protocol_versions.clone(),
            server_name: spoken.server_name.clone(),
            server_version: spoken.server_version.clone(),
            capabilities: spoken.capabilities.clone(),
            tool_count: Some(spoken.tool_count),
            tools_digest: Some(spoken.tools_digest.clone()),
            inventory_ref: None,
        }),
        Report::Pending | Report::Nobody => last.mcp.clone(),
        Report::Failed(..) | Report::AuthRequired(..) => None,
    }
}

/// What was published last, if it was the word of a probe.
fn verdict(last: &McpServerStatus) -> Option<Verified> {
    let verified = ConditionType::Verified.as_str();
    let condition = last.conditions.iter().find(|condition| condition.type_ == verified)?;
    let reason = *Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason)?;
    let truth = match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ if reason == Reason::AuthRequired => Truth::Unknown,
        _ => return None,
    };
    Some(Verified { truth, reason, message: condition.message.clone() })
}
