//! The same associations with fewer calls: one list of the whole cluster for all servers, and descriptions kept.
//!
//! In: another [`Associations`], which is asked. Out: answers that may be minutes old where the caller says that this is
//! enough ([`known`](Associations::known), [`described`](Associations::described)), others as they are. Drift by another
//! hand is seen when the list or the description is too old. What we write ourselves is known at once; whether AWS shows
//! it is looked up when that has settled, once for all that was written meanwhile.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use tokio::time::Instant;

use super::{
    Association, Associations, Change, Class, Failure, Key, New, Page, Summary, Tags,
    associations::{Answer, of_cluster},
};

/// Age up to which a list is good enough.
pub const LISTED: Duration = Duration::from_mins(5);
/// Age up to which a description is good enough; each has up to a fifth more, so that not all are asked for at once.
pub const DESCRIBED: Duration = Duration::from_mins(15);

/// Another [`Associations`], and what it said.
#[derive(Debug)]
pub struct Cached<A> {
    aws: A,
    /// Time in which AWS comes to show what was written.
    settle: Duration,
    /// The list of the cluster. Whoever holds it is asking for a new one, and the others wait for that.
    list: tokio::sync::Mutex<Option<List>>,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct List {
    /// When it was asked for.
    asked: Instant,
    by_key: HashMap<Key, Vec<Summary>>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Descriptions by id, and when each was asked for.
    described: HashMap<String, (Instant, Association)>,
    /// Keys by id, as the list has them.
    keys: HashMap<String, Key>,
    /// What a list has to show of a key, or be newer.
    expected: HashMap<Key, Expected>,
}

/// What is known of a key beside the list.
#[derive(Debug)]
struct Expected {
    /// Something happened then: an older list says nothing.
    since: Instant,
    /// AWS shows it by then: a list that is newer tells the truth.
    until: Instant,
    /// Id of the association that a list shows in between if it has heard of it; an empty one for none.
    id: String,
}

impl Expected {
    /// Nothing older than now will do.
    fn news() -> Self {
        let now = Instant::now();
        Self { since: now, until: now, id: String::new() }
    }

    /// Whether a list is good enough for a key that it shows like this.
    fn is_met(&self, asked: Instant, shown: &[Summary]) -> bool {
        let expected = match shown {
            [] => self.id.is_empty(),
            shown => shown.iter().all(|item| item.id == self.id),
        };
        // What AWS need not show yet is not looked for: whoever wrote it waits.
        asked > self.until || Instant::now() < self.until || (asked >= self.since && expected)
    }
}

impl<A: Associations> Cached<A> {
    /// Knows nothing yet. AWS comes to show what was written within `settle`.
    pub fn new(aws: A, settle: Duration) -> Self {
        Self { aws, settle, list: tokio::sync::Mutex::default(), memory: Mutex::default() }
    }

    /// Who is asked.
    pub fn inner(&self) -> &A {
        &self.aws
    }

    fn memory<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a list is good enough for a key.
    fn is_good(&self, list: &List, key: &Key) -> bool {
        let shown = list.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        let met = self.memory(|memory| memory.expected.get(key).is_none_or(|it| it.is_met(list.asked, shown)));
        met && list.asked.elapsed() < LISTED
    }

    async fn of_list(&self, key: &Key) -> Result<Vec<Summary>, Failure> {
        let mut list = self.list.lock().await;
        let good = list.as_ref().filter(|list| self.is_good(list, key));
        if good.is_none() {
            *list = Some(self.ask().await?);
        }
        Ok(list.as_ref().and_then(|list| list.by_key.get(key).cloned()).unwrap_or_default())
    }

    /// Asks for all of it.
    async fn ask(&self) -> Result<List, Failure> {
        let asked = Instant::now();
        let mut by_key: HashMap<Key, Vec<Summary>> = HashMap::new();
        for item in of_cluster(&self.aws).await? {
            by_key.entry(item.key.clone()).or_default().push(item);
        }
        self.memory(|memory| {
            memory.expected.retain(|_, expected| expected.until > asked);
            memory.keys = by_key.values().flatten().map(|item| (item.id.clone(), item.key.clone())).collect();
            // What is not listed any more is not asked for again; what was just made is not listed yet.
            let (listed, settle) = (&memory.keys, self.settle);
            memory
                .described
                .retain(|id, (at, _)| listed.contains_key(id) || asked.saturating_duration_since(*at) < settle);
        });
        Ok(List { asked, by_key })
    }

