//! Objects of somebody else under the names that the children of a server called `files` would have.

use anyhow::{Context, Result, bail};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use super::objects::Space;

/// The kinds of children that every cluster has, as their URLs name them, in the order in which they are written.
pub const CHILDREN: [&str; 6] =
    ["serviceaccounts", "configmaps", "networkpolicies", "services", "deployments", "poddisruptionbudgets"];

/// Children of one kind, and the name of the one that the server `files` has.
pub fn children(space: &Space, resource: &str) -> Result<(Api<DynamicObject>, &'static str)> {
    let (group, version, kind, name) = match resource {
        "serviceaccounts" => ("", "v1", "ServiceAccount", "files"),
        "configmaps" => ("", "v1", "ConfigMap", "files-settings"),
        "networkpolicies" => ("networking.k8s.io", "v1", "NetworkPolicy", "files"),
        "services" => ("", "v1", "Service", "files"),
        "deployments" => ("apps", "v1", "Deployment", "files"),
        "poddisruptionbudgets" => ("policy", "v1", "PodDisruptionBudget", "files"),
        "ingresses" => ("networking.k8s.io", "v1", "Ingress", "files"),
        "scaledobjects" => ("keda.sh", "v1alpha1", "ScaledObject", "files"),
        other => bail!("{other} is no kind of a child"),
    };
    let mut found = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    resource.clone_into(&mut found.plural);
    Ok((Api::namespaced_with(space.client.clone(), &space.name, &found), name))
}

/// Makes one. Nothing about it is known to an operator, which watches what has its labels.
pub async fn create(space: &Space, resource: &str) -> Result<DynamicObject> {
    let (api, name) = children(space, resource)?;
    let mut object = json!({"metadata": {"name": name}});
    if resource == "scaledobjects" {
        // Of what is no built-in kind the API server wants to be told.
        object = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}});
    }
    let pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    if let Some(spec) = match resource {
        "networkpolicies" => Some(json!({"podSelector": selector})),
        "ingresses" => Some(json!({"defaultBackend": {"service": {"name": "another", "port": {"number": 80}}}})),
        "services" => Some(json!({"ports": [{"port": 80}]})),
        "deployments" => Some(json!({"selector": selector, "template": pod})),
        "poddisruptionbudgets" => Some(json!({"selector": selector, "maxUnavailable": 1})),
        "scaledobjects" => Some(json!({"scaleTargetRef": {"name": "another"}, "triggers": []})),
        _ => None::<Value>,
    } {
        object.as_object_mut().context("an object")?.insert("spec".to_owned(), spec);
    }
    let object = serde_json::from_value(object)?;
    api.create(&PostParams::default(), &object).await.with_context(|| format!("make a foreign one of {resource}"))
}
