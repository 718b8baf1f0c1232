//! A small API server for laws of the core: server-side apply with owned fields, replaces, defaults, what Go leaves out,
//! preconditions, deletion. And the operator's hand on it: a plan run the way `apply` runs it, cut off after any write.

pub(crate) mod fates;
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
use serde_json::{Map, Value, json};

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

/// Of some fields those that stayed as they were.
fn unchanged(fields: &BTreeSet<Path>, before: &BTreeMap<Path, Value>, after: &BTreeMap<Path, Value>) -> BTreeSet<Path> {
    fields.iter().filter(|path| before.get(*path) == after.get(*path)).cloned().collect()
}

/// Members that tell the entries of a list apart; none for lists that are one value.
fn keys_of(list: &str) -> Option<&'static [&'static str]> {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some(&["name"]),
        "volumeMounts" => Some(&["mountPath"]),
        "ownerReferences" => Some(&["uid"]),
        "ports" => Some(&["containerPort", "port", "protocol"]),
        "topologySpreadConstraints" => Some(&["topologyKey", "whenUnsatisfiable"]),
        _ => None,
    }
}

/// Objects that are one value: selectors.
fn is_atomic(name: &str) -> bool {
    matches!(name, "selector" | "podSelector" | "namespaceSelector" | "labelSelector")
}

fn key(entry: &Value, keys: &[&str]) -> String {
    keys.iter().map(|name| entry[*name].to_string()).collect::<Vec<_>>().join(",")
}

fn leaves(value: &Value) -> BTreeMap<Path, Value> {
    fn walk(name: &str, value: &Value, path: &mut Path, found: &mut BTreeMap<Path, Value>) {
        match value {
            Value::Object(map) if !map.is_empty() && !is_atomic(name) => {
                for (name, value) in map {
                    path.push(name.clone());
                    walk(name, value, path, found);
                    path.pop();
                }
            }
            Value::Array(list) if !list.is_empty() && keys_of(name).is_some() => {
                for entry in list {
                    path.push(key(entry, keys_of(name).unwrap_or_default()));
                    walk("", entry, path, found);
                    path.pop();
                }
            }
            value => {
                found.insert(path.clone(), value.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut Path::new(), &mut found);
    found
}

/// Whether a path ends at a key of a list's entry.
fn is_key(path: &[String]) -> bool {
    let [.., list, _, member] = path else { return false };
    keys_of(list).is_some_and(|keys| keys.contains(&member.as_str()))
}

/// Takes a field away, and what is empty without it.
fn remove(name: &str, value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Value::Object(map) if rest.is_empty() => {
            map.remove(first);
        }
        Value::Object(map) => {
            let Some(member) = map.get_mut(first) else { return };
            remove(first, member, rest);
            if member.as_object().is_some_and(Map::is_empty) || member.as_array().is_some_and(Vec::is_empty) {
                map.remove(first);
            }
        }
        Value::Array(list) => {
            let keys = keys_of(name).unwrap_or_default();
            if let Some(entry) = list.iter_mut().find(|entry| key(entry, keys) == *first) {
                remove("", entry, rest);
            }
        }
        _ => {}
    }
}

/// Takes an entry out of a list, unless it has fields of others.
fn remove_entry(name: &str, value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Value::Object(map) => {
            if let Some(member) = map.get_mut(first) {
                remove_entry(first, member, rest);
            }
        }
        Value::Array(list) => {
            let keys = keys_of(name).unwrap_or_default();
            let Some(at) = list.iter().position(|entry| key(entry, keys) == *first) else { return };
            if rest.len() > 1 {
                remove_entry("", &mut list[at], rest);
            } else if list[at].as_object().is_some_and(|entry| entry.keys().all(|name| keys.contains(&name.as_str()))) {
                list.remove(at);
            }
        }
        _ => {}
    }
}

/// What the API server refuses: two sources where one may be.
fn is_valid(value: &Value) -> bool {
    let one_of =
        |value: &Value, members: &[&str]| members.iter().filter(|name| value.get(**name).is_some()).count() < 2;
    let sources = ["configMap", "secret", "emptyDir", "persistentVolumeClaim", "csi", "hostPath"];
    let handlers = ["httpGet", "tcpSocket", "exec", "grpc"];
    let spec = &value["spec"]["template"]["spec"];
    let entries = |list: &'static str| spec[list].as_array().into_iter().flatten();
    let env = entries("containers").flat_map(|container| container["env"].as_array().into_iter().flatten());
    let from = ["secretKeyRef", "configMapKeyRef", "fieldRef"];
    let mut probes = entries("containers")
        .flat_map(|one| ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| &one[name]));
    entries("volumes").all(|volume| one_of(volume, &sources))
        && env
            .clone()
            .all(|variable| one_of(variable, &["value", "valueFrom"]) && one_of(&variable["valueFrom"], &from))
        && probes.all(|probe| one_of(probe, &handlers))
        && one_of(&value["spec"], &["minAvailable", "maxUnavailable"])
}

