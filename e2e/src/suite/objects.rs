//! Objects of the suites: made from a few words of JSON, looked at in terms of what a test says.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use mcp_crds::{McpServer, McpServerClass};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::eventually;

/// Longest wait for what takes the operator moments: a condition, a healed child. The promise is 5 s.
pub const SOON: Duration = Duration::from_secs(5);

/// Makes a class, or makes it this.
pub async fn class(client: &Client, name: &str, spec: Value) -> Result<McpServerClass> {
    let object = json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServerClass", "metadata": {"name": name}, "spec": spec,
    });
    let params = PatchParams::apply("suite").force();
    Ok(Api::all(client.clone()).patch(name, &params, &Patch::Apply(object)).await?)
}

/// One namespace and the things in it.
#[derive(Clone)]
pub struct Space {
    /// The API server, with all rights.
    pub client: Client,
    /// Its name.
    pub name: String,
}

impl Space {
    /// Makes a namespace, under the restricted Pod Security Standard.
    pub async fn create(client: &Client, name: &str) -> Result<Self> {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self { client: client.clone(), name: name.to_owned() })
    }

    /// A space that is there already.
    #[must_use]
    pub fn existing(client: &Client, name: &str) -> Self {
        Self { client: client.clone(), name: name.to_owned() }
    }

    /// The servers in it.
    #[must_use]
    pub fn servers(&self) -> Api<McpServer> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The Deployments in it.
    #[must_use]
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The Services in it.
    #[must_use]
    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The ServiceAccounts in it.
    #[must_use]
    pub fn service_accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The ConfigMaps in it.
    #[must_use]
    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The NetworkPolicies in it.
    #[must_use]
    pub fn network_policies(&self) -> Api<NetworkPolicy> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// The PodDisruptionBudgets in it.
    #[must_use]
    pub fn disruption_budgets(&self) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Makes a server.
    pub async fn apply(&self, name: &str, spec: Value) -> Result<McpServer> {
        let object = json!({
            "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name}, "spec": spec,
        });
        let server: McpServer = serde_json::from_value(object)?;
        Ok(self.servers().create(&PostParams::default(), &server).await?)
    }

    /// Merges a patch into a server's spec.
    pub async fn edit(&self, name: &str, spec: Value) -> Result<McpServer> {
        let patch = Patch::Merge(json!({"spec": spec}));
        Ok(self.servers().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Deletes a server and waits until its children are gone too.
    pub async fn delete(&self, name: &str, limit: Duration) -> Result<()> {
        self.servers().delete(name, &DeleteParams::default()).await?;
        eventually(&format!("every child of {name} is gone"), limit, async || {
            let children = self.children(name).await?;
            Ok(if children.is_empty() { Ok(()) } else { Err(format!("there is still {}", children.join(", "))) })
        })
        .await
    }

    /// Kinds of the children a server has.
    pub async fn children(&self, name: &str) -> Result<Vec<&'static str>> {
        let settings = format!("{name}-settings");
        let found = [
            ("ServiceAccount", self.service_accounts().get_metadata_opt(name).await?.is_some()),
            ("ConfigMap", self.config_maps().get_metadata_opt(&settings).await?.is_some()),
            ("NetworkPolicy", self.network_policies().get_metadata_opt(name).await?.is_some()),
            ("Service", self.services().get_metadata_opt(name).await?.is_some()),
            ("Deployment", self.deployments().get_metadata_opt(name).await?.is_some()),
            ("PodDisruptionBudget", self.disruption_budgets().get_metadata_opt(name).await?.is_some()),
        ];
        Ok(found.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind).collect())
    }

    /// Deletes the children of a server that is gone, where nothing collects garbage.
    pub async fn delete_children(&self, name: &str) -> Result<()> {
        delete(&self.deployments(), name).await?;
        delete(&self.disruption_budgets(), name).await?;
        delete(&self.services(), name).await?;
        delete(&self.network_policies(), name).await?;
        delete(&self.config_maps(), &format!("{name}-settings")).await?;
        delete(&self.service_accounts(), name).await
    }

    /// Waits until a condition of a server has this status and reason, for the current spec. Returns its message.
    pub async fn condition(&self, name: &str, expected: &str, limit: Duration) -> Result<String> {
        eventually(&format!("{name} has {expected}"), limit, async || {
            let server = self.servers().get(name).await?;
            let found = conditions(&server);
            let hit = found.iter().find(|(condition, _)| condition == expected && is_current(&server));
            Ok(hit.map(|(_, message)| message.clone()).ok_or_else(|| format!("{found:?}")))
        })
        .await
    }
}

/// Deletes an object, if it is there.
async fn delete<K: Resource + Clone + DeserializeOwned + Debug>(api: &Api<K>, name: &str) -> Result<()> {
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => Ok(answer.map(drop)?),
    }
}

/// Conditions as `Type=Status/Reason`, with their messages.
#[must_use]
pub fn conditions(server: &McpServer) -> Vec<(String, String)> {
    let conditions = server.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().map(|c| (format!("{}={}/{}", c.type_, c.status, c.reason), c.message.clone())).collect()
}

fn is_current(server: &McpServer) -> bool {
    server.status.as_ref().and_then(|status| status.observed_generation) == server.metadata.generation
}

/// Resource version of an object, to tell whether it was written.
pub fn version<K: kube::Resource>(object: &K) -> Result<String> {
    object.resource_version().context("the object has no resourceVersion")
}

/// Every McpServer in `config/samples`, as written there.
pub fn samples() -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crate::install::repository().join("config/samples"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let value: Value = serde::Deserialize::deserialize(document)?;
            if value.get("kind").is_some_and(|kind| kind == "McpServer") {
                found.push(value);
            }
        }
    }
    Ok(found)
}
