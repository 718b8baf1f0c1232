//! Fields of objects: which there are, taken away, merged, put in order. As server-side apply sees them.
//!
//! In: objects as JSON. Out: paths of fields, or objects with other fields. Nothing here knows what an object is for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Path;

/// Of some fields those that stayed as they were.
pub(super) fn unchanged(
    fields: &BTreeSet<Path>,
    before: &BTreeMap<Path, Value>,
    after: &BTreeMap<Path, Value>,
) -> BTreeSet<Path> {
    fields.iter().filter(|path| before.get(*path) == after.get(*path)).cloned().collect()
}

/// Members that tell the entries of a list apart; none for lists that are one value.
pub(super) fn keys_of(list: &str) -> Option<&'static [&'static str]> {
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
pub(super) fn is_atomic(name: &str) -> bool {
    matches!(name, "selector" | "podSelector" | "namespaceSelector" | "labelSelector")
}

pub(super) fn key(entry: &Value, keys: &[&str]) -> String {
    keys.iter().map(|name| entry[*name].to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn leaves(value: &Value) -> BTreeMap<Path, Value> {
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
pub(super) fn is_key(path: &[String]) -> bool {
    let [.., list, _, member] = path else { return false };
    keys_of(list).is_some_and(|keys| keys.contains(&member.as_str()))
}

/// Takes a field away, and what is empty without it.
pub(super) fn remove(name: &str, value: &mut Value, path: &[String]) {
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
pub(super) fn remove_entry(name: &str, value: &mut Value, path: &[String]) {
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

/// Brings lists whose order means nothing into one order.
pub(super) fn sort(name: &str, value: &mut Value) {
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
pub(super) fn merge(name: &str, wanted: &Value, live: &Value) -> Value {
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
