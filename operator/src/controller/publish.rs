//! Writes the status; called only when it differs.

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use mcp_crds::{McpServer, McpServerStatus};
use serde_json::{Value, json};

use crate::{call::call, error::Error, vocabulary::STATUS_MANAGER};

/// Publishes a status. Returns the object as the API server now holds it.
///
/// The uid goes along, so that an object of the same name made anew never gets the status of the old one.
pub async fn status(client: &Client, server: &McpServer, status: &McpServerStatus) -> Result<Value, Error> {
    let name = server.name_any();
    let api: Api<McpServer> = Api::namespaced(client.clone(), &server.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": format!("{}/{}", mcp_crds::GROUP, mcp_crds::VERSION),
        "kind": "McpServer",
        "metadata": {"name": name, "uid": server.metadata.uid},
        "status": status,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    let patch = Patch::Apply(&body);
    let answer = api.patch_status(&name, &params, &patch);
    let answer = call("publish the status of", &format!("McpServer {name}"), answer).await?;
    serde_json::to_value(answer).map_err(|error| Error::Internal(error.to_string()))
}
