//! `eks_list_clusters`.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use mcp_kit::{Tool, ToolError};

use super::{listing, spread::paged};
use crate::{
    answer::{Chunk, answer, arguments, own, said, time},
    place::{Aws, Place, client},
};

/// Each is described by a request of its own.
const CLUSTERS: i32 = 20;
const AT_ONCE: usize = 4;

arguments!(List { ; cursor: String });
paged!(List);
answer!(Found {
    name: String, region: String, status: String ;
    version: String, platform: String, endpoint: String, private_endpoint: bool, public_endpoint: bool, created: String,
});

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![listing(aws, "eks_list_clusters", "List EKS clusters", "List clusters with version and status.", true, list)]
}

async fn list(_: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let eks = client!(aws_sdk_eks, place.reads());
    let request = eks.list_clusters().max_results(CLUSTERS).set_next_token(token);
    let listed = place.ask("eks:ListClusters", request.send()).await?;
    let described = listed.clusters().iter().cloned().map(|name| describe(&place, eks.clone(), name));
    let found = stream::iter(described).buffered(AT_ONCE).try_collect().await?;
    Ok(Chunk::new(found, listed.next_token()))
}

async fn describe(place: &Place, eks: aws_sdk_eks::Client, name: String) -> Result<Found, ToolError> {
    let answer = place.ask("eks:DescribeCluster", eks.describe_cluster().name(&name).send()).await?;
    let cluster = answer.cluster();
    let network = cluster.and_then(|cluster| cluster.resources_vpc_config());
    Ok(Found {
        region: place.region.clone(),
        status: said(cluster.and_then(|cluster| cluster.status()).map(|status| status.as_str())),
        version: cluster.and_then(|cluster| own(cluster.version())),
        platform: cluster.and_then(|cluster| own(cluster.platform_version())),
        endpoint: cluster.and_then(|cluster| own(cluster.endpoint())),
        private_endpoint: network.map(|network| network.endpoint_private_access()),
        public_endpoint: network.map(|network| network.endpoint_public_access()),
        created: cluster.and_then(|cluster| time(cluster.created_at())),
        name,
    })
}
