//! The next action: what a server shall have, beside what AWS shows of its key. Pure.
//!
//! In: an [`Intent`], and what was [`Seen`]. Out: one [`Next`], at most one write; whoever does it looks again and asks
//! again, so that a crash after any write finds its way from what is there. What is not ours by its tags is never written,
//! but for what a deleted server of the same name left.

use std::time::Duration;

use super::{
    Association, Change, Grant, Key, New, Owner, Summary, Tags,
    owner::{self, Whose, is_retained, whose},
    token::token,
};

/// Time in which AWS comes to show what was written ("several seconds", by its documentation).
pub const SETTLE: Duration = Duration::from_secs(10);

/// What a server shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The server.
    pub owner: Owner,
    /// The key of its pods.
    pub key: Key,
    /// What they shall have.
    pub grant: Grant,
    /// Whether what a deleted server of the same name left is taken over.
    pub adopt: bool,
}

/// What is to become of the association of a server.
#[derive(Clone, Copy, Debug)]
pub enum Intent<'a> {
    /// It is as wished.
    Have(&'a Wish),
    /// It goes. What AWS does not show may still come, unless nothing was made for so long that it would be shown.
    Lose(&'a Owner, Late),
    /// It stays, marked as not ours to look after any more.
    Leave(&'a Owner),
}

/// Whether nothing can have been made for so long that AWS would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late(pub bool);

impl Intent<'_> {
    fn owner(&self) -> &Owner {
        match self {
            Self::Have(wish) => &wish.owner,
            Self::Lose(owner, _) | Self::Leave(owner) => owner,
        }
    }
}

/// What AWS shows of one key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// What the list shows.
    pub listed: &'a [Summary],
    /// All of one association, if it was asked for.
    pub described: Option<&'a Association>,
    /// Id of the last association of this server that was seen or made.
    pub last: Option<&'a str>,
    /// What was written less than [`SETTLE`] ago: AWS may show yet what was before.
    pub written: Option<&'a Written>,
}

/// What became of the last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// An association is as this.
    Is(Box<Association>),
    /// The association of this id is gone.
    Deleted(String),
}

/// The next action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Describe the association of this id.
    Look(String),
    /// Make an association.
    Create(New),
    /// Change one.
    Update {
        /// Its id.
        id: String,
        /// What changes.
        change: Change,
    },
    /// Set tags of one.
    Tag {
        /// Its ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Delete one.
    Delete {
        /// Its id.
        id: String,
    },
    /// Look again later: AWS does not show yet what was done.
    Wait(&'static str),
    /// Nothing can be done before a person does something.
    Stop(Foreign),
    /// It is as wished.
    Have(Association),
    /// There is nothing of ours.
    Gone,
}

/// An association that has the key of a server and is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// An EKS add-on owns it.
    Addons {
        /// Its id.
        id: String,
        /// ARN of the add-on.
        addon: String,
    },
    /// A deleted server of this name left it, on purpose.
    Retained {
        /// Its id.
        id: String,
    },
    /// Somebody else made it.
    Others {
        /// Its id.
        id: String,
    },
}

/// Decides.
#[must_use]
pub fn next(intent: Intent<'_>, seen: &Seen<'_>) -> Next {
    let listed = match seen.listed {
        [] => return absent(intent, seen),
        [one] => one,
        // A key has one at a time: the other is one that was deleted, and is still shown.
        _ => return Next::Wait("AWS shows two associations of one ServiceAccount: one of them is going"),
    };
    if matches!(seen.written, Some(Written::Deleted(id)) if *id == listed.id) {
        return Next::Wait(NOT_SHOWN);
    }
    let Some(found) = seen.described.filter(|found| found.id == listed.id) else {
        return Next::Look(listed.id.clone());
    };
    // What is shown is older than what was written.
    let found = match seen.written {
        Some(Written::Is(written)) if written.id == found.id && **written != *found => return stale(intent, written),
        _ => found,
    };
    decide(intent, found)
}

/// Decides by what was written, while AWS shows what was before.
fn stale(intent: Intent<'_>, written: &Association) -> Next {
    match decide(intent, written) {
        Next::Have(_) => Next::Wait(NOT_SHOWN),
        next => next,
    }
}

