//! `/debug`: what the operator holds and does, and its log level.
//!
//! In: requests from the pod itself, which is where `kubectl port-forward` comes from. Out: JSON of bounded size; no
//! secret. Whoever reaches the port over the network gets 403, and so does a page in a browser: neither an Origin nor a
//! Host other than loopback is taken.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{HOST, ORIGIN},
    },
    middleware::{self, Next},
    response::{IntoResponse, Json, Response},
    routing::get,
};
use kube::runtime::reflector::Store;
use mcp_crds::McpServer;
use serde_json::{Value, json};
use tracing::info;

use crate::{context::Context, leader::State as Election, listed::Listed, settings::Settings, telemetry::Logs};

/// Longest body of a request: directives are short.
const BODY_LIMIT: usize = 4096;

/// Longest list in an answer.
const LIST_LIMIT: usize = 100;

/// What `/debug` shows.
#[expect(missing_debug_implementations, reason = "the context has nothing to show")]
pub struct Debug {
    /// The shell's hands.
    pub context: Arc<Context>,
    /// Which kinds have been listed.
    pub listed: Listed,
    /// Every server, to name those that wait.
    pub servers: Store<McpServer>,
    /// The settings.
    pub settings: Settings,
    /// The log level.
    pub logs: Logs,
    /// When the process began.
    pub started: Instant,
}

/// The routes under `/debug`.
pub fn routes(debug: Debug) -> Router {
    Router::new()
        .route("/debug/state", get(state))
        .route("/debug/log", get(log_level).put(set_log_level))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(from_loopback))
        .with_state(Arc::new(debug))
}

/// Lets through what comes from this machine, and was meant for it.
async fn from_loopback(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    if peer.ip().to_canonical().is_loopback() && meant_for_loopback(request.headers()) {
        return next.run(request).await;
    }
    let why = "expected a request from this pod to localhost: kubectl -n mcp-eks-system port-forward \
               deployment/mcp-eks-operator 8081, then curl localhost:8081/debug/state\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

/// A page in a browser can make it call any address: what it sends names its origin, or a host that is not ours.
fn meant_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    !headers.contains_key(ORIGIN) && matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

async fn log_level(State(debug): State<Arc<Debug>>) -> String {
    format!("{}\n", debug.logs.directives())
}

/// Sets the log level; it holds until it is set again, or the process ends.
async fn set_log_level(State(debug): State<Arc<Debug>>, body: Bytes) -> (StatusCode, String) {
    let before = debug.logs.directives();
    let set = str::from_utf8(&body).map_err(anyhow::Error::from).and_then(|text| debug.logs.set(text));
    match set {
        Ok(()) => {
            let now = debug.logs.directives();
            info!(before, now, "log level changed by PUT /debug/log");
            (StatusCode::OK, format!("{now}\n"))
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")),
    }
}

async fn state(State(debug): State<Arc<Debug>>) -> Json<Value> {
    Json(debug.state())
}

impl Debug {
    /// What the operator holds and does now.
    fn state(&self) -> Value {
        let Context { metrics, backoff, recent, leadership, .. } = self.context.as_ref();
        let kinds: Vec<_> = self
            .listed
            .kinds()
            .chain(self.listed.optional())
            .map(|(kind, listed)| json!({"kind": kind, "listed": listed, "objects": metrics.watches.held(kind)}))
            .collect();
        let running = metrics.queue.running();
        let under_work: Vec<_> = running
            .iter()
            .take(LIST_LIMIT)
            .map(|(server, age)| json!({"namespace": server.namespace, "name": server.name, "seconds": age.as_secs()}))
            .collect();
        let failing = backoff.failing();
        let longest: Vec<_> = failing
            .iter()
            .take(LIST_LIMIT)
            .map(|failing| {
                let server = self.servers.find(|server| server.metadata.uid.as_ref() == Some(&failing.uid));
                let metadata = server.map(|server| server.metadata.clone()).unwrap_or_default();
                json!({
                    "namespace": metadata.namespace, "name": metadata.name, "uid": failing.uid,
                    "failures": failing.failures, "againInSeconds": failing.again_in.as_secs(),
                })
            })
            .collect();
        let leader = match leadership.state() {
            Election::Leading => json!({"leads": true}),
            Election::Standby { leader } => json!({"leads": false, "leader": leader}),
        };
        let settings = &self.settings;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeSeconds": self.started.elapsed().as_secs(),
            "settings": {
                "serversImage": settings.servers_image,
                "clusterDomain": settings.cluster_domain,
                "adminListen": settings.admin_listen,
                "concurrency": settings.concurrency,
                "log": self.logs.directives(),
                // The URL may hold a password.
                "tracesAreSent": settings.otlp_endpoint.as_deref().is_some_and(|endpoint| !endpoint.is_empty()),
            },
            "election": leader,
            "kinds": kinds,
            "queue": {"waiting": metrics.queue.waiting(), "underWork": running.len(), "oldest": under_work},
            "backoff": {"failing": failing.len(), "worst": longest},
            "recentAnswers": recent.count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{HOST, HeaderMap, ORIGIN, meant_for_loopback};

    #[test]
    fn only_what_was_meant_for_this_machine_is_taken() {
        for (host, origin, taken) in [
            ("localhost:8081", None, true),
            ("127.0.0.1:8081", None, true),
            ("[::1]:8081", None, true),
            ("[::1]", None, true),
            ("localhost", None, true),
            ("attacker.example:8081", None, false),
            ("10.0.0.7:8081", None, false),
            ("localhost.attacker.example", None, false),
            ("localhost:8081", Some("http://attacker.example"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            headers.extend(origin.map(|origin| (ORIGIN, origin.parse().unwrap())));
            assert_eq!(meant_for_loopback(&headers), taken, "{host} {origin:?}");
        }
        assert!(!meant_for_loopback(&HeaderMap::new()));
    }
}
