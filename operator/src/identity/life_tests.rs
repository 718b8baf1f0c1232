//! The life of a server's association on a fake EKS: whatever is lost on the way, one association comes of it, and none
//! is left.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use crate::identity::{
    Associations, Call, Change, Class, Failure, Grant, Key, New, Owner,
    cached::{Cached, DESCRIBED, LISTED},
    examples::{grant, key, owner, wish},
    fake::{Fake, Fault, Kind},
    owner,
    plan::{Foreign, Intent, Late, SETTLE, Wish},
    pursue::{Memory, Outcome, pursue},
};
use tokio::time::Instant;

const READER: &str = "arn:aws:iam::123456789012:role/mcp/reader";
const WRITER: &str = "arn:aws:iam::123456789012:role/mcp/writer";
const TARGET: &str = "arn:aws:iam::210987654321:role/target";
/// Passes after which something is wrong: each phase takes two writes at most.
const PASSES: usize = 60;

/// What is wished one after another, in the life of a server.
fn life() -> Vec<Wish> {
    let policy = |text: &str| Grant { policy: Some(text.to_owned()), disable_session_tags: true, ..grant(WRITER) };
    let with_target = Grant { target_role_arn: Some(TARGET.to_owned()), ..policy(r#"{"Statement":[]}"#) };
    [grant(READER), grant(WRITER), policy("{}"), with_target, policy("{}"), grant(WRITER)].map(wish).into()
}

/// Time between two passes.
const PASS: Duration = Duration::from_secs(2);

/// An operator that looks after one server: what it remembers, and what it has published.
#[derive(Default)]
struct Operator {
    memory: Memory,
    /// Id in the status of the server, which outlives the operator.
    published: Option<String>,
    /// Dies after so many writes more, with the answer in its hands.
    dies_after: Option<usize>,
    /// Since when the server is to lose its association.
    leaving: Option<Instant>,
}

impl Operator {
    /// One that was started a moment ago.
    fn restarted(self) -> Self {
        let Self { published, leaving, .. } = self;
        Self { memory: Memory::of(published.clone()), published, leaving, dies_after: None }
    }

    /// One pass.
    async fn pass(&mut self, fake: &Fake, intent: Option<&Wish>) -> Result<Outcome, Failure> {
        tokio::time::advance(PASS).await;
        let server = owner("uid-1");
        self.leaving = intent.is_none().then(|| self.leaving.unwrap_or_else(Instant::now));
        let since = self.leaving.map(|leaving| leaving.elapsed()).unwrap_or_default();
        let intent = intent.map_or(Intent::Lose(&server, Late(since >= SETTLE)), Intent::Have);
        let outcome = pursue(fake, intent, &key(), &mut self.memory).await?;
        if let Outcome::Wrote(..) = &outcome {
            if self.dies_after == Some(0) {
                *self = std::mem::take(self).restarted();
                return Ok(outcome);
            }
            self.dies_after = self.dies_after.map(|left| left - 1);
        }
        self.published.clone_from(&self.memory.last);
        Ok(outcome)
    }

    /// Passes until AWS shows what is wished, or nothing of ours if nothing is. Failures are tried again.
    async fn settle(&mut self, fake: &Fake, wish: Option<&Wish>) {
        for _ in 0..PASSES {
            match self.pass(fake, wish).await {
                Ok(Outcome::Have(found)) => {
                    assert_eq!(found.grant, wish.unwrap().grant);
                    return;
                }
                Ok(Outcome::Gone) => return assert!(wish.is_none()),
                Ok(Outcome::Wrote(..) | Outcome::Wait(_)) => {}
                Ok(Outcome::Stop(foreign)) => panic!("{foreign:?}: {:#?}", fake.log()),
                Err(failure) => assert!(retried(failure.class), "{failure}: {:#?}", fake.log()),
            }
        }
        panic!("no end: {:#?}", fake.log());
    }

    /// The whole life of a server.
    async fn live(&mut self, fake: &Fake) {
        for wish in life() {
            self.settle(fake, Some(&wish)).await;
            let there = fake.associations();
            assert_eq!(there.len(), 1, "{there:?}");
            assert_eq!((&there[0].grant, &there[0].tags), (&wish.grant, &wish.owner.tags()));
        }
        self.settle(fake, None).await;
        assert_eq!(fake.associations(), [], "an orphan");
    }
}

/// What the tests spoil calls with, and passes.
fn retried(class: Class) -> bool {
    matches!(class, Class::Throttled | Class::Transient | Class::Lost)
}

/// Calls by which an undisturbed life changes something.
fn counts(fake: &Fake) -> [usize; 4] {
    [Call::Create, Call::Update, Call::Delete, Call::Tag].map(|call| fake.changed(call))
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_life_costs_the_writes_it_needs() {
    for lag in [0, 1, 3, 7] {
        let fake = Fake::new();
        fake.lag(lag);
        Operator::default().live(&fake).await;
        // A policy cannot be taken off: the last wish is a deletion, and an association made anew.
        assert_eq!(counts(&fake), [2, 4, 2, 0], "lag {lag}: {:#?}", fake.log());
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_heals_and_nothing_is_made_twice_or_left() {
    let writes = counts(&{
        let fake = Fake::new();
        Operator::default().live(&fake).await;
        fake
    });
    for lag in [0, 1, 3] {
        for at in 0..writes.iter().sum::<usize>() {
            let fake = Fake::new();
            fake.lag(lag);
            let mut operator = Operator { dies_after: Some(at), ..Operator::default() };
            operator.live(&fake).await;
            assert_eq!(operator.dies_after, None, "it never died");
            let [created, updated, deleted, tagged] = counts(&fake);
            assert_eq!([created, deleted, tagged], [2, 2, 0], "lag {lag}, write {at}: {:#?}", fake.log());
            // Nobody remembers a change that AWS does not show yet: it is asked for again, for as long.
            assert!(updated <= 4 + lag, "lag {lag}, write {at}: {updated} updates");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_or_request_is_lost_heals() {
    for kind in [Kind::Lose, Kind::Cut, Kind::Refuse(Class::Throttled), Kind::Refuse(Class::Transient)] {
        for lag in [0, 2] {
            for at in 0..8 {
                let fake = Fake::new();
                fake.lag(lag);
                fake.fault(Fault::write(at, kind));
                Operator::default().live(&fake).await;
                let [created, updated, deleted, _] = counts(&fake);
                assert_eq!([created, deleted], [2, 2], "{kind:?}, lag {lag}, write {at}: {:#?}", fake.log());
                assert!(updated <= 4 + lag, "{kind:?}, lag {lag}, write {at}: {updated} updates");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_tells_its_fault_and_the_next_pass_goes_on() {
    let changed = wish(grant(WRITER));
    for call in Call::ALL {
        for class in Class::ALL {
            let fake = Fake::new();
            let first = wish(grant(READER));
            let mut operator = Operator::default();
            if call != Call::Create && call != Call::List {
                operator.settle(&fake, Some(&first)).await;
            }
            // What was written a moment ago is not the matter here.
            tokio::time::advance(SETTLE).await;
            if call == Call::Tag {
                fake.alter(&fake.associations()[0].id, |association| {
                    association.grant = grant(WRITER);
                    association.tags.remove(owner::NAME);
                });
            }
            fake.fault(Fault::once(call, 0, Kind::Refuse(class)));
            let before = fake.log().len();
            let leaves = call == Call::Delete;
            let outcome = operator.pass(&fake, (!leaves).then_some(&changed)).await;
            // What others do at the same time is no failure.
            let passes = match (call, class) {
                (Call::Create, Class::InUse) | (Call::Describe | Call::Update | Call::Tag, Class::NotFound) => {
                    matches!(outcome, Ok(Outcome::Wait(_)))
                }
                (Call::Delete, Class::NotFound) => matches!(outcome, Ok(Outcome::Wrote(Call::Delete, _))),
                _ => outcome.as_ref().is_err_and(|failure| (failure.call, failure.class) == (call, class)),
            };
            assert!(passes, "{call} {class:?}: {outcome:?}");
            let spoilt = fake.log()[before..].iter().filter(|logged| logged.call == call).count();
            assert_eq!(spoilt, 1, "{call} {class:?} was tried again at once");
            operator.settle(&fake, (!leaves).then_some(&changed)).await;
            assert_eq!(fake.associations().len(), usize::from(!leaves));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_deleted_before_aws_shows_its_association_leaves_none() {
    for lag in 0..4 {
        let fake = Fake::new();
        fake.lag(lag);
        fake.fault(Fault::once(Call::Create, 0, Kind::Lose));
        let mut operator = Operator::default();
        operator.pass(&fake, Some(&wish(grant(READER)))).await.unwrap_err();
        // It dies, and knows nothing of the association.
        let mut next = Operator::default();
        next.settle(&fake, None).await;
        assert_eq!(fake.associations(), [], "lag {lag}");
        assert_eq!(counts(&fake), [1, 0, 1, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_association_deleted_by_another_hand_is_made_anew_though_its_token_is_known() {
    let fake = Fake::new();
    let wish = wish(grant(READER));
    let mut operator = Operator::default();
    for round in 1..=3 {
        operator.settle(&fake, Some(&wish)).await;
        let there = fake.associations();
        assert_eq!((there.len(), fake.changed(Call::Create)), (1, round));
        // Also by an operator that has been started since.
        operator = operator.restarted();
        fake.remove(&there[0].id);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_another_hand_is_put_back() {
    let fake = Fake::new();
    let wish = wish(grant(READER));
    let mut operator = Operator::default();
    operator.settle(&fake, Some(&wish)).await;
    let id = fake.associations()[0].id.clone();
    fake.alter(&id, |association| association.grant = grant(WRITER));
    operator.settle(&fake, Some(&wish)).await;
    fake.alter(&id, |association| drop(association.tags.remove(owner::NAMESPACE)));
    operator.settle(&fake, Some(&wish)).await;
    assert_eq!(fake.associations()[0].tags, wish.owner.tags());
    assert_eq!(counts(&fake), [1, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_inherited_from_a_server_of_the_same_name_and_nothing_foreign_is_touched() {
    let new = |owner: &Owner, token: &str| New {
        key: key(),
        grant: grant(WRITER),
        tags: owner.tags(),
        token: token.to_owned(),
    };
    let wish = wish(grant(READER));
    // An orphan goes, and what comes is new.
    let fake = Fake::new();
    let orphan = fake.put(&new(&owner("uid-0"), "t"), None);
    Operator::default().settle(&fake, Some(&wish)).await;
    let there = fake.associations();
    assert_eq!((there.len(), &there[0].grant), (1, &wish.grant));
    assert_ne!(there[0].id, orphan.id);
    // What belongs to others stays as it is.
    let other_cluster = Owner { cluster: "dev".to_owned(), ..owner("uid-1") };
    for (new, addon, found) in [
        (new(&other_cluster, "t"), None, "Others"),
        (New { tags: [].into(), ..new(&owner("uid-1"), "t") }, None, "Others"),
        (new(&owner("uid-1"), "t"), Some("arn:addon"), "Addons"),
    ] {
        let fake = Fake::new();
        let theirs = fake.put(&new, addon);
        let mut operator = Operator::default();
        match operator.pass(&fake, Some(&wish)).await.unwrap() {
            Outcome::Stop(foreign) => assert!(format!("{foreign:?}").starts_with(found), "{foreign:?}"),
            other => panic!("{other:?}"),
        }
        operator.settle(&fake, None).await;
        assert_eq!(fake.associations(), [theirs]);
        assert_eq!(counts(&fake), [0; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_retained_stays_and_is_taken_over_only_by_whoever_says_so() {
    let fake = Fake::new();
    Operator::default().settle(&fake, Some(&wish(grant(READER)))).await;
    let me = owner("uid-1");
    let mut memory = Memory::default();
    loop {
        match pursue(&fake, Intent::Leave(&me), &key(), &mut memory).await.unwrap() {
            Outcome::Wrote(call, _) => assert_eq!(call, Call::Tag),
            Outcome::Gone => break,
            other => panic!("{other:?}"),
        }
    }
    let kept = fake.associations();
    let next = Wish { owner: owner("uid-2"), ..wish(grant(WRITER)) };
    let outcome = pursue(&fake, Intent::Have(&next), &key(), &mut Memory::default()).await.unwrap();
    assert_eq!(outcome, Outcome::Stop(Foreign::Retained { id: kept[0].id.clone() }));
    assert_eq!(fake.associations(), kept);
    let adopting = Wish { adopt: true, ..next };
    for _ in 0..3 {
        pursue(&fake, Intent::Have(&adopting), &key(), &mut Memory::default()).await.unwrap();
    }
    let there = fake.associations();
    assert_eq!((there.len(), &there[0].id, &there[0].grant), (1, &kept[0].id, &adopting.grant));
    assert_eq!(there[0].tags.get(owner::UID), Some(&"uid-2".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_found_among_many_pages_and_an_empty_page_is_not_the_end() {
    let fake = Fake::new();
    for number in 0..250 {
        let key = Key { namespace: "team".to_owned(), service_account: format!("s-{number}") };
        fake.put(&New { key, grant: grant(READER), tags: [].into(), token: String::new() }, None);
    }
    let (mut seen, mut page, mut pages) = (Vec::new(), None, 0);
    loop {
        let part = fake.list(None, page.as_deref()).await.unwrap();
        assert!(part.items.len() <= 100);
        pages += 1;
        seen.extend(part.items);
        page = part.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (250, 3));
    Operator::default().settle(&fake, Some(&wish(grant(READER)))).await;
    assert_eq!(fake.changed(Call::Create), 1);
}

#[tokio::test(start_paused = true)]
async fn the_fake_refuses_what_eks_refuses() {
    let fake = Fake::new();
    let new = |grant, token: &str| New { key: key(), grant, tags: [].into(), token: token.to_owned() };
    let class = |outcome: Result<_, Failure>| outcome.map(drop).unwrap_err().class;
    let tagged = Grant { policy: Some("{}".to_owned()), ..grant(READER) };
    assert_eq!(class(fake.create(&new(tagged, "1")).await), Class::Invalid, "a policy with session tags");
    let long = Grant { policy: Some("x".repeat(2049)), disable_session_tags: true, ..grant(READER) };
    assert_eq!(class(fake.create(&new(long, "2")).await), Class::Invalid);
    let made = fake.create(&new(grant(READER), "3")).await.unwrap();
    assert_eq!(fake.create(&new(grant(READER), "3")).await.unwrap(), made, "the same token");
    assert_eq!(
        class(fake.create(&new(grant(WRITER), "3")).await),
        Class::Invalid,
        "the same token for another request"
    );
    assert_eq!(class(fake.create(&new(grant(READER), "4")).await), Class::InUse);
    assert_eq!(class(fake.update(&made.id, &Change::default()).await), Class::Invalid);
    fake.delete(&made.id).await.unwrap();
    assert_eq!(class(fake.delete(&made.id).await.map(|()| made.clone())), Class::NotFound);
    assert_eq!(fake.create(&new(grant(READER), "3")).await.unwrap(), made, "the trap: an answer of then");
    assert_eq!(fake.associations(), []);
    fake.limit(0);
    assert_eq!(class(fake.create(&new(grant(READER), "6")).await), Class::Limit);
}

/// One pass of an operator that keeps lists and descriptions. Returns whether AWS shows what is wished.
async fn pass_cached(aws: &Cached<Fake>, server: &mut (Wish, Memory)) -> bool {
    let (wish, memory) = server;
    match pursue(aws, Intent::Have(wish), &wish.key, memory).await.unwrap() {
        Outcome::Have(_) => true,
        Outcome::Wrote(..) | Outcome::Wait(_) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_servers_cost_a_creation_each_and_few_lists() {
    const SERVERS: usize = 500;
    let aws = Cached::new(Fake::new(), SETTLE);
    aws.inner().lag(8);
    let mut servers: Vec<_> = (0..SERVERS)
        .map(|number| {
            let text = number.to_string();
            let owner = Owner { name: text.clone(), uid: text.clone(), ..owner("") };
            let key = Key { namespace: "team".to_owned(), service_account: text };
            (Wish { owner, key, ..wish(grant(READER)) }, Memory::default())
        })
        .collect();
    let mut done = vec![None; SERVERS];
    // Five calls a second, and every server looks again two seconds after it was looked at.
    while done.iter().any(Option::is_none) {
        for (server, done) in servers.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            let before = aws.inner().log().len();
            if pass_cached(&aws, server).await {
                *done = Some(Instant::now());
            }
            let calls = u32::try_from(aws.inner().log().len() - before).unwrap();
            tokio::time::advance(Duration::from_millis(200) * calls).await;
        }
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    let log = aws.inner().log();
    let count = |call| log.iter().filter(|logged| logged.call == call).count();
    assert_eq!((count(Call::Create), count(Call::Describe)), (SERVERS, 0));
    // The least there can be: a creation each, and one list of five pages.
    let least = SERVERS + 5;
    assert!(log.len() * 10 <= least * 12, "{} calls, {} of them lists", log.len(), count(Call::List));
    assert_eq!(aws.inner().associations().len(), SERVERS);
    // At rest: nothing is asked until the list is too old.
    for server in &mut servers {
        assert!(pass_cached(&aws, server).await);
    }
    assert_eq!(aws.inner().log().len(), log.len());
    tokio::time::advance(LISTED).await;
    for server in &mut servers {
        assert!(pass_cached(&aws, server).await);
    }
    assert_eq!(aws.inner().log().len(), log.len() + 5, "one list for all of them");
}

#[tokio::test(start_paused = true)]
async fn what_another_hand_did_is_seen_when_list_or_description_are_too_old() {
    let aws = Cached::new(Fake::new(), SETTLE);
    let mut server = (wish(grant(READER)), Memory::default());
    let settle = async |aws: &Cached<Fake>, server: &mut _| {
        for _ in 0..PASSES {
            if pass_cached(aws, server).await {
                return;
            }
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        panic!("no end: {:#?}", aws.inner().log());
    };
    settle(&aws, &mut server).await;
    let id = aws.inner().associations()[0].id.clone();
    aws.inner().alter(&id, |association| association.grant = grant(WRITER));
    assert!(pass_cached(&aws, &mut server).await, "nothing is asked");
    tokio::time::advance(DESCRIBED * 2).await;
    settle(&aws, &mut server).await;
    assert_eq!(aws.inner().associations()[0].grant, grant(READER));
    aws.inner().remove(&id);
    tokio::time::advance(LISTED).await;
    settle(&aws, &mut server).await;
    assert_eq!(aws.inner().associations().len(), 1);
    // A policy that goes takes the association with it, after a look at it as it is now.
    server.0.grant = Grant { policy: Some("{}".to_owned()), disable_session_tags: true, ..grant(READER) };
    settle(&aws, &mut server).await;
    server.0.grant = grant(READER);
    settle(&aws, &mut server).await;
    let there = aws.inner().associations();
    assert_eq!((there.len(), &there[0].grant), (1, &grant(READER)));
    let log = aws.inner().log();
    let deleted = log.iter().position(|logged| logged.call == Call::Delete).unwrap();
    assert_eq!(log[deleted - 1].call, Call::Describe);
}

#[tokio::test(start_paused = true)]
async fn what_the_list_does_not_show_yet_is_not_taken_for_gone() {
    let aws = Cached::new(Fake::new(), SETTLE);
    // A list that knows nothing of what comes.
    assert_eq!(aws.known(&key()).await.unwrap(), []);
    let mut server = (wish(grant(READER)), Memory::default());
    pass_cached(&aws, &mut server).await;
    let me = owner("uid-1");
    let outcome = pursue(&aws, Intent::Lose(&me, Late(true)), &key(), &mut Memory::default()).await.unwrap();
    assert!(matches!(outcome, Outcome::Wrote(Call::Delete, _)), "{outcome:?}");
    let outcome = pursue(&aws, Intent::Lose(&me, Late(true)), &key(), &mut Memory::default()).await.unwrap();
    assert_eq!((outcome, aws.inner().associations().len()), (Outcome::Gone, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_and_was_never_described_is_not_waited_for() {
    let aws = Cached::new(Fake::new(), SETTLE);
    let new = New { key: key(), grant: grant(READER), tags: owner("uid-1").tags(), token: "by-hand".to_owned() };
    let gone = aws.inner().put(&new, None);
    assert_eq!(aws.known(&key()).await.unwrap().len(), 1);
    aws.inner().remove(&gone.id);
    let mut server = (wish(grant(READER)), Memory::default());
    for _ in 0..2 {
        pass_cached(&aws, &mut server).await;
    }
    assert_eq!(aws.inner().changed(Call::Create), 1, "{:#?}", aws.inner().log());
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_follows_the_tools_costs_one_update_a_change() {
    let of = |tools: &[&str]| {
        let policy = mcp_aws_policy::session(tools.iter().copied(), &mcp_aws_policy::Scope::default()).unwrap();
        wish(Grant { policy: Some(policy), disable_session_tags: true, ..grant(READER) })
    };
    let fake = Fake::new();
    fake.lag(2);
    let mut operator = Operator::default();
    let steps = [of(&["s3_list_objects"]), of(&["s3_list_objects", "ec2_list_instances"]), of(&["aws_whoami"])];
    for wish in steps.iter().flat_map(|wish| [wish, wish]) {
        operator.settle(&fake, Some(wish)).await;
    }
    assert_eq!(counts(&fake), [1, 2, 0, 0], "{:#?}", fake.log());
    operator.settle(&fake, None).await;
    assert_eq!(fake.associations(), []);
}
