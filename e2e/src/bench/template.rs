//! One server as the operator makes it: what the bare writer copies, so that both write the same objects.
//!
//! In: a cluster with the operator. Out: the spec of a server, its children and its status as JSON, without what the API
//! server adds. A copy has a name of the same length: it costs the same bytes.

use anyhow::{Context, Result};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::{Bench, NAMESPACE, cluster};
use crate::{
    progress::Progress,
    suite::{
        objects::{SOON, Space},
        operator::OperatorProcess,
    },
};

const NAME: &str = "server-tttt";
const UID: &str = "uid-of-the-template";

/// Kinds of the children, in the order in which the operator writes them.
const CHILDREN: [(&str, &str, &str, &str); 6] = [
    ("", "v1", "ServiceAccount", ""),
    ("", "v1", "ConfigMap", "-settings"),
    ("networking.k8s.io", "v1", "NetworkPolicy", ""),
    ("", "v1", "Service", ""),
    ("apps", "v1", "Deployment", ""),
    ("policy", "v1", "PodDisruptionBudget", ""),
];

/// What a server is made of.
pub(super) struct Template {
    /// Spec of the McpServer.
    pub(super) spec: Value,
    children: Vec<(ApiResource, String)>,
    status: String,
}

/// The name of a server.
pub(super) fn name(number: u16) -> String {
    format!("server-{number:04}")
}

impl Template {
    /// The children of a server, with their kind and name.
    pub(super) fn children(&self, name: &str, uid: &str) -> Result<Vec<(&ApiResource, DynamicObject)>> {
        let copy = |(resource, text): &'_ (ApiResource, String)| -> Result<DynamicObject> {
            let text = text.replace(NAME, name).replace(UID, uid);
            serde_json::from_str(&text).with_context(|| format!("copy the {} of the template", resource.kind))
        };
        self.children.iter().map(|child| Ok((&child.0, copy(child)?))).collect()
    }

    /// The status of a server.
    pub(super) fn status(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.status.replace(NAME, name))?)
    }
}

/// Has the operator make one server, and takes what it wrote.
pub(super) async fn take(bench: &Bench, progress: Progress) -> Result<Template> {
    let cluster = cluster("template", progress).await?;
    let operator = OperatorProcess::start(&cluster, &bench.bin_dir).await?;
    let space = Space::create(&cluster.client(), NAMESPACE).await?;
    let spec = json!({
        "server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}},
        "volumes": [{"name": "data", "emptyDir": {}}],
    });
    space.apply(NAME, spec.clone()).await?;
    space.condition(NAME, "Ready=True/Serving", SOON * 12).await?;
    let mut children = Vec::new();
    for (group, version, kind, suffix) in CHILDREN {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), NAMESPACE, &resource);
        let name = format!("{NAME}{suffix}");
        let object = api.get(&name).await.with_context(|| format!("the operator makes no {kind} {name}"))?;
        children.push((resource, as_written(object)?));
    }
    let status = space.servers().get(NAME).await?.status.context("the template has no status")?;
    drop(operator);
    cluster.down().await?;
    Ok(Template { spec, children, status: serde_json::to_string(&status)? })
}

/// An object without what the API server added.
fn as_written(object: DynamicObject) -> Result<String> {
    let owner = object.owner_references().first().context("a child has no owner")?.uid.clone();
    let mut value = serde_json::to_value(object)?;
    for added in ["/status", "/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilies", "/spec/ipFamilyPolicy"] {
        remove(&mut value, added);
    }
    for added in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
        remove(&mut value, &format!("/metadata/{added}"));
    }
    remove(&mut value, "/metadata/annotations/deployment.kubernetes.io~1revision");
    Ok(value.to_string().replace(&owner, UID))
}

/// Takes one member out.
fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, member)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(map)) = value.pointer_mut(parent) {
        map.remove(&member.replace("~1", "/"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_long_as_the_template_and_has_an_owner_of_its_own() {
        let object = json!({
            "apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "10.96.0.7", "ports": []}, "status": {},
            "metadata": {
                "name": NAME, "uid": "own", "resourceVersion": "7", "generation": 1,
                "ownerReferences": [{"apiVersion": "a/v1", "kind": "McpServer", "name": NAME, "uid": "0123"}],
            },
        });
        let text = as_written(serde_json::from_value(object).unwrap()).unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Service"));
        let template = Template { spec: json!({}), children: vec![(resource, text)], status: "{}".to_owned() };
        let copy = template.children(&name(7), "4567").unwrap().remove(0).1;
        assert_eq!((copy.name_any().as_str(), copy.metadata.uid.as_ref()), ("server-0007", None));
        assert_eq!(
            (copy.owner_references()[0].uid.as_str(), copy.owner_references()[0].name.as_str()),
            ("4567", "server-0007")
        );
        assert_eq!(copy.data, json!({"spec": {"ports": []}}));
        assert_eq!(NAME.len(), name(9999).len());
    }
}
