//! The plan: which children to write, and which names are taken. Pure.
//!
//! In: children as they should be, and as they are. Out: a [`Plan`], empty when nothing differs. No difference means
//! that the desired object is contained in the live one **and** the live one carries the hash of the desired one; only
//! then is a field that was dropped from the spec known to be gone.

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
    /// Objects that have a child's name and another owner: never written.
    pub conflicts: Vec<String>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The object as it should be.
    pub child: Child,
    /// Uid of the object that is there; none when it is to be created.
    pub uid: Option<String>,
}

/// Compares children with what is there. `owner` is the uid of the `McpServer`.
#[must_use]
pub fn plan(desired: &[Child], live: &Live, owner: &str) -> Plan {
    let mut plan = Plan::default();
    for child in desired {
        match live.get(&child.kind) {
            None => plan.steps.push(Step {
                child: child.clone(),
                uid: None,
            }),
            Some(object) if !is_controlled_by(object, owner) => plan.conflicts.push(child.id()),
            Some(object) if is_terminating(object) => {}
            Some(object) if differs(child, object) => {
                let uid = object
                    .pointer("/metadata/uid")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                plan.steps.push(Step {
                    child: child.clone(),
                    uid,
                });
            }
            Some(_) => {}
        }
    }
    plan
}

/// Whether a live object differs from what it should be.
#[must_use]
pub fn differs(child: &Child, live: &Value) -> bool {
    let hash = |object: &Value| object.get("metadata")?.get("annotations")?.get(APPLIED_HASH).cloned();
    hash(live) != hash(&child.object) || compare::settle(child.kind, &child.object, live) != *live
}

/// Whether the controlling owner of an object has this uid.
#[must_use]
pub fn is_controlled_by(object: &Value, owner: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|reference| {
        reference.get("controller") == Some(&Value::Bool(true)) && reference.get("uid").is_some_and(|uid| uid == owner)
    })
}

/// An object on its way out is written when it is gone: its deletion is an event.
fn is_terminating(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null())
}
