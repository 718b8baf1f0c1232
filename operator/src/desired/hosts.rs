//! Under which names a server is reached, and its address.

use super::Valid;

/// URL of the MCP endpoint inside the cluster.
#[must_use]
pub fn internal_url(server: &Valid) -> String {
    let Valid { name, namespace, cluster_domain, .. } = server;
    url(name, namespace, cluster_domain, server.runs.port(), server.runs.path())
}

/// URL of a Service inside the cluster.
pub(super) fn url(name: &str, namespace: &str, cluster_domain: &str, port: i32, path: &str) -> String {
    format!("http://{name}.{namespace}.svc.{cluster_domain}:{port}{path}")
}

/// Every Host that a client inside the cluster may send, shortest first.
#[must_use]
pub fn internal(server: &Valid) -> Vec<String> {
    let Valid { name, namespace, cluster_domain, .. } = server;
    vec![
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.{cluster_domain}"),
    ]
}
