#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use super::{DELETIONS, LOOKS, Servers, Sweep, is_ours};
use crate::identity::{
    Association, Associations, Call, Class, Key, New, Owner, Tags,
    cached::Cached,
    examples::grant,
    fake::{Fake, Fault, Kind},
    owner::{NAME, RETAINED, UID},
    plan::SETTLE,
};

const READER: &str = "arn:aws:iam::123456789012:role/mcp/reader";

/// Servers by name, all in `team`; the operator looks at `team`.
#[derive(Default)]
struct There {
    names: BTreeSet<String>,
    deposed: AtomicBool,
}

impl There {
    fn of(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }
}

impl Servers for There {
    fn exists(&self, key: &Key) -> bool {
        key.namespace == "team" && self.names.contains(&key.service_account)
    }

    fn watches(&self, namespace: &str) -> bool {
        namespace == "team"
    }

    fn leads(&self) -> bool {
        !self.deposed.load(Ordering::SeqCst)
    }
}

fn tags(cluster: &str, namespace: &str, name: &str) -> Tags {
    let text = str::to_owned;
    Owner { cluster: text(cluster), namespace: text(namespace), name: text(name), uid: format!("uid-{name}") }.tags()
}

fn put(fake: &Fake, namespace: &str, name: &str, tags: Tags, addon: bool) -> Association {
    let key = Key { namespace: namespace.to_owned(), service_account: name.to_owned() };
    let new = New { key, grant: grant(READER), tags, token: format!("{namespace}/{name}") };
    fake.put(&new, addon.then_some("arn:aws:eks:us-west-2:123456789012:addon/prod/x"))
}

fn ours(fake: &Fake, name: &str) -> Association {
    put(fake, "team", name, tags("prod", "team", name), false)
}

async fn rounds(sweep: &mut Sweep, aws: &dyn Associations, there: &There, rounds: usize) -> Vec<String> {
    let mut deleted = Vec::new();
    for _ in 0..rounds {
        let round = sweep.round(aws, "prod", there).await.unwrap();
        assert!(round.len() <= DELETIONS);
        deleted.extend(round.into_iter().map(|found| found.key.service_account));
    }
    deleted
}

#[tokio::test]
async fn an_orphan_goes_in_the_second_round_and_what_has_a_server_stays() {
    let fake = Fake::new();
    ours(&fake, "orphan");
    let kept = ours(&fake, "kept");
    let (mut sweep, there) = (Sweep::default(), There::of(&["kept"]));
    assert!(rounds(&mut sweep, &fake, &there, 1).await.is_empty(), "the first round only looks");
    assert_eq!(rounds(&mut sweep, &fake, &there, 1).await, ["orphan"]);
    assert_eq!(rounds(&mut sweep, &fake, &there, 3).await, [""; 0]);
    assert_eq!((fake.associations(), fake.changed(Call::Delete)), (vec![kept], 1));
}

#[tokio::test]
async fn a_server_that_comes_back_keeps_its_association() {
    let fake = Fake::new();
    let made = ours(&fake, "again");
    let mut sweep = Sweep::default();
    rounds(&mut sweep, &fake, &There::default(), 1).await;
    rounds(&mut sweep, &fake, &There::of(&["again"]), 1).await;
    assert!(rounds(&mut sweep, &fake, &There::default(), 1).await.is_empty(), "it is suspected anew");
    assert_eq!(fake.associations(), [made]);
}

#[tokio::test]
async fn what_is_taken_over_between_list_and_deletion_stays() {
    let fake = Fake::new();
    let made = ours(&fake, "taken");
    let mut sweep = Sweep::default();
    rounds(&mut sweep, &fake, &There::default(), 1).await;
    fake.alter(&made.id, |found| drop(found.tags.insert(RETAINED.to_owned(), "true".to_owned())));
    assert!(rounds(&mut sweep, &fake, &There::default(), 4).await.is_empty());
    assert_eq!(fake.associations().len(), 1);
}

#[tokio::test]
async fn an_operator_that_was_deposed_deletes_nothing() {
    let fake = Fake::new();
    ours(&fake, "orphan");
    let (mut sweep, there) = (Sweep::default(), There::default());
    there.deposed.store(true, Ordering::SeqCst);
    assert!(rounds(&mut sweep, &fake, &there, 3).await.is_empty());
    assert_eq!(fake.changed(Call::Delete), 0);
}