/// What the API server sets by itself.
fn fill(kind: ChildKind, value: &mut Value) {
    let set = |value: &mut Value, name: &str, default: Value| {
        if let Some(map) = value.as_object_mut() {
            map.entry(name).or_insert(default);
        }
    };
    match kind {
        ChildKind::Deployment => {
            set(&mut value["spec"], "replicas", json!(1));
            set(value, "status", json!({"observedGeneration": 1}));
            let spec = &mut value["spec"]["template"]["spec"];
            for container in spec["containers"].as_array_mut().into_iter().flatten() {
                set(container, "terminationMessagePath", json!("/dev/termination-log"));
            }
            for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
                for source in ["configMap", "secret"] {
                    if let Some(source) = volume.get_mut(source) {
                        set(source, "defaultMode", json!(420));
                    }
                }
            }
        }
        ChildKind::Service => {
            set(&mut value["spec"], "clusterIP", json!("10.96.0.7"));
            set(&mut value["spec"], "clusterIPs", json!(["10.96.0.7"]));
            set(&mut value["spec"], "ipFamilies", json!(["IPv4"]));
            set(&mut value["spec"], "ipFamilyPolicy", json!("SingleStack"));
            // What belongs to another type goes when the type does.
            if value["spec"]["type"] != json!("LoadBalancer")
                && let Some(spec) = value["spec"].as_object_mut()
            {
                for name in ["allocateLoadBalancerNodePorts", "externalTrafficPolicy", "loadBalancerClass"] {
                    spec.remove(name);
                }
            }
            set(value, "status", json!({"loadBalancer": {}}));
        }
        ChildKind::Ingress => set(value, "status", json!({"loadBalancer": {}})),
        ChildKind::PodDisruptionBudget => set(value, "status", json!({"currentHealthy": 0})),
        ChildKind::ScaledObject => set(value, "status", json!({"scaleTargetKind": "apps/v1.Deployment"})),
        ChildKind::ServiceAccount | ChildKind::ConfigMap | ChildKind::NetworkPolicy => {}
    }
}

/// Leaves out what Go does not write: zero values of members that are no pointers, and empty lists.
fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // A CSI source is the one that tells "not read-only" from "not said".
            let csi = map.contains_key("driver");
            map.retain(|name, value| match name.as_str() {
                "readOnly" => csi || *value != json!(false),
                "value" | "subPath" | "prefix" => *value != json!(""),
                "annotations" | "labels" => !value.as_object().is_some_and(serde_json::Map::is_empty),
                _ => !value.as_array().is_some_and(Vec::is_empty),
            });
            map.values_mut().for_each(leave_out);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// Brings lists whose order means nothing into one order.
fn sort(name: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| sort(name, value)),
        Value::Array(list) => {
            for entry in list.iter_mut() {
                sort("", entry);
            }
            if let Some(keys) = keys_of(name) {
                list.sort_by_key(|entry| key(entry, keys));
            }
        }
        _ => {}
    }
}

/// Server-side apply: what is wanted wins, the rest stays.
fn merge(name: &str, wanted: &Value, live: &Value) -> Value {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) if !is_atomic(name) => {
            let mut merged = live.clone();
            for (name, value) in wanted {
                let next = live.get(name).map_or_else(|| value.clone(), |live| merge(name, value, live));
                merged.insert(name.clone(), next);
            }
            Value::Object(merged)
        }
        (Value::Array(wanted), Value::Array(live)) if keys_of(name).is_some() => {
            let keys = keys_of(name).unwrap_or_default();
            let same = |left: &Value, right: &Value| key(left, keys) == key(right, keys);
            let mut merged: Vec<_> = wanted
                .iter()
                .map(|entry| {
                    let live = live.iter().find(|live| same(live, entry));
                    live.map_or_else(|| entry.clone(), |live| merge("", entry, live))
                })
                .collect();
            merged.extend(live.iter().filter(|live| !wanted.iter().any(|entry| same(entry, live))).cloned());
            Value::Array(merged)
        }
        _ => wanted.clone(),
    }
}
