//! A small API server for laws of the core: server-side apply with owned fields, replaces, defaults, what Go leaves out,
//! preconditions, deletion. And the operator's hand on it: a plan run the way `apply` runs it, cut off after any write.

mod defaults;
pub(crate) mod fates;
mod fields;
pub(crate) mod heard;
pub(crate) mod specs;

use std::collections::{BTreeMap, BTreeSet};

use mcp_operator::{
    desired::{Child, ChildKind, names},
    diff::{
        self, Claim, Live, Plan, claim,
        compare::{loses, purge},
        is_ours,
    },
};
use serde_json::{Value, json};

use defaults::{fill, is_valid, leave_out};
use fields::{is_key, leaves, merge, remove, remove_entry, sort, unchanged};
use specs::Asked;

/// Kind and name.
pub(crate) type Place = (ChildKind, String);

/// The uid of the server that all of this is about.
pub(crate) const OWNER: &str = "uid-of-the-server";

/// Where its child of a kind is.
pub(crate) fn place(kind: ChildKind) -> Place {
    (kind, names::child(kind, "files"))
}

/// A path to a field: names of members, and keys of list entries.
type Path = Vec<String>;

/// What was asked of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Apply,
    Replace,
    Delete,
    /// Another field manager takes over the number of pods.
    HandOver,
}

/// Refused: a precondition does not hold, or the object would be invalid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    /// Fields that the operator owns.
    ours: BTreeSet<Path>,
}

/// The server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) objects: BTreeMap<Place, Stored>,
    /// Every request for a change.
    pub(crate) log: Vec<(Verb, Place)>,
    /// Every number of pods that the Deployment has had.
    pub(crate) numbers: Vec<Value>,
    versions: u64,
}

impl Cluster {
    /// What the operator would see of a server's children.
    pub(crate) fn live(&self, name: impl Fn(ChildKind) -> String) -> Live {
        let found = ChildKind::ALL.into_iter().filter_map(|kind| {
            let stored = self.objects.get(&(kind, name(kind)))?;
            Some((kind, stored.value.clone()))
        });
        found.collect()
    }

    /// Puts an object there that somebody else made.
    pub(crate) fn put(&mut self, place: Place, mut value: Value) {
        value["metadata"]["name"] = json!(place.1);
        value["metadata"]["namespace"] = json!("team");
        self.versions += 1;
        value["metadata"]["uid"] = json!(format!("uid-{}", self.versions));
        value["metadata"]["resourceVersion"] = json!(self.versions.to_string());
        self.objects.insert(place, Stored { value, ours: BTreeSet::new() });
    }

    /// Lets somebody else change an object; what changes is no longer the operator's.
    pub(crate) fn update(&mut self, place: &Place, change: impl FnOnce(&mut Value)) {
        let Some(stored) = self.objects.get(place) else { return };
        let mut value = stored.value.clone();
        change(&mut value);
        let ours = stored.ours.clone();
        self.store(place.clone(), value, |before, after| unchanged(&ours, before, after));
    }

    fn apply(&mut self, child: &Child, uid: Option<&Value>) -> Result<Value, Refused> {
        let place = (child.kind, child.name.clone());
        self.log.push((Verb::Apply, place.clone()));
        let before = self.objects.get(&place).cloned();
        let known = before.as_ref().map(|stored| stored.value["metadata"]["uid"].clone());
        if uid.is_some() && uid != known.as_ref() {
            return Err(Refused);
        }
        let wanted = leaves(&child.object);
        let mut value = before.as_ref().map_or_else(|| json!({}), |stored| stored.value.clone());
        let gone = before.iter().flat_map(|stored| &stored.ours).filter(|path| !wanted.contains_key(*path));
        let (keys, fields): (Vec<_>, Vec<_>) = gone.partition(|path| is_key(path));
        for path in fields {
            remove("", &mut value, path);
        }
        for path in keys {
            remove_entry("", &mut value, path);
        }
        let value = merge("", &child.object, &value);
        if !is_valid(&value) {
            return Err(Refused);
        }
        self.store(place.clone(), value, |_, _| wanted.into_keys().collect());
        Ok(self.objects[&place].value.clone())
    }

    fn replace(&mut self, child: &Child, value: Value) -> Result<Value, Refused> {
        let place = (child.kind, child.name.clone());
        self.log.push((Verb::Replace, place.clone()));
        let stored = self.objects.get(&place).ok_or(Refused)?;
        if stored.value["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"] {
            return Err(Refused);
        }
        // To the server a replace is another manager than an apply: what it changes, no apply takes away again.
        let ours = stored.ours.clone();
        self.store(place.clone(), value, |before, after| unchanged(&ours, before, after));
        Ok(self.objects[&place].value.clone())
    }

