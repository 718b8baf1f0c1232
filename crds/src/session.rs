//! How clients and pods belong together, and how a pod ends.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::choice::choice;

choice! {
    /// Whether a client belongs to a pod.
    SessionMode {
        /// Any pod answers any request.
        Stateless,
        /// A session stays with the pod that opened it.
        Stateful,
    }
}

/// How clients and pods belong together, and how a pod ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Whether a client belongs to a pod.
    #[serde(default)]
    #[schemars(transform = SessionMode::explain)]
    pub mode: SessionMode,
    /// Seconds in which running calls may end when a pod stops.
    #[serde(default = "drain")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_seconds: i32,
}

impl Default for Session {
    fn default() -> Self {
        Self { mode: SessionMode::default(), drain_seconds: drain() }
    }
}

fn drain() -> i32 {
    20
}
