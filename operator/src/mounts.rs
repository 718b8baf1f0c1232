//! Volumes that cannot be mounted: kubelet says so in Events alone, and pods wait without a word in their status.
//!
//! In: Events with reason FailedMount, and the store of pods. Out: kubelet's words by pod, for pods of ours, and which
//! pods there is news of. Bounded: whoever comes when it is full is explained by `RolloutStuck`, minutes later.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};

/// What the API server is asked for.
pub const FIELDS: &str = "involvedObject.kind=Pod,reason=FailedMount";

/// Pods remembered.
const MOST: usize = 4096;

/// Kubelet's words by the uid of the pod, and the Event that has them.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Arc<Mutex<HashMap<String, (String, String)>>>);

impl Mounts {
    /// Why a pod's volume cannot be mounted, if kubelet said so.
    #[must_use]
    pub fn words(&self, pod: &Pod) -> Option<String> {
        let uid = pod.uid()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).map(|(_, words)| words.clone())
    }

    /// How many pods are remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Looks at an event of the watch. Returns the pod it speaks of, if that is one of ours.
    pub fn see(&self, event: &watcher::Event<Event>, pods: &Store<Pod>) -> Option<PartialObjectMeta<Pod>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match event {
            watcher::Event::Apply(said) | watcher::Event::InitApply(said) => said,
            // It is an hour old, and was not said again.
            watcher::Event::Delete(old) => {
                known.retain(|_, (event, _)| *event != old.name_any());
                return None;
            }
            watcher::Event::Init | watcher::Event::InitDone => return None,
        };
        let about = &said.involved_object;
        let at = ObjectRef::new(about.name.as_deref()?).within(about.namespace.as_deref()?);
        let pod = pods.get(&at).filter(|pod| pod.uid().is_some() && pod.uid() == about.uid)?;
        let words = said.message.as_deref().unwrap_or_default();
        let uid = pod.uid()?;
        // Later words sum up, and no longer say which object is missing.
        let sums_up = words.starts_with("Unable to attach or mount volumes");
        if (sums_up && known.contains_key(&uid)) || (known.len() >= MOST && !known.contains_key(&uid)) {
            return None;
        }
        known.insert(uid, (said.name_any(), words.chars().take(500).collect()));
        Some(PartialObjectMeta { metadata: pod.metadata.clone(), ..PartialObjectMeta::default() })
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use serde_json::json;

    use super::*;

    fn pods() -> Store<Pod> {
        let (store, mut writer) = reflector::store();
        let pod = json!({"metadata": {"name": "files-1", "namespace": "team", "uid": "uid-1"}});
        writer.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(pod).unwrap()));
        store
    }

    fn event(name: &str, uid: &str, message: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "team"}, "message": message,
            "involvedObject": {"kind": "Pod", "namespace": "team", "name": "files-1", "uid": uid},
        }))
        .unwrap()
    }

    #[test]
    fn the_words_that_name_the_missing_object_stay() {
        let (mounts, pods) = (Mounts::default(), pods());
        let pod = pods.state().remove(0);
        let missing = "MountVolume.SetUp failed for volume \"data\" : configmap \"nope\" not found";
        let news = mounts.see(&watcher::Event::Apply(event("a", "uid-1", missing)), &pods);
        assert_eq!(news.unwrap().name_any(), "files-1");
        let later = event("b", "uid-1", "Unable to attach or mount volumes: timed out waiting for the condition");
        assert!(mounts.see(&watcher::Event::Apply(later), &pods).is_none());
        assert_eq!(mounts.words(&pod).as_deref(), Some(missing));
        mounts.see(&watcher::Event::Delete(event("a", "uid-1", missing)), &pods);
        assert_eq!(mounts.words(&pod), None);
    }

    #[test]
    fn pods_that_are_not_ours_or_no_more_are_not_remembered() {
        let (mounts, pods) = (Mounts::default(), pods());
        assert!(mounts.see(&watcher::Event::Apply(event("a", "uid-of-an-older-pod", "x")), &pods).is_none());
        assert!(mounts.0.lock().unwrap().is_empty());
    }
}
