//! The plan: which children to write, which to delete, and which names are taken. Pure.
//!
//! In: children as they should be, and as they are. Out: a [`Plan`], empty when nothing differs. No difference means
//! that the desired object is contained in the live one **and** the live one carries the hash of the desired one; only
//! then is a field that was dropped from the spec known to be gone. What the spec no longer asks for is deleted last, and
//! only if it is ours and of a kind that a server can do without.

pub mod compare;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    desired::{Child, ChildKind},
    vocabulary::APPLIED_HASH,
};

/// Children as they are, by kind.
pub type Live = BTreeMap<ChildKind, Value>;

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Writes, in order.
    pub steps: Vec<Step>,
    /// Deletions, after them.
    pub prune: Vec<Prune>,
    /// Objects that have a child's name and another owner: never written.
    pub conflicts: Vec<String>,
    /// Objects on their way out, or of a deleted server of the same name: waited for.
    pub leftovers: Vec<String>,
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ours.
    Ours,
    /// Ours or of a deleted server of the same name, and on its way out.
    Leftover,
    /// Somebody else's.
    Foreign,
}

/// Whose an object is, as seen by the server with this uid and name.
#[must_use]
pub fn claim(object: &Value, owner: &str, server: &str) -> Claim {
    let member = |name: &str| controller(object).and_then(|owner| owner.get(name)?.as_str()).unwrap_or_default();
    let kind = (member("apiVersion").split('/').next(), member("kind"), member("name"));
    match (member("uid") == owner, is_terminating(object)) {
        (true, false) => Claim::Ours,
        (true, true) => Claim::Leftover,
        _ if kind == (Some(mcp_crds::GROUP), "McpServer", server) => Claim::Leftover,
        _ => Claim::Foreign,
    }
}

/// Whether the server with this uid controls an object that is to stay.
#[must_use]
pub fn is_ours(object: &Value, owner: &str) -> bool {
    let uid = controller(object).and_then(|owner| owner.get("uid")?.as_str());
    uid == Some(owner) && !is_terminating(object)
}

fn controller(object: &Value) -> Option<&Value> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|reference| reference.get("controller") == Some(&Value::Bool(true)))
}

fn is_terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The object as it should be.
    pub child: Child,
    /// The object that is there; none when it is to be created.
    pub live: Option<Value>,
}

/// One deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct Prune {
    /// Kind of the object.
    pub kind: ChildKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Prune {
    /// Of an object of this kind.
    pub(crate) fn of(kind: ChildKind, object: &Value) -> Option<Self> {
        let member = |name: &str| Some(object.get("metadata")?.get(name)?.as_str()?.to_owned());
        Some(Self { kind, namespace: member("namespace")?, name: member("name")? })
    }

    /// Kind and name, for messages.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.kind.name(), self.name)
    }
}

/// Compares children with what is there. `owner` is the uid of the `McpServer`.
#[must_use]
pub fn plan(desired: &[Child], live: &Live, owner: &str) -> Plan {
    let mut plan = Plan::default();
    for child in desired {
        match live.get(&child.kind) {
            None => plan.steps.push(Step { child: child.clone(), live: None }),
            Some(object) => match claim(object, owner, &child.server) {
                Claim::Foreign => plan.conflicts.push(child.id()),
                Claim::Leftover => plan.leftovers.push(child.id()),
                Claim::Ours if differs(child, object) => {
                    plan.steps.push(Step { child: child.clone(), live: Some(object.clone()) });
                }
                Claim::Ours => {}
            },
        }
    }
    let wanted = |kind: ChildKind| desired.iter().any(|child| child.kind == kind);
    let unwanted = live.iter().filter(|(kind, object)| kind.is_optional() && !wanted(**kind) && is_ours(object, owner));
    plan.prune = unwanted.filter_map(|(kind, object)| Prune::of(*kind, object)).collect();
    plan
}

/// Whether a live object differs from what it should be.
#[must_use]
pub fn differs(child: &Child, live: &Value) -> bool {
    let hash = |object: &Value| object.get("metadata")?.get("annotations")?.get(APPLIED_HASH).cloned();
    hash(live) != hash(&child.object) || compare::settle(child.kind, &child.object, live) != *live
}