    fn delete(&mut self, place: &Place, uid: &Value) -> Result<(), Refused> {
        self.log.push((Verb::Delete, place.clone()));
        if self.objects.get(place).is_some_and(|stored| stored.value["metadata"]["uid"] != *uid) {
            return Err(Refused);
        }
        self.objects.remove(place);
        Ok(())
    }

    /// Stores an object with its defaults; a new version only if something changed.
    fn store(
        &mut self,
        place: Place,
        mut value: Value,
        owned: impl FnOnce(&BTreeMap<Path, Value>, &BTreeMap<Path, Value>) -> BTreeSet<Path>,
    ) {
        let before = self.objects.get(&place).map(|stored| stored.value.clone());
        fill(place.0, &mut value);
        leave_out(&mut value);
        if place.0 == ChildKind::Deployment {
            self.numbers.push(value["spec"]["replicas"].clone());
        }
        let old = before.as_ref().map(leaves).unwrap_or_default();
        let ours = owned(&old, &leaves(&value));
        if before.as_ref() != Some(&value) {
            self.versions += 1;
            value["metadata"]["resourceVersion"] = json!(self.versions.to_string());
            if before.is_none() {
                value["metadata"]["uid"] = json!(format!("uid-{}", self.versions));
            }
        }
        self.objects.insert(place, Stored { value, ours });
    }

    /// Runs a plan as `apply` does, for at most so many writes. Returns whether it came to its end.
    pub(crate) fn run(&mut self, plan: &Plan, owner: &str, writes: usize) -> bool {
        let until = self.log.len().saturating_add(writes);
        if !plan.conflicts.is_empty() || !plan.leftovers.is_empty() {
            return true;
        }
        for step in &plan.steps {
            let place = (step.child.kind, step.child.name.clone());
            let mut live = step.live.clone();
            if live.is_none()
                && let Some(found) = self.objects.get(&place).map(|stored| stored.value.clone())
            {
                if claim(&found, owner, &step.child.server) != Claim::Ours {
                    return true;
                }
                live = Some(found);
            }
            let lets_go =
                step.child.kind == ChildKind::Deployment && step.child.object.pointer("/spec/replicas").is_none();
            if live.is_some()
                && lets_go
                && let Some(stored) = self.objects.get_mut(&place)
                && stored.ours.contains(["spec", "replicas"].map(str::to_owned).as_slice())
            {
                if self.log.len() >= until {
                    return false;
                }
                stored.ours.remove(["spec", "replicas"].map(str::to_owned).as_slice());
                self.log.push((Verb::HandOver, place.clone()));
            }
            for applied in [false, true] {
                if let Some(live) = live.take() {
                    let purged = purge(step.child.kind, &step.child.object, &live);
                    if loses(&live, &purged) {
                        if self.log.len() >= until {
                            return false;
                        }
                        if self.replace(&step.child, purged).is_err() {
                            return false;
                        }
                    }
                    if applied {
                        break;
                    }
                    if self.log.len() >= until || self.apply(&step.child, Some(&live["metadata"]["uid"])).is_err() {
                        return false;
                    }
                } else if self.log.len() >= until || self.apply(&step.child, None).is_err() {
                    return false;
                } else if let Some(beginning) = &step.child.begins_with {
                    if self.log.len() >= until {
                        return false;
                    }
                    self.log.push((Verb::HandOver, place.clone()));
                    self.update(&place, |value| value["spec"]["replicas"] = beginning["spec"]["replicas"].clone());
                    break;
                }
                live = self.objects.get(&place).map(|stored| stored.value.clone());
            }
        }
        for unwanted in &plan.prune {
            let place = (unwanted.kind, unwanted.name.clone());
            let Some(found) = self.objects.get(&place).map(|stored| stored.value.clone()) else { continue };
            let uid = &found["metadata"]["uid"];
            if is_ours(&found, owner) && (self.log.len() >= until || self.delete(&place, uid).is_err()) {
                return false;
            }
        }
        true
    }

    /// Looks, plans and runs until there is nothing to do. Returns after how many rounds.
    pub(crate) fn converge(&mut self, asked: &Asked, owner: &str, name: impl Fn(ChildKind) -> String) -> usize {
        for round in 0..10 {
            let live = self.live(&name);
            let plan = diff::plan(asked.by(&live), &live, owner);
            if plan.steps.is_empty() && plan.prune.is_empty() {
                return round;
            }
            if !plan.conflicts.is_empty() || !plan.leftovers.is_empty() {
                return round;
            }
            self.run(&plan, owner, usize::MAX);
        }
        10
    }

    /// Objects without what differs from run to run.
    pub(crate) fn content(&self) -> BTreeMap<Place, Value> {
        let mut content: BTreeMap<_, _> =
            self.objects.iter().map(|(place, stored)| (place.clone(), stored.value.clone())).collect();
        for value in content.values_mut() {
            if let Some(metadata) = value["metadata"].as_object_mut() {
                metadata.remove("uid");
                metadata.remove("resourceVersion");
            }
            sort("", value);
        }
        content
    }
}
