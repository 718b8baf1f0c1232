//! What the fake holds, and what it does: the documented semantics of the six calls.

use std::collections::HashMap;

use super::{Fault, Kind, Logged};
use crate::identity::{
    Association, Call, Change, Class, Key, New, Page, Summary, Tags,
    associations::{PAGE, POLICY},
};

type Outcome<T> = Result<T, (Class, String)>;

/// An association, with what is shown of it.
#[derive(Clone, Debug)]
struct Record {
    now: Association,
    /// What was before the last change.
    before: Association,
    made: usize,
    changed: usize,
    deleted: Option<usize>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: usize,
    pub(super) lag: usize,
    pub(super) page: usize,
    pub(super) limit: usize,
    /// How often something was changed.
    pub(super) changes: usize,
    pub(super) faults: Vec<Fault>,
    pub(super) log: Vec<Logged>,
    records: Vec<Record>,
    /// Ids that were given out; none comes twice.
    ids: usize,
    /// Requests by token, and what was answered.
    answered: HashMap<String, (New, Association)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: 0,
            lag: 0,
            page: PAGE,
            // <https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html#pod-id-considerations>.
            limit: 5000,
            changes: 0,
            faults: Vec::new(),
            log: Vec::new(),
            records: Vec::new(),
            ids: 0,
            answered: HashMap::new(),
        }
    }
}

impl State {
    /// What goes wrong with a call.
    pub(super) fn spoil(&mut self, call: Call) -> Option<Kind> {
        // Every fault counts the call, also if another spoils it.
        let kinds: Vec<_> = self.faults.iter_mut().filter_map(|fault| fault.meet(call)).collect();
        kinds.first().copied()
    }

    pub(super) fn alive(&self) -> Vec<Association> {
        self.records.iter().filter(|record| record.deleted.is_none()).map(|record| record.now.clone()).collect()
    }

    /// Whether what happened at `then` is shown.
    fn shows(&self, then: usize) -> bool {
        then + self.lag < self.now
    }

