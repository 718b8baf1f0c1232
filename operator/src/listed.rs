//! Which kinds have been listed once: until then a store is empty, and says nothing.
//!
//! In: the events of every stream. Out: what is missing, a wait for the rest, counts of lists and errors. Not the stores' own
//! `wait_until_ready`: kube-runtime 5.0 wakes one waiter alone, and a look at it takes the place of who waits.

use kube::runtime::watcher;
use tokio::sync::watch;

use crate::metrics::Watches;

/// The sending side, one a kind.
#[derive(Debug)]
pub struct Mark {
    kind: &'static str,
    listed: watch::Sender<bool>,
    watches: Watches,
}

impl Mark {
    /// Looks at an event on its way: the end of a list is what counts. `objects` is how many the store holds.
    pub fn see<K>(&self, event: &Result<watcher::Event<K>, watcher::Error>, objects: usize) {
        match event {
            Ok(watcher::Event::Init) => self.watches.lists(self.kind),
            Ok(watcher::Event::InitDone) => {
                self.listed.send_replace(true);
            }
            Ok(_) => {}
            Err(_) => self.watches.failed(self.kind),
        }
        self.watches.holds(self.kind, objects);
    }
}

/// Every kind, listed or not.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    kinds: Vec<(&'static str, watch::Receiver<bool>)>,
    watches: Watches,
}

impl Listed {
    /// No kind yet; what happens to their watches is counted.
    #[must_use]
    pub fn new(watches: Watches) -> Self {
        Self { kinds: Vec::new(), watches }
    }

    /// Adds a kind. Returns what marks it as listed.
    pub fn add(&mut self, kind: &'static str) -> Mark {
        let (sender, receiver) = watch::channel(false);
        self.kinds.push((kind, receiver));
        Mark { kind, listed: sender, watches: self.watches.clone() }
    }

    /// Every kind, and whether it was listed.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.kinds.iter().map(|(kind, listed)| (*kind, *listed.borrow()))
    }

    /// Kinds that were not listed yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.kinds().filter(|(_, listed)| !listed).map(|(kind, _)| kind).collect()
    }

    /// Resolves when every kind was listed once.
    pub async fn all(self) {
        for (_, mut listed) in self.kinds {
            // A sender that is gone belongs to a process that ends.
            let _ = listed.wait_for(|listed| *listed).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::Pod;
    use kube::runtime::watcher::Event;

    use super::Listed;

    #[tokio::test]
    async fn whoever_waits_is_woken_however_many_look() {
        let mut listed = Listed::default();
        let (pods, services) = (listed.add("pods"), listed.add("services"));
        let waiting = [listed.clone().all(), listed.clone().all()].map(tokio::spawn);
        pods.see(&Ok(Event::Apply(Pod::default())), 1);
        assert_eq!(listed.missing(), ["pods", "services"], "an object is not the end of a list");
        pods.see::<Pod>(&Ok(Event::InitDone), 1);
        assert_eq!(listed.missing(), ["services"]);
        assert!(listed.clone().all().now_or_never().is_none());
        services.see::<Pod>(&Ok(Event::InitDone), 1);
        for waiter in waiting {
            waiter.await.unwrap();
        }
        assert!(listed.missing().is_empty());
    }
}
