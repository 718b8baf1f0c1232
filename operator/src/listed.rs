//! How the stream of each kind is: listed once or not (until then a store is empty, and says nothing), refused or not.
//!
//! In: the events of every stream. Out: what is missing and why, a wait for the rest, which optional kinds there are,
//! one log line for each change, counts of lists and errors. Not the stores' own `wait_until_ready`: kube-runtime 5.0
//! wakes one waiter alone, and a look at it takes the place of who waits.

use futures::{Stream, StreamExt, stream};
use kube::{core::Status, runtime::watcher};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::metrics::Watches;

/// Secrets of a namespace that grants a look at them: what comes before its name.
const GRANTED: &str = "secrets/";

/// What is known about a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// Its store was full once.
    pub listed: bool,
    /// Why the API server does not give it out now.
    pub refused: Option<Refusal>,
}

/// Why the API server does not give a kind out; neither passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The operator may not.
    Denied,
    /// There is no such kind.
    NoSuchKind,
}

/// The refusal in what a stream yields, if it is one.
#[must_use]
pub fn refusal<T>(event: &Result<T, watcher::Error>) -> Option<Refusal> {
    match status(event.as_ref().err()?)?.code {
        401 | 403 => Some(Refusal::Denied),
        404 => Some(Refusal::NoSuchKind),
        _ => None,
    }
}

fn status(error: &watcher::Error) -> Option<&Status> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => Some(status),
        _ => None,
    }
}

/// The sending side, one a kind.
#[derive(Debug)]
pub struct Mark {
    name: &'static str,
    optional: bool,
    kind: watch::Sender<Kind>,
    watches: Watches,
}

impl Mark {
    /// Looks at an event on its way: the end of a list is what counts. `objects` is how many the store holds.
    pub fn see<K>(&self, event: &Result<watcher::Event<K>, watcher::Error>, objects: usize) {
        let before = *self.kind.borrow();
        let now = match event {
            // Comes before the API server is asked: no sign of anything.
            Ok(watcher::Event::Init) => {
                self.watches.lists(self.name);
                before
            }
            Ok(watcher::Event::InitDone) => Kind { listed: true, refused: None },
            Ok(_) => Kind { refused: None, ..before },
            Err(error) => {
                self.watches.failed(self.name);
                let refused = refusal(event);
                if refused.is_none() {
                    warn!(kind = self.name, %error, "watch failed; it is tried again with a backoff");
                }
                Kind { refused: refused.or(before.refused), ..before }
            }
        };
        if now != before {
            self.tell(before, now);
            self.kind.send_replace(now);
        }
        self.watches.holds(self.name, objects);
    }

    /// Says what changed, once: a refusal is repeated every few seconds.
    fn tell(&self, before: Kind, now: Kind) {
        let kind = self.name;
        match (before.refused, now.refused) {
            (before, Some(refused)) if before != Some(refused) => {
                let why = why(kind, refused);
                if self.optional && refused == Refusal::NoSuchKind {
                    info!(kind, "not installed: what needs it waits until it is");
                } else {
                    warn!(kind, why, "cannot be watched; it is tried again every few seconds");
                }
            }
            (Some(_), None) => info!(kind, "watched again"),
            _ if self.optional && now.listed && !before.listed => info!(kind, "installed"),
            _ => {}
        }
    }
}

/// A refusal in words that say what to do.
fn why(kind: &str, refused: Refusal) -> String {
    match refused {
        Refusal::Denied if let Some(namespace) = kind.strip_prefix(GRANTED) => format!(
            "the operator may not see that Secrets in {namespace} change, and no pods roll for them: \
             kubectl apply -n {namespace} -f config/roll-on-secrets/role.yaml grants it"
        ),
        Refusal::Denied => format!("the operator may not list and watch {kind}: apply config/rbac, which grants it"),
        Refusal::NoSuchKind => format!("the cluster has no {kind}: apply its CustomResourceDefinition"),
    }
}

/// A kind that a cluster may lack.
#[derive(Clone, Debug)]
pub struct Presence(watch::Receiver<Kind>);

impl Presence {
    /// A kind that is not there, and never will be.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(Kind::default()).1)
    }

    /// Whether it is there, and its store full.
    #[must_use]
    pub fn is_there(&self) -> bool {
        *self.0.borrow() == Kind { listed: true, refused: None }
    }

    /// Resolves when it is known whether it is there.
    pub async fn known(mut self) {
        // A sender that is gone belongs to a process that ends.
        let _ = self.0.wait_for(|kind| kind.listed || kind.refused.is_some()).await;
    }

    /// An item whenever it comes or goes.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold((self.clone(), self.is_there()), |(mut presence, was)| async move {
            while presence.is_there() == was {
                presence.0.changed().await.ok()?;
            }
            Some(((), (presence, !was)))
        })
        .boxed()
    }
}

/// Every kind, listed or not.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    kinds: Vec<(&'static str, watch::Receiver<Kind>)>,
    optional: Vec<(&'static str, Presence)>,
    watches: Watches,
}

