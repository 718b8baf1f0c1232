//! The Service: one port, MCP, and a second one where a Network Load Balancer is in front of it ([`super::nlb`]). Health stays
//! inside the pod network.
//!
//! Where clients belong to pods, it sends what comes from one address to one pod, for longer than a session may idle.
//! It says in the words of agentgateway and kagent that it speaks MCP, so that both find it by themselves.
//! Sources: <https://agentgateway.dev/docs/kubernetes/latest/mcp/dynamic-mcp/>, and the annotations in kagent's
//! `go/core/internal/controller/translator/agent`.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ClientIPConfig, Service, ServicePort, ServiceSpec, SessionAffinityConfig},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{ChildKind, Valid, labels, nlb, pod::MCP_PORT_NAME};
use crate::vocabulary::discovery;

/// What the API server takes where nothing is said; the kit ends sessions that were idle for half an hour.
const AFFINITY_SECONDS: i32 = 3 * 60 * 60;

pub(super) fn build(server: &Valid) -> Service {
    let mut metadata = labels::metadata(ChildKind::Service, server);
    metadata.labels.get_or_insert_default().insert(discovery::KAGENT_LABEL.to_owned(), "true".to_owned());
    metadata.annotations = Some(announcements(server));
    let mut service = Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            internal_traffic_policy: Some("Cluster".to_owned()),
            session_affinity: Some(if server.stateful { "ClientIP" } else { "None" }.to_owned()),
            session_affinity_config: server.stateful.then_some(SessionAffinityConfig {
                client_ip: Some(ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS) }),
            }),
            selector: labels::selector(server).match_labels,
            ports: Some(vec![ServicePort {
                name: Some(MCP_PORT_NAME.to_owned()),
                app_protocol: Some(discovery::APP_PROTOCOL.to_owned()),
                port: server.runs.port(),
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    nlb::add(&mut service, server);
    service
}

fn announcements(server: &Valid) -> BTreeMap<String, String> {
    [
        (discovery::AGENTGATEWAY_PATH, server.runs.path().to_owned()),
        (discovery::KAGENT_PATH, server.runs.path().to_owned()),
        (discovery::KAGENT_PORT, server.runs.port().to_string()),
        (discovery::KAGENT_PROTOCOL, "STREAMABLE_HTTP".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
