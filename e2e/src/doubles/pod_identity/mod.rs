//! What EKS adds to a cluster for Pod Identity, in doubles: neither its webhook nor its agent is to be had here.
//!
//! In: a cluster of tier node, and an AWS (MiniStack) that holds associations and roles. Out: pods whose ServiceAccount has
//! an association get its role, by the seams that AWS documents: a mutating [`webhook`] puts the variables and the token into
//! pods when they are admitted, the [`agent`] answers SDKs at 169.254.170.23 of the node, and behind it [`auth`] plays EKS
//! Auth's `AssumeRoleForPodIdentity`. The real ones could stand in the place of any of them.
//!
//! Missing: no agent is asked who it is (EKS wants the node's role to sign), nothing is cached, and there is no IPv6.

pub mod agent;
pub mod auth;
mod cloud;
mod inject;
mod place;
mod token;
pub mod webhook;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use self::{auth::Auth, cloud::Cloud, webhook::Webhook};
use crate::cluster::Cluster;

/// Audience of the tokens that the agent takes.
pub const AUDIENCE: &str = "pods.eks.amazonaws.com";
/// Where the agent answers in each node.
pub const AGENT: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);

/// The doubles of one cluster. Webhook and EKS Auth end with the suite, the rest with the cluster or [`Self::remove`].
pub struct PodIdentity {
    webhook: Webhook,
    auth: String,
    agent: place::Agent,
}

impl PodIdentity {
    /// Starts all three for a cluster that AWS, at `aws`, knows as `name`. `image` holds this program.
    pub async fn start(cluster: &Cluster, aws: &str, name: &str, image: &str) -> Result<Self> {
        let slot = cluster.state().slot.context("only a native cluster has a place for the doubles of EKS")?;
        let host = slot.link_host();
        let cloud = Cloud::new(aws, name);
        let (listener, address) = listen(host).await?;
        let routes = Auth::new(cluster.client(), cloud.clone()).routes();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let auth = format!("http://{address}");
        let (listener, address) = listen(host).await?;
        let webhook = Webhook::start(cluster.client(), cloud, listener, address).await?;
        let agent = place::Agent::install(cluster, image, &auth, name).await?;
        Ok(Self { webhook, auth, agent })
    }

    /// Where EKS Auth answers.
    #[must_use]
    pub fn auth(&self) -> &str {
        &self.auth
    }

    /// The webhook.
    #[must_use]
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Takes away what was put into the cluster and its node.
    pub async fn remove(&self) -> Result<()> {
        self.webhook.remove().await?;
        self.agent.remove().await
    }
}

async fn listen(host: Ipv4Addr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((host, 0)).await.with_context(|| format!("listen on {host}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