    /// What is shown of a record.
    fn shown<'a>(&self, record: &'a Record) -> Option<&'a Association> {
        let gone = record.deleted.is_some_and(|then| self.shows(then));
        let there = self.shows(record.made) && !gone;
        there.then_some(if self.shows(record.changed) { &record.now } else { &record.before })
    }

    pub(super) fn list(&self, only: Option<&Key>, page: Option<&str>) -> Outcome<Page> {
        let from = match page.map(str::parse::<usize>) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Err((Class::Invalid, "Invalid nextToken".to_owned())),
        };
        let shown = self.records.iter().filter_map(|record| self.shown(record));
        let matching: Vec<_> = shown.filter(|found| only.is_none_or(|only| *only == found.key)).collect();
        let summary = |found: &&Association| Summary {
            id: found.id.clone(),
            key: found.key.clone(),
            owner_arn: found.owner_arn.clone(),
        };
        let items: Vec<_> = matching.iter().skip(from).take(self.page).map(summary).collect();
        let next = from + items.len();
        Ok(Page { items, next: (next < matching.len()).then(|| next.to_string()) })
    }

    pub(super) fn describe(&self, id: &str) -> Outcome<Association> {
        let shown = self.records.iter().filter(|record| record.now.id == id).find_map(|record| self.shown(record));
        shown.cloned().ok_or_else(|| not_found(id))
    }

    pub(super) fn create(&mut self, new: &New) -> Outcome<Association> {
        if let Some((asked, answer)) = self.answered.get(&new.token) {
            // The answer of then, also if that association has been deleted since.
            let mismatch = "the clientRequestToken was used with other parameters".to_owned();
            return if asked == new { Ok(answer.clone()) } else { Err((Class::Invalid, mismatch)) };
        }
        check(&new.grant)?;
        let taken = |record: &&Record| {
            // One that was deleted a moment ago is in the way for as long as it is shown.
            record.now.key == new.key && record.deleted.is_none_or(|then| !self.shows(then))
        };
        if let Some(record) = self.records.iter().find(taken) {
            return Err((Class::InUse, format!("Association already exists: {}", record.now.id)));
        }
        if self.alive().len() >= self.limit {
            return Err((Class::Limit, "The cluster has as many associations as it may have".to_owned()));
        }
        self.changes += 1;
        let made = self.add(new, None, self.now);
        self.answered.insert(new.token.clone(), (new.clone(), made.clone()));
        Ok(made)
    }

    fn add(&mut self, new: &New, owner_arn: Option<String>, now: usize) -> Association {
        self.ids += 1;
        let id = format!("a-{:016}", self.ids);
        let association = Association {
            arn: format!("arn:aws:eks:us-west-2:123456789012:podidentityassociation/fake/{id}"),
            key: new.key.clone(),
            grant: new.grant.clone(),
            tags: new.tags.clone(),
            owner_arn,
            external_id: new.grant.target_role_arn.as_ref().map(|_| format!("external-{id}")),
            id,
        };
        let before = association.clone();
        self.records.push(Record { now: association.clone(), before, made: now, changed: now, deleted: None });
        association
    }

    pub(super) fn put(&mut self, new: &New, owner_arn: Option<String>) -> Association {
        // Long ago, so that it is shown.
        self.now += self.lag + 1;
        self.add(new, owner_arn, self.now - self.lag - 1)
    }

    pub(super) fn alter(&mut self, id: &str, alter: impl FnOnce(&mut Association)) {
        if let Some(record) = self.records.iter_mut().find(|record| record.now.id == id) {
            alter(&mut record.now);
            record.before = record.now.clone();
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.records.retain(|record| record.now.id != id);
    }

    /// One that is there, to change it; others may be shown still.
    fn record(&mut self, id: &str) -> Outcome<&mut Record> {
        let found = self.records.iter_mut().find(|record| record.now.id == id && record.deleted.is_none());
        found.ok_or_else(|| not_found(id))
    }

    pub(super) fn update(&mut self, id: &str, change: &Change) -> Outcome<Association> {
        if *change == Change::default() {
            return Err((Class::Invalid, "nothing is to change".to_owned()));
        }
        let now = self.now;
        let record = self.record(id)?;
        let mut grant = record.now.grant.clone();
        if let Some(role) = &change.role_arn {
            grant.role_arn.clone_from(role);
        }
        if let Some(target) = &change.target_role_arn {
            grant.target_role_arn = (!target.is_empty()).then(|| target.clone());
        }
        if let Some(policy) = &change.policy {
            grant.policy = Some(policy.clone());
        }
        if let Some(disable) = change.disable_session_tags {
            grant.disable_session_tags = disable;
        }
        check(&grant)?;
        record.before = record.now.clone();
        record.now.external_id = grant.target_role_arn.as_ref().map(|_| format!("external-{id}"));
        record.now.grant = grant;
        record.changed = now;
        let answer = record.now.clone();
        self.changes += 1;
        Ok(answer)
    }

    pub(super) fn delete(&mut self, id: &str) -> Outcome<()> {
        let now = self.now;
        self.record(id)?.deleted = Some(now);
        self.changes += 1;
        Ok(())
    }

    pub(super) fn tag(&mut self, arn: &str, tags: &Tags) -> Outcome<()> {
        let id = arn.rsplit('/').next().unwrap_or_default();
        let now = self.now;
        let record = self.record(id)?;
        record.before = record.now.clone();
        record.now.tags.extend(tags.clone());
        record.changed = now;
        self.changes += 1;
        Ok(())
    }
}

/// What EKS refuses of a grant.
fn check(grant: &crate::identity::Grant) -> Outcome<()> {
    let refuse = |message: &str| Err((Class::Invalid, message.to_owned()));
    match &grant.policy {
        _ if !grant.role_arn.starts_with("arn:") => refuse("Role provided in the request does not exist"),
        Some(_) if !grant.disable_session_tags => refuse("disableSessionTags must be true when a policy is given"),
        Some(policy) if policy.chars().count() > POLICY => refuse("policy is longer than 2048 characters"),
        Some(policy) if policy.is_empty() => refuse("policy is empty"),
        _ => Ok(()),
    }
}

fn not_found(id: &str) -> (Class, String) {
    (Class::NotFound, format!("No pod identity association found for ID: {id}"))
}
