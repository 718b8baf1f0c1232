//! Streams that tell less than they hear: what is no news wakes nobody.
//!
//! In: the events of a kind. Out: those after which a server may be another one.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use futures::{StreamExt, future, stream::BoxStream};
use kube::{
    Resource, ResourceExt,
    api::DynamicObject,
    runtime::{reflector::Store, watcher},
};
use serde_json::json;

use super::Events;

/// Whether the first object of a kind is news.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum First {
    /// Somebody may wait for it.
    News,
    /// Who needed it has made it.
    Known,
}

/// An item whenever the few objects of a store are not any more what they were. What is there when they are listed at the
/// start changes nothing: nobody has worked without it.
pub(super) fn replaced<K>(events: Events<K>, store: Store<K>, first: First) -> BoxStream<'static, ()>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut before: Option<BTreeMap<String, Option<String>>> = None;
    let told = events.filter_map(move |event| {
        use watcher::Event::{Apply, Delete, InitDone};
        if !matches!(event, Ok(Apply(_) | Delete(_) | InitDone)) {
            return future::ready(None);
        }
        let now = store.state().iter().map(|object| (object.name_any(), object.resource_version())).collect();
        let counts = |before: &BTreeMap<_, _>| *before != now && (first == First::News || !before.is_empty());
        let changed = before.as_ref().is_some_and(counts);
        before = Some(now);
        future::ready(changed.then_some(()))
    });
    told.boxed()
}

/// Leaves out what says nothing new but the time: KEDA writes down when a trigger was last active, every 30 s.
pub(super) fn news(events: Events<DynamicObject>) -> Events<DynamicObject> {
    use watcher::Event::{Apply, Delete, Init, InitApply};
    let mut seen: HashMap<Option<String>, u64> = HashMap::new();
    let told = events.filter(move |event| {
        future::ready(match event {
            Ok(Apply(object) | InitApply(object)) => {
                let says = fingerprint(object);
                seen.insert(object.uid(), says) != Some(says)
            }
            Ok(Delete(object)) => {
                seen.remove(&object.uid());
                true
            }
            Ok(Init) => {
                // What went meanwhile is not listed any more.
                seen.clear();
                true
            }
            _ => true,
        })
    });
    told.boxed()
}

/// A hash of all that is of interest in an object of another project.
fn fingerprint(object: &DynamicObject) -> u64 {
    let mut metadata = object.metadata.clone();
    metadata.resource_version = None;
    let conditions = object.data.pointer("/status/conditions");
    let mut hasher = DefaultHasher::new();
    (json!([metadata, object.data.get("spec"), conditions])).to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use kube::runtime::watcher::Event;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_time_that_moves_is_no_news() {
        let object = |status: Value| -> DynamicObject {
            let metadata = json!({"name": "files", "uid": "1", "resourceVersion": status.to_string()});
            serde_json::from_value(json!({"metadata": metadata, "spec": {"maxReplicaCount": 3}, "status": status}))
                .unwrap()
        };
        let ready = |at: &str| json!({"lastActiveTime": at, "conditions": [{"type": "Ready", "status": "True"}]});
        let events = vec![
            Ok(Event::InitApply(object(json!({})))),
            Ok(Event::Apply(object(ready("08:00")))),
            Ok(Event::Apply(object(ready("08:30")))),
            Ok(Event::Delete(object(ready("08:30")))),
            Ok(Event::Apply(object(ready("08:30")))),
        ];
        let told = news(stream::iter(events).boxed()).map(|event| match event.unwrap() {
            Event::Delete(_) => "gone".to_owned(),
            Event::Apply(object) | Event::InitApply(object) => object.data["status"]["lastActiveTime"].to_string(),
            _ => String::new(),
        });
        assert_eq!(told.collect::<Vec<_>>().await, ["null", "\"08:00\"", "gone", "\"08:30\""]);
    }
}