    /// Remembers what was written.
    fn wrote(&self, key: &Key, is: Option<&Association>) {
        let now = Instant::now();
        let id = is.map(|is| is.id.clone()).unwrap_or_default();
        self.memory(|memory| {
            memory.expected.insert(key.clone(), Expected { since: now, until: now + self.settle, id });
            if let Some(is) = is {
                memory.described.insert(is.id.clone(), (now, is.clone()));
            }
        });
    }

    /// Forgets an association that is not as it was thought to be. Returns its key and what was known of it.
    fn forget(&self, id: &str) -> (Option<Key>, Option<Association>) {
        self.memory(|memory| {
            let known = memory.described.remove(id).map(|(_, known)| known);
            // The list may show what was never described, or so long ago that it was thrown away.
            let key = known.as_ref().map(|known| known.key.clone()).or_else(|| memory.keys.get(id).cloned());
            if let Some(key) = &key {
                memory.expected.insert(key.clone(), Expected::news());
            }
            (key, known)
        })
    }
}

/// Age up to which the description of an association is good enough.
fn keeps(id: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 100).unwrap_or_default();
    DESCRIBED + DESCRIBED * share / 500
}

impl<A: Associations> Associations for Cached<A> {
    fn list(&self, only: Option<&Key>, page: Option<&str>) -> Answer<'_, Page> {
        self.aws.list(only, page)
    }

    fn describe(&self, id: &str) -> Answer<'_, Association> {
        let id = id.to_owned();
        async move {
            let asked = Instant::now();
            let answer = self.aws.describe(&id).await;
            match &answer {
                Ok(found) => {
                    self.memory(|memory| memory.described.insert(id, (asked, found.clone())));
                }
                Err(failure) if failure.class == Class::NotFound => drop(self.forget(&id)),
                Err(_) => {}
            }
            answer
        }
        .boxed()
    }

    fn create(&self, new: &New) -> Answer<'_, Association> {
        let new = new.clone();
        async move {
            let answer = self.aws.create(&new).await;
            match &answer {
                Ok(made) => self.wrote(&new.key, Some(made)),
                // There is one, and the list was not new enough to show it.
                Err(failure) if failure.class == Class::InUse => {
                    self.memory(|memory| memory.expected.insert(new.key.clone(), Expected::news()));
                }
                Err(_) => {}
            }
            answer
        }
        .boxed()
    }

    fn update(&self, id: &str, change: &Change) -> Answer<'_, Association> {
        let (id, change) = (id.to_owned(), change.clone());
        async move {
            // Until the answer is there, nobody knows.
            self.forget(&id);
            let answer = self.aws.update(&id, &change).await;
            if let Ok(changed) = &answer {
                self.wrote(&changed.key, Some(changed));
            }
            answer
        }
        .boxed()
    }

    fn delete(&self, id: &str) -> Answer<'_, ()> {
        let id = id.to_owned();
        async move {
            let (key, _) = self.forget(&id);
            let answer = self.aws.delete(&id).await;
            if let Some(key) = key.filter(|_| answer.is_ok()) {
                self.wrote(&key, None);
            }
            answer
        }
        .boxed()
    }

    fn tag(&self, arn: &str, tags: &Tags) -> Answer<'_, ()> {
        let (arn, tags) = (arn.to_owned(), tags.clone());
        async move {
            let (_, known) = self.forget(arn.rsplit('/').next().unwrap_or_default());
            let answer = self.aws.tag(&arn, &tags).await;
            if let Some(mut known) = known.filter(|_| answer.is_ok()) {
                known.tags.extend(tags);
                self.wrote(&known.key.clone(), Some(&known));
            }
            answer
        }
        .boxed()
    }

    fn known(&self, key: &Key) -> Answer<'_, Vec<Summary>> {
        let key = key.clone();
        async move { self.of_list(&key).await }.boxed()
    }

    fn all(&self) -> Answer<'_, Vec<Summary>> {
        async move {
            let mut list = self.list.lock().await;
            if list.as_ref().is_none_or(|list| list.asked.elapsed() >= LISTED) {
                *list = Some(self.ask().await?);
            }
            Ok(list.iter().flat_map(|list| list.by_key.values().flatten().cloned()).collect())
        }
        .boxed()
    }

    fn described(&self, id: &str) -> Answer<'_, Association> {
        let kept = self.memory(|memory| {
            let (at, known) = memory.described.get(id)?;
            (at.elapsed() < keeps(id)).then(|| known.clone())
        });
        match kept {
            Some(known) => async move { Ok(known) }.boxed(),
            None => self.describe(id),
        }
    }
}
