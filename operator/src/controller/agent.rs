//! Whether the agent that gives pods the credentials of their association is in the cluster: the DaemonSet of EKS's add-on.
//!
//! In: the cluster. Out: what people should know, if anything. One look serves every server for some minutes, and none is
//! taken where no server has an identity, nor in EKS Auto Mode, whose nodes have the agent built in. What cannot be looked
//! at is logged, and nothing is said of it.
//! Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html>.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    call::call,
    desired::exposure::{AUTO_MODE_CLASS, Balancers},
    rights::AGENT,
};

/// Where the add-on's DaemonSet is.
const NAMESPACE: &str = "kube-system";
/// How long a look counts.
const FRESH: Duration = Duration::from_mins(1);

/// What is known of the agent.
#[derive(Debug, Default)]
pub struct Agent {
    seen: Mutex<Option<(bool, Instant)>>,
}

impl Agent {
    /// Whether the agent is known to be missing. A server of `namespace` asks.
    pub(super) async fn is_missing(&self, client: &Client, balancers: &Balancers, namespace: &str) -> bool {
        if balancers.network_class == AUTO_MODE_CLASS {
            return false;
        }
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((missing, _)) = seen.filter(|(_, at)| at.elapsed() < FRESH) {
            return missing;
        }
        let api: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
        match call("look for", &format!("DaemonSet {AGENT}"), api.get_metadata_opt(AGENT)).await {
            Ok(found) => {
                let missing = found.is_none();
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((missing, Instant::now()));
                missing
            }
            Err(error) => {
                warn!(namespace, %error, "whether the agent of EKS Pod Identity is there is not known");
                false
            }
        }
    }
}
