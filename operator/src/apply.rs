//! Runs a plan in order; nothing else writes children.
//!
//! In: the steps of a plan. Out: the children as the API server now holds them, those that are gone, and names that turned
//! out to be taken. Server-side apply: a first write creates or is refused, so that nothing foreign is ever taken over, the
//! uid is the precondition afterwards, and one replace goes where an apply leaves something behind that must go. A deletion
//! goes last, after a live look, and names the uid that was seen. The number of pods is handed over, not dropped.

mod handover;

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, TypeMeta},
};
use serde_json::{Value, json};

use crate::{
    call::call,
    desired::{Child, ChildKind},
    diff::{
        Claim, Plan, Prune, Step, claim,
        compare::{loses, purge},
        is_ours,
    },
    error::{Class, Error},
    vocabulary::FIELD_MANAGER,
};

/// The version of no object: an apply with it creates, and is a conflict where the name is taken. Versions are those of
/// etcd, where the first write of all made a later one.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
const VERSION_OF_NOTHING: &str = "1";

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Applied {
    /// Children that were written, as the API server answered.
    pub written: Vec<(ChildKind, Value)>,
    /// Children that were deleted.
    pub pruned: Vec<ChildKind>,
    /// Objects that have a child's name and another owner.
    pub conflicts: Vec<String>,
    /// Objects that have a child's name and are on their way out.
    pub leftovers: Vec<String>,
    /// What ended the run early.
    pub failure: Option<Error>,
}

/// Runs a plan. `owner` is the uid of the `McpServer`. `look_first` looks before it makes anything: a name that was taken
/// probably still is, and a write that is refused is a write.
///
/// Nothing is written while a name is taken: half a server helps nobody.
pub async fn apply(client: &Client, plan: Plan, owner: &str, look_first: bool) -> Applied {
    let mut applied = Applied { conflicts: plan.conflicts, leftovers: plan.leftovers, ..Applied::default() };
    for step in plan.steps {
        if !applied.conflicts.is_empty() || !applied.leftovers.is_empty() {
            break;
        }
        match write(client, &step, owner, look_first).await {
            Ok(Written::Object(object)) => applied.written.push((step.child.kind, object)),
            Ok(Written::Taken(Claim::Foreign)) => applied.conflicts.push(step.child.id()),
            Ok(Written::Taken(_)) => applied.leftovers.push(step.child.id()),
            Err(error) => {
                applied.failure = Some(error);
                return applied;
            }
        }
    }
    for unwanted in plan.prune {
        if !applied.conflicts.is_empty() || !applied.leftovers.is_empty() {
            break;
        }
        match prune(client, &unwanted, owner).await {
            Ok(()) => applied.pruned.push(unwanted.kind),
            Err(error) => {
                applied.failure = Some(error);
                break;
            }
        }
    }
    applied
}

