//! The one client of the API server, and what every request passes on its way.
//!
//! In: a cluster's configuration and the fence. Out: the client. The layers stand here, outermost last.

use anyhow::Context as _;
use http::header::{HeaderValue, USER_AGENT};
use kube::{Client, Config, client::ClientBuilder};

use crate::{leader::fence::Fence, metrics::Metrics};

/// Makes the client. `identity` becomes part of the User-Agent, so that an audit log tells operators apart.
pub fn connect(mut config: Config, identity: &str, fence: &Fence, metrics: &Metrics) -> anyhow::Result<Client> {
    // kube would try a refused write again for minutes, under the fence and out of sight. The streams, the reconciles
    // and the election each have a backoff of their own.
    config.default_retry = false;
    let agent = format!("mcp-eks-operator/{} ({identity})", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::from_str(&agent).context("the host's name does not fit into a User-Agent")?;
    config.headers.push((USER_AGENT, agent));
    let requests = metrics.requests.layer(config.cluster_url.authority().map_or("", |host| host.as_str()));
    let builder = ClientBuilder::try_from(config).context("cannot make a client from the cluster's configuration")?;
    // Innermost: what it refuses never left.
    Ok(builder.with_layer(fence).with_layer(&requests).build())
}
