#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;

use super::*;
use crate::identity::{
    Call, Change, Class, New, Page, Summary, Tags,
    associations::Answer,
    examples,
    fake::{Fake, Fault, Kind},
    plan::SETTLE,
};

const READER: &str = "arn:aws:iam::123456789012:role/mcp/reader";
const WRITER: &str = "arn:aws:iam::123456789012:role/mcp/writer";

/// The same fake for the operator and for whoever looks at it.
struct Shared(Arc<Fake>);

impl Associations for Shared {
    fn list(&self, only: Option<&Key>, page: Option<&str>) -> Answer<'_, Page> {
        self.0.list(only, page)
    }

    fn describe(&self, id: &str) -> Answer<'_, Association> {
        self.0.describe(id)
    }

    fn create(&self, new: &New) -> Answer<'_, Association> {
        self.0.create(new)
    }

    fn update(&self, id: &str, change: &Change) -> Answer<'_, Association> {
        self.0.update(id, change)
    }

    fn delete(&self, id: &str) -> Answer<'_, ()> {
        self.0.delete(id)
    }

    fn tag(&self, arn: &str, tags: &Tags) -> Answer<'_, ()> {
        self.0.tag(arn, tags)
    }

    fn known(&self, key: &Key) -> Answer<'_, Vec<Summary>> {
        self.0.known(key)
    }
}

fn tending(fake: &Arc<Fake>) -> Tending {
    Tending::new("prod", Box::new(Shared(fake.clone())), SETTLE)
}

fn wish(tending: &Tending, role: &str) -> Wish {
    Wish { owner: tending.owner("team", "aws", "uid-1"), ..examples::wish(examples::grant(role)) }
}

/// Goes on until pods may start. Returns the association, and how long it took.
async fn ready(tending: &Tending, wish: &Wish, published: &Published) -> (Association, Duration) {
    let begun = Instant::now();
    for _ in 0..30 {
        let wait = match tending.want(wish, published).await.unwrap() {
            State::Ready(found) => return (found, begun.elapsed()),
            State::Settling(_, left) => left,
            State::Coming(..) => AGAIN,
            State::Foreign(other) => panic!("{other:?}"),
        };
        tokio::time::advance(wait).await;
    }
    panic!("no end");
}

#[tokio::test(start_paused = true)]
async fn pods_wait_until_an_association_has_been_shown_for_long_enough_and_once_only() {
    let fake = Arc::new(Fake::new());
    fake.lag(3);
    let tending = tending(&fake);
    let wish = wish(&tending, READER);
    let (found, took) = ready(&tending, &wish, &Published::default()).await;
    assert!(took >= SETTLE, "{took:?}");
    let published = Published { id: Some(found.id.clone()), hash: Some(hash(&found)) };
    assert_eq!(ready(&tending, &wish, &published).await.1, Duration::ZERO);
    // Nor after a restart, by what the pods have.
    let restarted = self::tending(&fake);
    assert_eq!(ready(&restarted, &wish, &published).await.1, Duration::ZERO);
    // A change settles again, in place.
    let changed = self::wish(&tending, WRITER);
    let (after, took) = ready(&tending, &changed, &published).await;
    assert!(took >= SETTLE && after.id == found.id && after.grant.role_arn == WRITER, "{took:?} {after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_is_let_go_when_its_association_is_gone_and_none_can_come() {
    let fake = Arc::new(Fake::new());
    fake.lag(2);
    let tending = tending(&fake);
    let wish = wish(&tending, READER);
    tending.want(&wish, &Published::default()).await.unwrap();
    let mut passes = 0;
    while !tending.lose(&wish.owner, &wish.key, None).await.unwrap() {
        passes += 1;
        assert!(passes < 30);
        tokio::time::advance(AGAIN).await;
    }
    assert_eq!((fake.associations(), fake.changed(Call::Delete)), (vec![], 1));
    // Known to be on its way out for long: nothing to wait for.
    assert!(tending.lose(&wish.owner, &wish.key, Some(SETTLE)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_is_told_and_nothing_is_forgotten() {
    let fake = Arc::new(Fake::new());
    let tending = tending(&fake);
    let wish = wish(&tending, READER);
    fake.fault(Fault::once(Call::Create, 0, Kind::Refuse(Class::Denied)));
    let failure = tending.want(&wish, &Published::default()).await.unwrap_err();
    assert_eq!((failure.call, failure.class), (Call::Create, Class::Denied));
    ready(&tending, &wish, &Published::default()).await;
    assert_eq!(fake.changed(Call::Create), 1);
}
