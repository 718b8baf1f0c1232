//! When associations without a server are swept: every few minutes, by the operator that leads, once all servers are listed.
//!
//! In: the store of servers, and who leads. Out: rounds of [`Sweep`], whose deletions are logged. Touches no object of the
//! cluster. A round that fails is tried again at the next one's time: nothing waits for it.

use kube::runtime::reflector::{ObjectRef, Store};
use mcp_crds::McpServer;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    context::Context,
    identity::{
        Key,
        cached::LISTED,
        sweep::{Servers, Sweep},
    },
    leader::Leadership,
    listed::Listed,
};

/// What the operator sees of the cluster.
struct View<'a> {
    servers: &'a Store<McpServer>,
    /// The namespace that is watched; all of them without one.
    watched: Option<&'a str>,
    leadership: &'a Leadership,
}

impl Servers for View<'_> {
    fn exists(&self, key: &Key) -> bool {
        self.servers.get(&ObjectRef::new(&key.service_account).within(&key.namespace)).is_some()
    }

    fn watches(&self, namespace: &str) -> bool {
        self.watched.is_none_or(|watched| watched == namespace)
    }

    fn leads(&self) -> bool {
        self.leadership.leads()
    }
}

/// Sweeps for as long as the operator runs. Without a cluster in AWS there is nothing to sweep.
pub async fn run(context: &Context, servers: &Store<McpServer>, watched: Option<&str>, listed: Listed) {
    let Some(tending) = &context.identity else { return std::future::pending().await };
    // Who does not see all servers would take some for gone.
    listed.all().await;
    let view = View { servers, watched, leadership: &context.leadership };
    let mut sweep = Sweep::default();
    loop {
        sleep(LISTED).await;
        if !view.leads() {
            sweep = Sweep::default();
            continue;
        }
        match tending.sweep(&mut sweep, &view).await {
            Ok(deleted) => {
                for gone in deleted {
                    info!(key = %gone.key, id = gone.id, role = gone.grant.role_arn, "deleted the association of a server that is gone");
                }
            }
            Err(error) => warn!(%error, "associations without a server were not swept; tried again in five minutes"),
        }
    }
}
