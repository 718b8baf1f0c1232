//! Writes the status; called only when it differs.

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use mcp_crds::{McpServer, McpServerStatus};
use serde_json::{Value, json};

use crate::{context::CALL_DEADLINE, error::Error, vocabulary::STATUS_MANAGER};

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
    let object = format!("McpServer {name}");
    let action = "publish the status of";
    match tokio::time::timeout(CALL_DEADLINE, api.patch_status(&name, &params, &Patch::Apply(&body))).await {
        Ok(Ok(answer)) => serde_json::to_value(answer).map_err(|error| Error::Internal(error.to_string())),
        Ok(Err(source)) => Err(Error::Api { action, object, source: Box::new(source) }),
        Err(_) => Err(Error::Deadline { action, object, limit: CALL_DEADLINE }),
    }
}
