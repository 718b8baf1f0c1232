//! The Service: one port, MCP. Health stays inside the pod network.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Valid, labels, pod::MCP_PORT_NAME};

pub(super) fn build(server: &Valid) -> Service {
    Service {
        metadata: labels::metadata(server),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            internal_traffic_policy: Some("Cluster".to_owned()),
            session_affinity: Some("None".to_owned()),
            selector: labels::selector(server).match_labels,
            ports: Some(vec![ServicePort {
                name: Some(MCP_PORT_NAME.to_owned()),
                app_protocol: Some("http".to_owned()),
                port: server.runs.port(),
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
