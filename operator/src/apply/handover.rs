//! The number of pods on its way from the operator to an autoscaler, without a dip.
//!
//! An apply that no longer names a field which nobody else owns takes it away, and the API server gives a Deployment without
//! a number one pod. So a second field manager takes the number over first, as it is, and never writes it again: whoever
//! scales next owns it alone.
//! Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>.
//!
//! In: a Deployment whose desired state says nothing of the number. Out: the object to go on with. A look goes before it,
//! since stores keep nobody's ownership; and only here, when the Deployment is written anyway.

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{look_whole, to_value};
use crate::{
    call::call,
    desired::{Child, ChildKind},
    error::Error,
    vocabulary::{FIELD_MANAGER, HANDOVER_MANAGER},
};

/// Gives a new object what it begins with; returns it.
pub(super) async fn begin(api: &Api<DynamicObject>, child: &Child, made: Value) -> Result<Value, Error> {
    let Some(beginning) = &child.begins_with else { return Ok(made) };
    take_over(api, child, beginning.clone(), &made).await
}

/// Lets go of the number of pods, if the operator holds it and does not want it; returns the object as it now is.
pub(super) async fn let_go(api: &Api<DynamicObject>, child: &Child, live: Value) -> Result<Value, Error> {
    if child.kind != ChildKind::Deployment || child.object.pointer(REPLICAS).is_some() {
        return Ok(live);
    }
    let Some(found) = look_whole(api, child).await?.filter(is_held) else { return Ok(live) };
    let found = to_value(&found)?;
    if found.pointer("/metadata/uid") != live.pointer("/metadata/uid") {
        // Another one of the name: the write that comes finds out.
        return Ok(live);
    }
    let number = found.pointer(REPLICAS).cloned().unwrap_or_default();
    take_over(api, child, json!({"spec": {"replicas": number}}), &found).await
}

const REPLICAS: &str = "/spec/replicas";

/// Applies a part of an object as the second manager, if nobody has changed the object since it was `seen`.
async fn take_over(api: &Api<DynamicObject>, child: &Child, mut part: Value, seen: &Value) -> Result<Value, Error> {
    let resource = child.kind.resource();
    let version = seen.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    if let Some(part) = part.as_object_mut() {
        part.insert("apiVersion".to_owned(), json!(resource.api_version));
        part.insert("kind".to_owned(), json!(resource.kind));
        part.insert("metadata".to_owned(), json!({"name": child.name, "resourceVersion": version}));
    }
    let params = PatchParams::apply(HANDOVER_MANAGER).force();
    to_value(
        &call("hand over the replicas of", &child.id(), api.patch(&child.name, &params, &Patch::Apply(&part))).await?,
    )
}

/// Whether an apply of the operator holds the number of pods.
fn is_held(object: &DynamicObject) -> bool {
    object.managed_fields().iter().any(|entry| {
        let ours = entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply");
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        ours && fields.is_some_and(|fields| fields.pointer("/f:spec/f:replicas").is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(manager: &str, operation: &str, fields: &Value) -> DynamicObject {
        let entry = json!({"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields});
        serde_json::from_value(json!({"metadata": {"name": "files", "managedFields": [entry]}})).unwrap()
    }

    #[test]
    fn the_number_is_held_by_an_apply_of_the_operator_alone() {
        let number = json!({"f:spec": {"f:replicas": {}}});
        assert!(is_held(&owned(FIELD_MANAGER, "Apply", &number)));
        assert!(!is_held(&owned(FIELD_MANAGER, "Apply", &json!({"f:spec": {"f:template": {}}}))));
        // A replace says the number that is there, and owns nothing of it.
        assert!(!is_held(&owned(FIELD_MANAGER, "Update", &number)));
        assert!(!is_held(&owned(HANDOVER_MANAGER, "Apply", &number)));
        assert!(!is_held(&owned("keda", "Update", &number)));
    }
}
