//! Entries in the memory of the process: they end with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt;

use super::{
    Answer, Store,
    entry::{Bounds, Entry, Listed, Page, Place, Trouble, Write, added, agrees, next_version, now_ms, weight},
};

/// The store.
pub(crate) struct Memory {
    bounds: Bounds,
    kept: Mutex<Shelf>,
}

/// Entries by place, and two more orders of the same: by age and by end.
#[derive(Default)]
struct Shelf {
    entries: BTreeMap<Place, Entry>,
    by_age: BTreeMap<u64, Place>,
    by_end: BTreeSet<(i64, Place)>,
    bytes: usize,
    last: u64,
}

impl Shelf {
    fn take(&mut self, place: &Place) -> Option<Entry> {
        let entry = self.entries.remove(place)?;
        self.by_age.remove(&entry.version);
        if let Some(end) = entry.expires_at {
            self.by_end.remove(&(end, place.clone()));
        }
        self.bytes -= weight(place, entry.value.len());
        Some(entry)
    }

    fn put(&mut self, place: Place, value: String, expires_at: Option<i64>, now: i64, bounds: Bounds) -> Entry {
        self.take(&place);
        self.last = next_version(self.last, now);
        let entry = Entry { value, version: self.last, expires_at };
        self.bytes += weight(&place, entry.value.len());
        self.by_age.insert(entry.version, place.clone());
        self.by_end.extend(expires_at.map(|end| (end, place.clone())));
        self.entries.insert(place, entry.clone());
        while bounds.exceeded(self.entries.len(), self.bytes) {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.take(&oldest);
        }
        entry
    }

    fn version(&self, place: &Place) -> u64 {
        self.entries.get(place).map_or(0, |entry| entry.version)
    }
}

impl Memory {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    /// What is kept, without what is over.
    fn kept(&self, now: i64) -> MutexGuard<'_, Shelf> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((end, place)) = kept.by_end.first().cloned()
            && end <= now
        {
            kept.take(&place);
        }
        kept
    }
}

impl Store for Memory {
    fn get(&self, place: Place) -> Answer<'_, Option<Entry>> {
        async move { Ok(self.kept(now_ms()).entries.get(&place).cloned()) }.boxed()
    }

    fn set(&self, place: Place, write: Write) -> Answer<'_, Entry> {
        async move {
            let now = now_ms();
            let mut kept = self.kept(now);
            agrees(write.if_version, kept.version(&place))?;
            let end = write.ttl_ms.map(|ttl| now.saturating_add(ttl));
            Ok(kept.put(place, write.value, end, now, self.bounds))
        }
        .boxed()
    }

    fn delete(&self, place: Place, if_version: Option<u64>) -> Answer<'_, bool> {
        async move {
            let mut kept = self.kept(now_ms());
            agrees(if_version, kept.version(&place))?;
            Ok(kept.take(&place).is_some())
        }
        .boxed()
    }

    fn increment(&self, place: Place, by: i64, ttl_ms: Option<i64>) -> Answer<'_, Entry> {
        async move {
            let now = now_ms();
            let mut kept = self.kept(now);
            let before = kept.entries.get(&place);
            let sum = added(before.map(|entry| entry.value.as_str()), by)?;
            let end = before.map_or(ttl_ms.map(|ttl| now.saturating_add(ttl)), |entry| entry.expires_at);
            Ok(kept.put(place, sum.to_string(), end, now, self.bounds))
        }
        .boxed()
    }

    fn list(&self, namespace: String, prefix: String, after: Option<String>, limit: usize) -> Answer<'_, Page> {
        async move {
            let kept = self.kept(now_ms());
            let place = |key: String| Place { namespace: namespace.clone(), key };
            let start = match after.filter(|after| *after >= prefix) {
                Some(after) => Bound::Excluded(place(after)),
                None => Bound::Included(place(prefix.clone())),
            };
            let mut keys: Vec<Listed> = kept
                .entries
                .range((start, Bound::Unbounded))
                .take_while(|(place, _)| place.namespace == namespace && place.key.starts_with(&prefix))
                .take(limit + 1)
                .map(|(place, entry)| Listed {
                    key: place.key.clone(),
                    version: entry.version,
                    expires_at: entry.expires_at,
                })
                .collect();
            let more = keys.len() > limit;
            keys.truncate(limit);
            Ok::<_, Trouble>(Page { keys, more })
        }
        .boxed()
    }
}
