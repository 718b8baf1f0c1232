//! How kubelet looks at the health of a pod. Bundled servers answer on a port of their own; any other server is asked for
//! an open port, or for a path on its MCP port if the spec names one.

use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Valid,
    pod::{HEALTH_PORT_NAME, MCP_PORT_NAME},
    validate::Runs,
};

/// Looks in a row that fail before a pod gets no more traffic.
const UNREADY_AFTER: i32 = 2;
/// Seconds between two looks at whether a bundled server is alive, and how many fail before it is started anew.
const ALIVE: (i32, i32) = (10, 3);

/// Adds the probes of the server container.
pub(super) fn add(container: &mut Container, server: &Valid) {
    let spec = &server.probes;
    let ready = match &server.runs {
        Runs::Bundled(_) => {
            container.liveness_probe = Some(probe(server, http("/livez", HEALTH_PORT_NAME), ALIVE.0, ALIVE.1));
            http("/readyz", HEALTH_PORT_NAME)
        }
        Runs::Image(_) => spec.path.as_ref().map_or_else(tcp_open, |path| http(path, MCP_PORT_NAME)),
    };
    container.startup_probe = Some(probe(server, ready.clone(), 1, spec.startup_seconds));
    container.readiness_probe = Some(probe(server, ready, spec.period_seconds, UNREADY_AFTER));
}

fn http(path: &str, port: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

fn tcp_open() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String(MCP_PORT_NAME.to_owned()), host: None }),
        ..Probe::default()
    }
}

fn probe(server: &Valid, action: Probe, period: i32, failures: i32) -> Probe {
    Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        success_threshold: Some(1),
        timeout_seconds: Some(server.probes.timeout_seconds),
        ..action
    }
}
