//! Which kinds have been listed once: until then a store is empty, and says nothing.
//!
//! In: the events of every stream. Out: what is missing, and a wait for the rest. Not the stores' own
//! `wait_until_ready`: kube-runtime 5.0 wakes one waiter alone, and a look at it takes the place of who waits.

use kube::runtime::watcher;
use tokio::sync::watch;

/// The sending side, one a kind.
#[derive(Debug)]
pub struct Mark(watch::Sender<bool>);

impl Mark {
    /// Looks at an event on its way: the end of a list is what counts.
    pub fn see<K>(&self, event: &Result<watcher::Event<K>, watcher::Error>) {
        if matches!(event, Ok(watcher::Event::InitDone)) {
            self.0.send_replace(true);
        }
    }
}

/// Every kind, listed or not.
#[derive(Clone, Debug, Default)]
pub struct Listed(Vec<(&'static str, watch::Receiver<bool>)>);

impl Listed {
    /// Adds a kind. Returns what marks it as listed.
    pub fn add(&mut self, kind: &'static str) -> Mark {
        let (sender, receiver) = watch::channel(false);
        self.0.push((kind, receiver));
        Mark(sender)
    }

    /// Kinds that were not listed yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, listed)| !*listed.borrow()).map(|(kind, _)| *kind).collect()
    }

    /// Resolves when every kind was listed once.
    pub async fn all(self) {
        for (_, mut listed) in self.0 {
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
        pods.see(&Ok(Event::Apply(Pod::default())));
        assert_eq!(listed.missing(), ["pods", "services"], "an object is not the end of a list");
        pods.see::<Pod>(&Ok(Event::InitDone));
        assert_eq!(listed.missing(), ["services"]);
        assert!(listed.clone().all().now_or_never().is_none());
        services.see::<Pod>(&Ok(Event::InitDone));
        for waiter in waiting {
            waiter.await.unwrap();
        }
        assert!(listed.missing().is_empty());
    }
}
