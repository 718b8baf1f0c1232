//! EKS as its documentation has it, in this process: a double for tests, with faults on demand.
//!
//! In: calls, and how AWS shall misbehave. Out: answers as documented, a log of every call, and what there is in the end.
//! Its clock is the number of calls: what was written is shown `lag` calls later. Nothing of it is used in production.

mod faults;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;

use self::state::State;
use super::{Association, Associations, Call, Change, Class, Failure, Key, New, Page, Tags, associations::Answer};

pub use faults::{Fault, Kind};

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Which.
    pub call: Call,
    /// Of what: a key, an id or an ARN.
    pub subject: String,
    /// Whether something was changed.
    pub changed: bool,
    /// How it failed, if it did.
    pub failed: Option<Class>,
}

/// A fake EKS with one cluster.
#[derive(Debug, Default)]
pub struct Fake(Mutex<State>);

impl Fake {
    /// One that works, and shows at once what was written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists and descriptions show what was written only after so many calls more.
    pub fn lag(&self, calls: usize) {
        self.state().lag = calls;
    }

    /// Lists have pages of so many.
    pub fn pages_of(&self, associations: usize) {
        self.state().page = associations.max(1);
    }

    /// The cluster may have so many associations.
    pub fn limit(&self, associations: usize) {
        self.state().limit = associations;
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Puts an association there by another hand, visible at once. Returns it with its id and ARN.
    pub fn put(&self, new: &New, owner_arn: Option<&str>) -> Association {
        self.state().put(new, owner_arn.map(str::to_owned))
    }

    /// Changes what there is by another hand, visible at once.
    pub fn alter(&self, id: &str, alter: impl FnOnce(&mut Association)) {
        self.state().alter(id, alter);
    }

    /// Takes an association away by another hand, visible at once.
    pub fn remove(&self, id: &str) {
        self.state().remove(id);
    }

    /// What there is, whether it is shown yet or not.
    #[must_use]
    pub fn associations(&self) -> Vec<Association> {
        self.state().alive()
    }

    /// Every call so far.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.state().log.clone()
    }

    /// How many calls of a kind changed something.
    #[must_use]
    pub fn changed(&self, call: Call) -> usize {
        self.state().log.iter().filter(|logged| logged.call == call && logged.changed).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: counted, perhaps spoilt, logged.
    fn call<T>(
        &self,
        call: Call,
        subject: &str,
        done: impl FnOnce(&mut State) -> Result<T, (Class, String)>,
    ) -> Answer<'static, T>
    where
        T: Send + 'static,
    {
        let mut state = self.state();
        state.now += 1;
        let (kind, before) = (state.spoil(call), state.changes);
        let outcome = match kind {
            Some(kind) if !kind.is_done() => Err(kind.failure()),
            _ => done(&mut state),
        };
        let changed = state.changes > before;
        let answer = match (kind, outcome) {
            (Some(kind), Ok(_)) => Err(kind.failure()),
            (_, outcome) => outcome,
        };
        let failed = answer.as_ref().err().map(|(class, _)| *class);
        state.log.push(Logged { call, subject: subject.to_owned(), changed, failed });
        let subject = subject.to_owned();
        let answer = answer.map_err(|(class, message)| Failure { call, subject, class, message });
        async move { answer }.boxed()
    }
}

impl Associations for Fake {
    fn list(&self, only: Option<&Key>, page: Option<&str>) -> Answer<'_, Page> {
        let subject = only.map(Key::to_string).unwrap_or_default();
        self.call(Call::List, &subject, |state| state.list(only, page))
    }

    fn describe(&self, id: &str) -> Answer<'_, Association> {
        self.call(Call::Describe, id, |state| state.describe(id))
    }

    fn create(&self, new: &New) -> Answer<'_, Association> {
        self.call(Call::Create, &new.key.to_string(), |state| state.create(new))
    }

    fn update(&self, id: &str, change: &Change) -> Answer<'_, Association> {
        self.call(Call::Update, id, |state| state.update(id, change))
    }

    fn delete(&self, id: &str) -> Answer<'_, ()> {
        self.call(Call::Delete, id, |state| state.delete(id))
    }

    fn tag(&self, arn: &str, tags: &Tags) -> Answer<'_, ()> {
        self.call(Call::Tag, arn, |state| state.tag(arn, tags))
    }
}
