//! Tier api: what the API server refuses, and what the operator writes, to the single request. Nothing runs here, so
//! every write in the audit log is ours to explain.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use futures::FutureExt;
use mcp_e2e::{
    audit::{Event, Mark},
    cluster::{Cluster, Tier},
    install::{OPERATOR_NAMESPACE, OPERATOR_USER},
    suite::{self, Test, objects::Space, operator::OperatorProcess},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

mod admitted;
mod allowed;
mod asked;
mod exposed;
mod healed;
mod kept;
mod refused;
mod scaled;
mod told;
mod written;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time in which an operator that wants to write does: debounce, a stale store, a second thought.
const QUIET: Duration = Duration::from_secs(7);

struct Fixture {
    operator: Mutex<OperatorProcess>,
    cluster: Arc<Cluster>,
}

impl Fixture {
    async fn space(&self, name: &str) -> Result<Space> {
        Space::create(&self.cluster.client(), name).await
    }

    /// What the operator asked the API server to change since a mark in the audit log.
    fn writes_since(&self, mark: Mark) -> Result<Vec<Event>> {
        let events = self.cluster.audit_log().since(mark)?;
        let ours = |event: &Event| event.user == OPERATOR_USER && event.is_write() && !event.is_housekeeping();
        Ok(events.into_iter().filter(ours).collect())
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a spec that cannot be is refused with words that mend it", |f| refused::all(f).boxed_local()),
        ("every sample is taken", |f| written::samples(f).boxed_local()),
        ("a new object says that nobody has looked at it, and has two replicas", |f| {
            written::defaults(f).boxed_local()
        }),
        ("a server becomes six children and one status, by seven writes", |f| written::seven_writes(f).boxed_local()),
        ("a restarted operator writes nothing", |f| written::restart(f).boxed_local()),
        (
            "the probe's key is made when a server asks who calls, outlives a restart, and is replaced by deleting it",
            |f| kept::key(f).boxed_local(),
        ),
        ("what was added to the Deployment by hand goes away, and then there is rest", |f| {
            healed::vandals(f).boxed_local()
        }),
        ("a child deleted by hand is back at once", |f| healed::deleted_child(f).boxed_local()),
        ("an env var taken out of the spec leaves the pods", |f| written::env_removed(f).boxed_local()),
        ("every field that is acted on is written once", |f| asked::settles(f).boxed_local()),
        ("a paused server is left as it is, and goes on when it is not", |f| asked::paused(f).boxed_local()),
        ("what cannot be done yet is refused by name, or left out by name", |f| asked::not_yet(f).boxed_local()),
        ("an identity that AWS does not give is told, and no pod starts without it", |f| {
            asked::identity(f).boxed_local()
        }),
        ("nobody gets by a server what is not theirs, with the admission policy and without it", |f| {
            admitted::rights(f).boxed_local()
        }),
        ("a rollout restart and a second field manager are left alone", |f| written::other_managers(f).boxed_local()),
        ("a name that is taken stalls, nothing is touched, and it goes on when the name is free", |f| {
            told::name_conflict(f).boxed_local()
        }),
        ("an object of another owner is never touched, whatever its kind", |f| told::every_name(f).boxed_local()),
        ("an invalid edit stalls and leaves the children as they were", |f| told::invalid_edit(f).boxed_local()),
        ("a change of condition is one Event", |f| told::events(f).boxed_local()),
        ("a server of the same name made anew gets a status of its own", |f| written::made_anew(f).boxed_local()),
        ("kubectl scale reaches the Deployment", |f| written::scale(f).boxed_local()),
        ("what was added to the Service by hand goes away", |f| healed::service_vandal(f).boxed_local()),
        ("what was changed by hand in the other children goes away", |f| healed::other_vandals(f).boxed_local()),
        ("what the spec no longer asks for is deleted, and nothing that is not ours", |f| {
            written::pruned(f).boxed_local()
        }),
        ("a ConfigMap that a server names rolls its pods, and nobody else's", |f| written::config_map(f).boxed_local()),
        ("KEDA is noticed when it comes and when it goes, and no server waits for it", |f| {
            scaled::comes_and_goes(f).boxed_local()
        }),
        ("a load balancer of either kind is asked for, told of, and asked for no longer", |f| {
            exposed::both(f).boxed_local()
        }),
        ("an operator for one namespace asks for nothing outside of it", |f| allowed::one_namespace(f).boxed_local()),
        ("every right of the operator was used, and none was missing", |f| allowed::rights(f).boxed_local()),
        // After the look back: it is denied on purpose.
        ("a right that is taken away is named, and given back it is enough", |f| allowed::revoked(f).boxed_local()),
        ("pods roll for a changed Secret where the owner of the namespace has granted it", |f| {
            allowed::secrets::roll(f).boxed_local()
        }),
    ];
    suite::run(
        "suite-api",
        Tier::Api,
        BINARY,
        async |cluster| {
            OperatorProcess::manifests(&cluster).await?;
            // Nobody answers there: what becomes of an identity is the matter of suite identity.
            let settings = vec![
                ("MCP_EKS_CLUSTER_NAME", "suite".to_owned()),
                ("MCP_EKS_LOAD_BALANCER_CIDRS", "10.0.0.0/20,10.0.16.0/20".to_owned()),
                ("AWS_REGION", "us-west-2".to_owned()),
                ("AWS_ENDPOINT_URL_EKS", "http://127.0.0.1:1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "test".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ];
            let bin_dir = suite::bin_dir(BINARY);
            let operator = OperatorProcess::start_with(&cluster, &bin_dir, OPERATOR_NAMESPACE, settings).await?;
            Ok(Fixture { operator: Mutex::new(operator), cluster })
        },
        tests,
    )
}

fn filesystem() -> Value {
    json!({
        "server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}},
        "volumes": [{"name": "data", "emptyDir": {}}],
    })
}