/// Stops the pods of a Deployment, as it was seen: the one write that ends what runs. Returns it as it is now.
pub async fn stop(client: &Client, deployment: &Value) -> Result<Value, Error> {
    let member = |name: &str| deployment.pointer("/metadata")?.get(name)?.as_str();
    let (namespace, name) = (member("namespace").unwrap_or_default(), member("name").unwrap_or_default());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &ChildKind::Deployment.resource());
    let patch = json!({
        "metadata": {"uid": member("uid"), "resourceVersion": member("resourceVersion")},
        "spec": {"replicas": 0},
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let id = format!("Deployment {name}");
    to_value(&call("patch", &id, api.patch(name, &params, &Patch::Merge(patch))).await?)
}

/// What became of one write.
enum Written {
    /// The object as it now is.
    Object(Value),
    /// Nothing was written: the name is taken.
    Taken(Claim),
}

/// Deletes one object, if it is still ours.
pub(crate) async fn prune(client: &Client, unwanted: &Prune, owner: &str) -> Result<(), Error> {
    let Prune { kind, namespace, name } = unwanted;
    let id = unwanted.id();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.resource());
    let Some(found) = call("get", &id, api.get_opt(name)).await? else { return Ok(()) };
    if !is_ours(&to_value(&found)?, owner) {
        return Ok(());
    }
    let seen = Preconditions { uid: found.metadata.uid, resource_version: found.metadata.resource_version };
    // What KEDA has made of a ScaledObject can still write the number of pods: it goes first.
    let way = if *kind == ChildKind::ScaledObject { DeleteParams::foreground() } else { DeleteParams::background() };
    let params = DeleteParams { preconditions: Some(seen), ..way };
    match call("delete", &id, api.delete(name, &params)).await {
        Err(Error::Api { source, .. }) if is_gone(&source) => Ok(()),
        answer => answer.map(drop),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Writes one child.
async fn write(client: &Client, step: &Step, owner: &str, look_first: bool) -> Result<Written, Error> {
    let child = &step.child;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &child.namespace, &child.kind.resource());
    let live = match &step.live {
        Some(live) => live.clone(),
        None => match first(&api, child, owner, look_first).await? {
            First::Made(object) => return Ok(Written::Object(handover::begin(&api, child, object).await?)),
            First::Ours(live) => live,
            First::Taken(claim) => return Ok(Written::Taken(claim)),
        },
    };
    let live = handover::let_go(&api, child, live).await?;
    drop_foreign(&api, child, &live).await?;
    let answer = put(&api, child, live.pointer("/metadata/uid").map(|uid| ("uid", uid.clone()))).await?;
    // The store lagged: something foreign came in after it was filled.
    let replaced = drop_foreign(&api, child, &answer).await?;
    Ok(Written::Object(replaced.unwrap_or(answer)))
}

/// What became of a first write.
enum First {
    /// It made the object.
    Made(Value),
    /// The object is there and ours: the store did not know it yet.
    Ours(Value),
    /// The name is taken.
    Taken(Claim),
}

/// Makes an object that the store does not know.
async fn first(api: &Api<DynamicObject>, child: &Child, owner: &str, look_first: bool) -> Result<First, Error> {
    let seen = if look_first { look(api, child).await? } else { None };
    let found = match seen {
        Some(found) => found,
        None => match put(api, child, Some(("resourceVersion", VERSION_OF_NOTHING.into()))).await {
            // Gone again: the next pass, at once, makes it.
            Err(refused) if refused.class() == Class::Conflict => look(api, child).await?.ok_or(refused)?,
            answer => return answer.map(First::Made),
        },
    };
    Ok(match claim(&found, owner, &child.server) {
        Claim::Ours => First::Ours(found),
        taken => First::Taken(taken),
    })
}

async fn look(api: &Api<DynamicObject>, child: &Child) -> Result<Option<Value>, Error> {
    look_whole(api, child).await?.as_ref().map(to_value).transpose()
}

/// A look that shows who owns which field.
async fn look_whole(api: &Api<DynamicObject>, child: &Child) -> Result<Option<DynamicObject>, Error> {
    call("get", &child.id(), api.get_opt(&child.name)).await
}

/// Applies a child; `only_if` is a field of its metadata that is a precondition.
async fn put(api: &Api<DynamicObject>, child: &Child, only_if: Option<(&str, Value)>) -> Result<Value, Error> {
    let mut object = child.object.clone();
    if let Some(((field, value), metadata)) = only_if.zip(object.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.insert(field.to_owned(), value);
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    to_value(&call("apply", &child.id(), api.patch(&child.name, &params, &Patch::Apply(&object))).await?)
}

/// Replaces an object that holds what an apply cannot take away. Goes before the apply too: what was exchanged by hand,
/// say one source of a volume for another, would make the apply invalid.
async fn drop_foreign(api: &Api<DynamicObject>, child: &Child, live: &Value) -> Result<Option<Value>, Error> {
    let purged = purge(child.kind, &child.object, live);
    if !loses(live, &purged) {
        return Ok(None);
    }
    let mut body: DynamicObject = serde_json::from_value(purged).map_err(|error| Error::Internal(error.to_string()))?;
    let resource = child.kind.resource();
    body.types.get_or_insert(TypeMeta { api_version: resource.api_version, kind: resource.kind });
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    to_value(&call("replace", &child.id(), api.replace(&child.name, &params, &body)).await?).map(Some)
}

/// The object as JSON, without managedFields: they are large, and nobody reads them.
fn to_value(object: &DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object).map_err(|error| Error::Internal(error.to_string()))?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Ok(value)
}
