//! What keeps pods from starting and stands in kubelet's Events alone: volumes that cannot be mounted, sandboxes that
//! cannot be made. Pods wait without a word in their status.
//!
//! In: Events with those reasons, and the store of pods. Out: what hinders a pod, for pods of ours, and which pods there
//! is news of. Bounded: whoever comes when it is full is explained by `RolloutStuck`, minutes later.

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

use crate::status::pods::Hindrance;

/// Reason of the Events about volumes.
const FAILED_MOUNT: &str = "FailedMount";

/// Reason of the Events about sandboxes.
const FAILED_SANDBOX: &str = "FailedCreatePodSandBox";

/// What the API server is asked for, one watch each, by the name under which it is counted. A field selector has no
/// "or", and every other warning about every pod (back-off, failed probes) would be far more.
pub const WATCHES: [(&str, &str); 2] = [
    ("events", "involvedObject.kind=Pod,reason=FailedMount"),
    ("events of sandboxes", "involvedObject.kind=Pod,reason=FailedCreatePodSandBox"),
];

/// Pods remembered.
const MOST: usize = 4096;

/// What hinders a pod, by its uid, and the Event that says so.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<Mutex<HashMap<String, (String, Hindrance)>>>);

impl Said {
    /// What keeps a pod from starting, if kubelet said so.
    #[must_use]
    pub fn of(&self, pod: &Pod) -> Option<Hindrance> {
        let uid = pod.uid()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).map(|(_, hindrance)| hindrance.clone())
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
        let words = words.chars().take(500).collect();
        let hindrance = match said.reason.as_deref()? {
            FAILED_MOUNT => Hindrance::Volume(words),
            FAILED_SANDBOX => Hindrance::Sandbox(words),
            _ => return None,
        };
        known.insert(uid, (said.name_any(), hindrance));
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
        about(name, uid, FAILED_MOUNT, message)
    }

    fn about(name: &str, uid: &str, reason: &str, message: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "team"}, "message": message, "reason": reason,
            "involvedObject": {"kind": "Pod", "namespace": "team", "name": "files-1", "uid": uid},
        }))
        .unwrap()
    }

    #[test]
    fn the_words_that_name_the_missing_object_stay() {
        let (said, pods) = (Said::default(), pods());
        let pod = pods.state().remove(0);
        let missing = "MountVolume.SetUp failed for volume \"data\" : configmap \"nope\" not found";
        let news = said.see(&watcher::Event::Apply(event("a", "uid-1", missing)), &pods);
        assert_eq!(news.unwrap().name_any(), "files-1");
        let later = event("b", "uid-1", "Unable to attach or mount volumes: timed out waiting for the condition");
        assert!(said.see(&watcher::Event::Apply(later), &pods).is_none());
        assert_eq!(said.of(&pod), Some(Hindrance::Volume(missing.to_owned())));
        said.see(&watcher::Event::Delete(event("a", "uid-1", missing)), &pods);
        assert_eq!(said.of(&pod), None);
    }

    #[test]
    fn a_sandbox_that_cannot_be_made_is_told_from_a_volume_and_other_words_are_nobody_s() {
        let (said, pods) = (Said::default(), pods());
        let pod = pods.state().remove(0);
        let other = about("a", "uid-1", "BackOff", "Back-off restarting failed container");
        assert!(said.see(&watcher::Event::Apply(other), &pods).is_none());
        assert_eq!(said.of(&pod), None);
        let killed = about("b", "uid-1", FAILED_SANDBOX, "container init was OOM-killed");
        assert!(said.see(&watcher::Event::InitApply(killed), &pods).is_some());
        assert_eq!(said.of(&pod), Some(Hindrance::Sandbox("container init was OOM-killed".to_owned())));
    }

    #[test]
    fn each_watch_asks_for_a_reason_that_is_understood() {
        let reasons = WATCHES.map(|(_, fields)| fields.rsplit('=').next().unwrap());
        assert_eq!(reasons, [FAILED_MOUNT, FAILED_SANDBOX]);
    }

    #[test]
    fn pods_that_are_not_ours_or_no_more_are_not_remembered() {
        let (said, pods) = (Said::default(), pods());
        assert!(said.see(&watcher::Event::Apply(event("a", "uid-of-an-older-pod", "x")), &pods).is_none());
        assert!(said.0.lock().unwrap().is_empty());
    }
}
