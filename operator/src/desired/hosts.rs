//! Under which names a server is reached, and its address.

use super::Valid;

/// URL of the MCP endpoint inside the cluster.
#[must_use]
pub fn internal_url(server: &Valid) -> String {
    let Valid { name, namespace, cluster_domain, .. } = server;
    url(name, namespace, cluster_domain, server.runs.port(), server.runs.path())
}

/// URL of the MCP endpoint through the load balancer: under the first name of its own, or that of the load balancer as soon
/// as it has one. None if there is no load balancer.
#[must_use]
pub fn external_url(server: &Valid) -> Option<String> {
    let exposure = server.exposure.as_ref()?;
    let host = server.hosts.first().or(server.balancer.as_ref())?;
    Some(format!("{}://{host}{}", exposure.scheme(), server.runs.path()))
}

/// Every Host that a client may send: those inside the cluster, those of the spec, and that of a load balancer that has no
/// other name.
#[must_use]
pub fn all(server: &Valid) -> Vec<String> {
    let late = server.balancer.iter().filter(|_| server.exposure.is_some() && server.hosts.is_empty());
    internal(server).into_iter().chain(server.hosts.clone()).chain(late.cloned()).collect()
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