#[tokio::test(start_paused = true)]
async fn a_round_over_what_is_not_ours_costs_no_call_after_the_first() {
    let aws = Cached::new(Fake::new(), SETTLE);
    for name in 0..LOOKS * 2 {
        put(aws.inner(), "team", &format!("foreign-{name}"), Tags::new(), false);
    }
    let (mut sweep, there) = (Sweep::default(), There::default());
    rounds(&mut sweep, &aws, &there, 1).await;
    let describes = |aws: &Cached<Fake>| aws.inner().log().iter().filter(|it| it.call == Call::Describe).count();
    assert_eq!(describes(&aws), LOOKS);
    rounds(&mut sweep, &aws, &there, 1).await;
    let calls = aws.inner().log().len();
    assert_eq!(describes(&aws), LOOKS * 2);
    rounds(&mut sweep, &aws, &there, 1).await;
    assert_eq!(aws.inner().log().len(), calls, "the list is that of the resync");
}

#[tokio::test]
async fn a_round_that_fails_goes_on_with_the_next() {
    for call in [Call::List, Call::Describe, Call::Delete] {
        for kind in [Kind::Refuse(Class::Throttled), Kind::Cut, Kind::Lose] {
            let fake = Fake::new();
            for name in ["one", "two", "three"] {
                ours(&fake, name);
            }
            fake.fault(Fault { call: Some(call), after: 1, times: 1, kind });
            let mut sweep = Sweep::default();
            let mut failed = 0;
            for _ in 0..6 {
                let outcome = sweep.round(&fake, "prod", &There::default()).await;
                failed += usize::from(outcome.is_err_and(|it| matches!(it.class, Class::Throttled | Class::Lost)));
            }
            assert_eq!(failed, 1, "{call} {kind:?}");
            assert_eq!(fake.associations(), [], "{call} {kind:?}");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Server,
    Nobody,
    OtherCluster,
    OtherNamespace,
    Retained,
    NoUid,
    OtherName,
    Addon,
    Untagged,
}

fn of() -> impl Strategy<Value = Of> {
    use Of::{Addon, NoUid, Nobody, OtherCluster, OtherName, OtherNamespace, Retained, Server, Untagged};
    proptest::sample::select(vec![
        Server,
        Nobody,
        Nobody,
        OtherCluster,
        OtherNamespace,
        Retained,
        NoUid,
        OtherName,
        Addon,
        Untagged,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exactly_the_orphans_go_whatever_else_there_is(all in proptest::collection::vec(of(), 0..80), page in 1_usize..30) {
        let fake = Fake::new();
        fake.pages_of(page);
        let mut there = There::default();
        let mut orphans = BTreeSet::new();
        for (number, of) in all.iter().enumerate() {
            let name = format!("server-{number}");
            let (mut namespace, mut tagged) = ("team", tags("prod", "team", &name));
            match of {
                Of::Server => drop(there.names.insert(name.clone())),
                Of::Nobody => drop(orphans.insert(name.clone())),
                Of::OtherCluster => tagged = tags("stage", "team", &name),
                Of::OtherNamespace => (namespace, tagged) = ("other", tags("prod", "other", &name)),
                Of::Retained => drop(tagged.insert(RETAINED.to_owned(), "true".to_owned())),
                Of::NoUid => drop(tagged.remove(UID)),
                Of::OtherName => drop(tagged.insert(NAME.to_owned(), "another".to_owned())),
                Of::Untagged => tagged = BTreeMap::new(),
                Of::Addon => {}
            }
            let made = put(&fake, namespace, &name, tagged, matches!(of, Of::Addon));
            let told = matches!(of, Of::Server | Of::Nobody | Of::OtherNamespace);
            prop_assert_eq!(is_ours(&made, "prod"), told);
        }
        let before = fake.associations().len();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let deleted = runtime.block_on(rounds(&mut Sweep::default(), &fake, &there, 14));
        prop_assert_eq!(deleted.len(), orphans.len(), "once each");
        prop_assert_eq!(deleted.into_iter().collect::<BTreeSet<_>>(), orphans.clone());
        prop_assert_eq!(fake.associations().len(), before - orphans.len());
        prop_assert_eq!(fake.changed(Call::Delete), orphans.len());
        prop_assert_eq!(fake.changed(Call::Tag) + fake.changed(Call::Update) + fake.changed(Call::Create), 0);
    }
}