const NOT_SHOWN: &str = "AWS does not show yet what was written";

fn decide(intent: Intent<'_>, found: &Association) -> Next {
    let whose = whose(found, intent.owner());
    match intent {
        Intent::Have(wish) => have(wish, found, whose),
        Intent::Lose(..) => match whose {
            Whose::Ours { .. } | Whose::Predecessors { retained: false } => delete(found),
            Whose::Predecessors { retained: true } | Whose::Offered | Whose::Addons(_) | Whose::Others => Next::Gone,
        },
        Intent::Leave(_) => match whose {
            Whose::Ours { .. } if !is_retained(found) => tag(found, retained(true)),
            _ => Next::Gone,
        },
    }
}

fn absent(intent: Intent<'_>, seen: &Seen<'_>) -> Next {
    let last = seen.last;
    match intent {
        Intent::Have(_) if matches!(seen.written, Some(Written::Is(_))) => Next::Wait(NOT_SHOWN),
        Intent::Have(wish) => Next::Create(New {
            key: wish.key.clone(),
            grant: wish.grant.clone(),
            tags: wish.owner.tags(),
            token: token(&wish.owner.uid, &wish.key, &wish.grant, last),
        }),
        Intent::Lose(_, Late(false)) => Next::Wait("AWS may still come to show an association made just before"),
        Intent::Lose(..) | Intent::Leave(_) => Next::Gone,
    }
}

fn have(wish: &Wish, found: &Association, whose: Whose) -> Next {
    let id = found.id.clone();
    let missing = match whose {
        Whose::Ours { missing } => missing,
        Whose::Predecessors { .. } | Whose::Offered if wish.adopt => {
            // Whose it is comes first: a crash then finds an association of ours that gives the wrong role, and no pod has
            // started.
            let tags = wish.owner.tags().into_iter().chain(retained(false)).collect();
            return tag(found, tags);
        }
        // Its rights were those of a server that is gone.
        Whose::Predecessors { retained: false } => return delete(found),
        Whose::Predecessors { retained: true } => return Next::Stop(Foreign::Retained { id }),
        Whose::Addons(addon) => return Next::Stop(Foreign::Addons { id, addon }),
        Whose::Offered | Whose::Others => return Next::Stop(Foreign::Others { id }),
    };
    if wish.grant.policy.is_none() && found.grant.policy.is_some() {
        // The API has no way to take a policy off.
        return delete(found);
    }
    if let Some(change) = change(&wish.grant, &found.grant) {
        return Next::Update { id, change };
    }
    if missing.is_empty() { Next::Have(found.clone()) } else { tag(found, missing) }
}

fn delete(found: &Association) -> Next {
    Next::Delete { id: found.id.clone() }
}

fn tag(found: &Association, tags: Tags) -> Next {
    Next::Tag { arn: found.arn.clone(), tags }
}

fn retained(stays: bool) -> Tags {
    [(owner::RETAINED.to_owned(), stays.to_string())].into()
}

/// What has to change, if anything.
#[must_use]
pub fn change(wish: &Grant, has: &Grant) -> Option<Change> {
    let mut change = Change::default();
    if wish.role_arn != has.role_arn {
        change.role_arn = Some(wish.role_arn.clone());
    }
    if wish.target_role_arn != has.target_role_arn {
        change.target_role_arn = Some(wish.target_role_arn.clone().unwrap_or_default());
    }
    if !same_policy(wish.policy.as_deref(), has.policy.as_deref()) {
        change.policy.clone_from(&wish.policy);
    }
    if wish.disable_session_tags != has.disable_session_tags {
        change.disable_session_tags = Some(wish.disable_session_tags);
    }
    (change != Change::default()).then_some(change)
}

/// Whether two policies are the same, however they are written.
fn same_policy(wish: Option<&str>, has: Option<&str>) -> bool {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match (wish, has) {
        (Some(wish), Some(has)) => wish == has || read(wish).is_some_and(|wish| Some(wish) == read(has)),
        (wish, has) => wish == has,
    }
}

#[cfg(test)]
mod tests;
