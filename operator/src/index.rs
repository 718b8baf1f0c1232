//! Names of objects by something they carry, kept beside a store: what would otherwise be a search through all of it.
//!
//! In: the events that fill a store, and a function from an object to its keys. Out: the names of a namespace's objects
//! under a key. Like the store it answers from the last complete list until the next one is complete.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use kube::{Resource, ResourceExt, runtime::watcher};

/// Keys of an object.
type Keys<K> = fn(&K) -> Vec<String>;

/// Names of the objects of one kind, by namespace and key.
pub struct Index<K> {
    keys: Keys<K>,
    inner: Arc<RwLock<Inner>>,
}

#[derive(Default)]
struct Inner {
    current: Entries,
    /// A list that is still coming in.
    coming: Option<Entries>,
}

/// Namespace and name, or namespace and key.
type Place = (String, String);

#[derive(Debug, Default)]
struct Entries {
    names: HashMap<Place, BTreeSet<String>>,
    keys: HashMap<Place, Vec<String>>,
}

impl<K> Index<K> {
    /// An empty index over these keys.
    #[must_use]
    pub fn new(keys: Keys<K>) -> Self {
        Self { keys, inner: Arc::default() }
    }

    /// Names of the objects of a namespace under a key, in order.
    #[must_use]
    pub fn names(&self, namespace: &str, key: &str) -> Vec<String> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let names = inner.current.names.get(&(namespace.to_owned(), key.to_owned()));
        names.into_iter().flatten().cloned().collect()
    }
}

impl<K: Resource> Index<K> {
    /// Looks at an event on its way.
    pub fn see(&self, event: &Result<watcher::Event<K>, watcher::Error>) {
        let Ok(event) = event else { return };
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            watcher::Event::Apply(object) => inner.current.put(object, (self.keys)(object)),
            watcher::Event::Delete(object) => inner.current.put(object, Vec::new()),
            watcher::Event::Init => inner.coming = Some(Entries::default()),
            watcher::Event::InitApply(object) => {
                let keys = (self.keys)(object);
                inner.coming.get_or_insert_default().put(object, keys);
            }
            watcher::Event::InitDone => {
                if let Some(complete) = inner.coming.take() {
                    inner.current = complete;
                }
            }
        }
    }
}

impl Entries {
    /// Puts an object under these keys alone.
    fn put<K: Resource>(&mut self, object: &K, keys: Vec<String>) {
        let namespace = object.namespace().unwrap_or_default();
        let place = (namespace.clone(), object.name_any());
        for old in self.keys.remove(&place).into_iter().flatten() {
            let under = (namespace.clone(), old);
            if let Some(names) = self.names.get_mut(&under) {
                names.remove(&place.1);
                if names.is_empty() {
                    self.names.remove(&under);
                }
            }
        }
        for key in &keys {
            self.names.entry((namespace.clone(), key.clone())).or_default().insert(place.1.clone());
        }
        if !keys.is_empty() {
            self.keys.insert(place, keys);
        }
    }
}

impl<K> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self { keys: self.keys, inner: self.inner.clone() }
    }
}

impl<K> fmt::Debug for Index<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        formatter.debug_struct("Index").field("keys", &inner.current.names.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::{
        ResourceExt,
        runtime::watcher::{Error, Event},
    };

    use super::Index;

    fn pod(namespace: &str, name: &str, labels: &[&str]) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some(namespace.to_owned());
        pod.metadata.name = Some(name.to_owned());
        pod.labels_mut().extend(labels.iter().map(|label| ((*label).to_owned(), String::new())));
        pod
    }

    fn index() -> Index<Pod> {
        Index::new(|pod| pod.labels().keys().cloned().collect())
    }

    #[test]
    fn an_object_is_found_under_its_keys_in_its_namespace_until_it_goes() {
        let index = index();
        index.see(&Ok(Event::Apply(pod("a", "two", &["x"]))));
        index.see(&Ok(Event::Apply(pod("a", "one", &["x", "y"]))));
        index.see(&Ok(Event::Apply(pod("b", "other", &["x"]))));
        assert_eq!(index.names("a", "x"), ["one", "two"]);
        assert_eq!(index.names("b", "x"), ["other"]);
        index.see(&Ok(Event::Apply(pod("a", "one", &["y"]))));
        assert_eq!((index.names("a", "x"), index.names("a", "y")), (vec!["two".to_owned()], vec!["one".to_owned()]));
        index.see(&Ok(Event::Delete(pod("a", "two", &["x"]))));
        assert!(index.names("a", "x").is_empty());
    }

    #[test]
    fn a_new_list_counts_when_it_is_complete() {
        let index = index();
        index.see(&Ok(Event::Apply(pod("a", "old", &["x"]))));
        index.see(&Ok(Event::Init));
        index.see(&Ok(Event::InitApply(pod("a", "new", &["x"]))));
        assert_eq!(index.names("a", "x"), ["old"]);
        index.see(&Err(Error::NoResourceVersion));
        index.see(&Ok(Event::InitDone));
        assert_eq!(index.names("a", "x"), ["new"]);
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        let index = index();
        for round in 0..100 {
            let name = format!("pod-{round}");
            index.see(&Ok(Event::Apply(pod("a", &name, &["x", &name]))));
            index.see(&Ok(Event::Delete(pod("a", &name, &["x"]))));
        }
        let inner = index.inner.read().unwrap();
        assert_eq!((inner.current.names.len(), inner.current.keys.len()), (0, 0));
    }
}
