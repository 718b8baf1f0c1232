//! ScaledObjects for suites: a definition of the kind, KEDA's own or one that takes anything; and what is in them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::{eventually, objects::SOON};
use crate::keda;

/// Name of the definition.
pub const NAME: &str = "scaledobjects.keda.sh";

/// The kind.
#[must_use]
pub fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"))
}

/// The ScaledObjects of a namespace.
#[must_use]
pub fn scaled_objects(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

/// Gives the API server a definition that takes anything: enough to watch the kind, and to write it.
pub async fn define_loosely(client: &Client) -> Result<()> {
    let definition = json!({
        "metadata": {"name": NAME},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced", "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    create(client, &serde_json::from_value(definition)?).await
}

/// Gives the API server every definition of the KEDA that its module names.
pub async fn define(client: &Client) -> Result<()> {
    for file in definitions().await? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        create(client, &serde_yaml::from_str(&text).with_context(|| format!("parse {}", file.display()))?).await?;
    }
    Ok(())
}

async fn definitions() -> Result<Vec<PathBuf>> {
    let folder = keda::source().await?.join("config/crd/bases");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    Ok(files)
}

async fn create(client: &Client, definition: &CustomResourceDefinition) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let made = api.create(&PostParams::default(), definition).await?;
    let name = made.metadata.name.unwrap_or_default();
    eventually(&format!("{name} is served"), SOON, async || {
        let conditions = api.get(&name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
        let served = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
        Ok(if served { Ok(()) } else { Err(format!("{conditions:?}")) })
    })
    .await
}