impl Listed {
    /// No kind yet; what happens to their watches is counted.
    #[must_use]
    pub fn new(watches: Watches) -> Self {
        Self { watches, ..Self::default() }
    }

    /// Adds a kind that every cluster has. Returns what marks it as listed.
    pub fn add(&mut self, kind: &'static str) -> Mark {
        let (sender, receiver) = watch::channel(Kind::default());
        self.kinds.push((kind, receiver));
        Mark { name: kind, optional: false, kind: sender, watches: self.watches.clone() }
    }

    /// Adds a kind that a cluster may lack: nobody waits for it.
    pub fn add_optional(&mut self, kind: &'static str) -> (Mark, Presence) {
        let (sender, receiver) = watch::channel(Kind::default());
        let presence = Presence(receiver);
        self.optional.push((kind, presence.clone()));
        (Mark { name: kind, optional: true, kind: sender, watches: self.watches.clone() }, presence)
    }

    /// Adds the Secrets of a namespace, whose owner may grant a look at them: nobody waits for it.
    pub fn add_granted(&mut self, namespace: &str) -> (Mark, Presence) {
        // As long as the process: as many as the command line names.
        self.add_optional(Box::leak(format!("{GRANTED}{namespace}").into_boxed_str()))
    }

    /// Every kind, and whether it was listed.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.kinds.iter().map(|(name, kind)| (*name, kind.borrow().listed))
    }

    /// Every optional kind, and whether it is there.
    pub fn optional(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.optional.iter().map(|(name, presence)| (*name, presence.is_there()))
    }

    /// Kinds that were not listed yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.kinds().filter(|(_, listed)| !listed).map(|(kind, _)| kind).collect()
    }

    /// Kinds that are not watched as they should be, and why.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let tell = |(name, kind): &(&'static str, watch::Receiver<Kind>)| match *kind.borrow() {
            Kind { refused: Some(refused), .. } => Some(why(name, refused)),
            Kind { listed: false, .. } => Some(format!("not listed yet: {name}")),
            Kind { .. } => None,
        };
        self.kinds.iter().filter_map(tell).collect()
    }

    /// Resolves when every kind was listed once.
    pub async fn all(self) {
        for (_, mut kind) in self.kinds {
            // A sender that is gone belongs to a process that ends.
            let _ = kind.wait_for(|kind| kind.listed).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use k8s_openapi::api::core::v1::Pod;
    use kube::{
        core::Status,
        runtime::watcher::{Error, Event},
    };

    use super::Listed;

    fn refused(code: u16) -> Result<Event<Pod>, Error> {
        let status = Status { code, ..Status::failure("no", "no") };
        Err(Error::InitialListFailed(kube::Error::Api(Box::new(status))))
    }

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

    #[test]
    fn what_is_refused_is_named_with_what_to_do_until_it_is_granted() {
        let mut listed = Listed::default();
        let pods = listed.add("pods");
        assert_eq!(listed.trouble(), ["not listed yet: pods"]);
        pods.see(&refused(403), 0);
        assert!(listed.trouble()[0].contains("may not list and watch pods"), "{:?}", listed.trouble());
        pods.see::<Pod>(&Ok(Event::Init), 0);
        assert!(listed.trouble()[0].contains("may not"), "a list that begins has not succeeded");
        pods.see::<Pod>(&Ok(Event::InitDone), 0);
        assert!(listed.trouble().is_empty());
        pods.see(&refused(404), 0);
        assert!(listed.trouble()[0].contains("no pods"), "listed once, and gone now");
        pods.see(&refused(503), 0);
        assert!(listed.trouble()[0].contains("no pods"), "an API server that is away says nothing new");
        pods.see::<Pod>(&Ok(Event::InitDone), 0);
        pods.see(&refused(503), 0);
        assert!(listed.trouble().is_empty(), "an API server that is away is not for a person with rights to mend");
    }

    #[test]
    fn an_optional_kind_comes_and_goes_and_nobody_waits_for_it() {
        let mut listed = Listed::default();
        let (mark, presence) = listed.add_optional("scaledobjects");
        let mut changes = Box::pin(presence.changes());
        assert!(listed.missing().is_empty() && listed.trouble().is_empty());
        assert!(presence.clone().known().now_or_never().is_none(), "nobody has answered yet");
        mark.see(&refused(503), 0);
        assert!(presence.clone().known().now_or_never().is_none(), "that is no answer");
        mark.see(&refused(404), 0);
        assert!(presence.clone().known().now_or_never().is_some());
        assert!(!presence.is_there() && changes.next().now_or_never().is_none());
        for there in [true, false, true] {
            if there {
                mark.see::<Pod>(&Ok(Event::InitDone), 0);
            } else {
                mark.see(&refused(404), 0);
            }
            assert_eq!(listed.optional().collect::<Vec<_>>(), [("scaledobjects", there)]);
            assert_eq!(changes.next().now_or_never(), Some(Some(())));
            assert!(changes.next().now_or_never().is_none());
        }
    }
}
