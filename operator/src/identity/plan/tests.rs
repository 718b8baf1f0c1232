#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use proptest::prelude::*;

use super::*;
use crate::identity::examples::{grant, key, owner, wish};

const ROLE: &str = "arn:aws:iam::123456789012:role/mcp/reader";
const OTHER: &str = "arn:aws:iam::123456789012:role/mcp/writer";
const TARGET: &str = "arn:aws:iam::210987654321:role/target";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn with_policy(policy: &str) -> Grant {
    Grant { policy: Some(policy.to_owned()), disable_session_tags: true, ..grant(ROLE) }
}

/// An association `a-1` of the server with this uid.
fn of(uid: &str, grant: Grant) -> Association {
    Association {
        id: "a-1".to_owned(),
        arn: "arn:a-1".to_owned(),
        key: key(),
        grant,
        tags: owner(uid).tags(),
        owner_arn: None,
        external_id: None,
    }
}

fn tagged(mut association: Association, tags: &[(&str, &str)]) -> Association {
    association.tags.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    association
}

fn summary(of: &Association) -> Summary {
    Summary { id: of.id.clone(), key: of.key.clone(), owner_arn: of.owner_arn.clone() }
}

/// What is decided when AWS shows this one association, in a word.
fn decide_on(intent: Intent<'_>, found: &Association) -> String {
    let listed = [summary(found)];
    word(&next(intent, &Seen { listed: &listed, described: Some(found), ..Seen::default() }))
}

fn word(next: &Next) -> String {
    let text =
        |of: &Option<String>, name: &str| of.as_ref().map(|value| format!(" {name}={value}")).unwrap_or_default();
    match next {
        Next::Look(id) => format!("look {id}"),
        Next::Create(new) => format!("create {}", new.grant.role_arn.rsplit('/').next().unwrap()),
        Next::Update { change, .. } => {
            let Change { role_arn, target_role_arn, policy, disable_session_tags } = change;
            let tags = disable_session_tags.map(|it| it.to_string());
            let (role, target) = (text(role_arn, "role"), text(target_role_arn, "target"));
            format!("update{role}{target}{}{}", text(policy, "policy"), text(&tags, "untagged"))
        }
        Next::Tag { tags, .. } => {
            let tags: Vec<_> =
                tags.iter().map(|(key, value)| format!("{}={value}", key.rsplit('/').next().unwrap())).collect();
            format!("tag {}", tags.join(" "))
        }
        Next::Delete { id } => format!("delete {id}"),
        Next::Wait(_) => "wait".to_owned(),
        Next::Stop(foreign) => format!("stop {foreign:?}").split(' ').take(2).collect::<Vec<_>>().join(" "),
        Next::Have(_) => "have".to_owned(),
        Next::Gone => "gone".to_owned(),
    }
}

#[test]
fn what_is_wished_and_what_is_there_decide_the_one_next_action() {
    let retained = |uid| tagged(of(uid, grant(ROLE)), &[(owner::RETAINED, "true")]);
    let addons = |mut association: Association| {
        association.owner_arn = Some("arn:addon".to_owned());
        association
    };
    let untagged = |mut association: Association, tag: &str| {
        association.tags.remove(tag);
        association
    };
    let with_target = Grant { target_role_arn: Some(TARGET.to_owned()), ..grant(ROLE) };
    let spaced = r#"{ "Statement": [], "Version": "2012-10-17" }"#;
    let ours = |grant| of("uid-1", grant);
    let cases: Vec<(Grant, Association, String)> = vec![
        (grant(ROLE), ours(grant(ROLE)), "have".to_owned()),
        (grant(OTHER), ours(grant(ROLE)), format!("update role={OTHER}")),
        (with_target.clone(), ours(grant(ROLE)), format!("update target={TARGET}")),
        (grant(ROLE), ours(with_target), "update target=".to_owned()),
        (with_policy(POLICY), ours(grant(ROLE)), format!("update policy={POLICY} untagged=true")),
        (with_policy(POLICY), ours(with_policy(spaced)), "have".to_owned()),
        (with_policy(POLICY), ours(with_policy("{}")), format!("update policy={POLICY}")),
        (grant(ROLE), ours(with_policy(POLICY)), "delete a-1".to_owned()),
        (grant(ROLE), ours(Grant { disable_session_tags: true, ..grant(ROLE) }), "update untagged=false".to_owned()),
        (grant(ROLE), untagged(ours(grant(ROLE)), owner::NAME), "tag name=aws".to_owned()),
        (grant(OTHER), untagged(ours(grant(ROLE)), owner::NAME), format!("update role={OTHER}")),
        // A server of the same name that is gone.
        (grant(ROLE), of("uid-0", grant(ROLE)), "delete a-1".to_owned()),
        (grant(ROLE), retained("uid-0"), "stop Retained".to_owned()),
        // Somebody else's, and claims that are not whole.
        (grant(ROLE), tagged(ours(grant(ROLE)), &[(owner::CLUSTER, "dev")]), "stop Others".to_owned()),
        (grant(ROLE), tagged(of("uid-0", grant(ROLE)), &[(owner::NAME, "other")]), "stop Others".to_owned()),
        (grant(ROLE), untagged(of("uid-0", grant(ROLE)), owner::CLUSTER), "stop Others".to_owned()),
        (grant(ROLE), Association { tags: Tags::new(), ..ours(grant(ROLE)) }, "stop Others".to_owned()),
        (grant(ROLE), untagged(of("uid-0", grant(ROLE)), owner::UID), "stop Others".to_owned()),
        (grant(ROLE), addons(ours(grant(ROLE))), "stop Addons".to_owned()),
    ];
    for (wanted, found, expected) in cases {
        assert_eq!(decide_on(Intent::Have(&wish(wanted.clone())), &found), expected, "{wanted:?} beside {found:?}");
    }
}

#[test]
fn what_a_deleted_server_of_the_same_name_left_is_taken_over_only_if_the_spec_says_so() {
    let adopting = Wish { adopt: true, ..wish(grant(ROLE)) };
    let taken_over = "tag cluster=prod name=aws namespace=team retained=false uid=uid-1";
    for (retained, expected) in [("true", "stop Retained"), ("false", "delete a-1")] {
        let found = tagged(of("uid-0", grant(OTHER)), &[(owner::RETAINED, retained)]);
        assert_eq!(decide_on(Intent::Have(&adopting), &found), taken_over);
        assert_eq!(decide_on(Intent::Have(&wish(grant(ROLE))), &found), expected);
    }
    let mut offered = of("uid-0", grant(OTHER));
    offered.tags.remove(owner::UID);
    assert_eq!(decide_on(Intent::Have(&adopting), &offered), taken_over, "somebody tagged it for this server");
    let others = Association { tags: Tags::new(), ..of("uid-0", grant(ROLE)) };
    assert_eq!(decide_on(Intent::Have(&adopting), &others), "stop Others", "no tag, no adoption");
}

#[test]
fn a_server_that_goes_takes_what_is_its_own_and_nothing_else() {
    let me = owner("uid-1");
    let retained = |uid| tagged(of(uid, grant(ROLE)), &[(owner::RETAINED, "true")]);
    let others = Association { tags: Tags::new(), ..of("uid-1", grant(ROLE)) };
    let addons = Association { owner_arn: Some("arn:addon".to_owned()), ..of("uid-1", grant(ROLE)) };
    let mut offered = of("uid-1", grant(ROLE));
    offered.tags.remove(owner::UID);
    let cases = [
        (of("uid-1", grant(ROLE)), "delete a-1", "tag retained=true"),
        (of("uid-0", grant(ROLE)), "delete a-1", "gone"),
        (retained("uid-1"), "delete a-1", "gone"),
        (retained("uid-0"), "gone", "gone"),
        (offered, "gone", "gone"),
        (others, "gone", "gone"),
        (addons, "gone", "gone"),
    ];
    for (found, lose, leave) in cases {
        assert_eq!(decide_on(Intent::Lose(&me, Late(false)), &found), lose, "{found:?}");
        assert_eq!(decide_on(Intent::Leave(&me), &found), leave, "{found:?}");
    }
}

#[test]
fn what_is_not_shown_is_made_and_counts_as_gone_only_when_it_would_be_shown() {
    let (wish, me) = (wish(grant(ROLE)), owner("uid-1"));
    let nothing = Seen::default();
    assert_eq!(word(&next(Intent::Have(&wish), &nothing)), "create reader");
    assert_eq!(word(&next(Intent::Lose(&me, Late(false)), &nothing)), "wait");
    assert_eq!(word(&next(Intent::Lose(&me, Late(true)), &nothing)), "gone");
    assert_eq!(word(&next(Intent::Leave(&me), &nothing)), "gone");
    let made = Written::Is(Box::new(of("uid-1", grant(ROLE))));
    let seen = Seen { written: Some(&made), ..nothing };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "wait", "it was made a moment ago");
    let deleted = Written::Deleted("a-1".to_owned());
    let seen = Seen { written: Some(&deleted), ..nothing };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "create reader");
}

#[test]
fn what_is_shown_is_described_first_and_what_was_written_counts_before_what_is_shown() {
    let wish = wish(grant(OTHER));
    let (old, new) = (of("uid-1", grant(ROLE)), of("uid-1", grant(OTHER)));
    let listed = [summary(&old)];
    let seen = Seen { listed: &listed, ..Seen::default() };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "look a-1");
    let another = Association { id: "a-0".to_owned(), ..old.clone() };
    let seen = Seen { described: Some(&another), ..seen };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "look a-1", "the list has another one now");
    let written = Written::Is(Box::new(new.clone()));
    let seen = Seen { described: Some(&old), written: Some(&written), ..seen };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "wait", "it was changed a moment ago");
    assert_eq!(word(&next(Intent::Lose(&wish.owner, Late(true)), &seen)), "delete a-1");
    let seen = Seen { described: Some(&new), ..seen };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "have");
    let deleted = Written::Deleted("a-1".to_owned());
    let seen = Seen { written: Some(&deleted), ..seen };
    assert_eq!(word(&next(Intent::Have(&wish), &seen)), "wait", "it was deleted a moment ago");
    let two = [summary(&old), summary(&another)];
    assert_eq!(word(&next(Intent::Have(&wish), &Seen { listed: &two, ..seen })), "wait", "one of them is going");
}

#[test]
fn a_new_association_has_our_tags_and_a_token_that_no_earlier_one_had() {
    let wish = wish(grant(ROLE));
    let create = |last| match next(Intent::Have(&wish), &Seen { last, ..Seen::default() }) {
        Next::Create(new) => new,
        other => panic!("{other:?}"),
    };
    let first = create(None);
    assert_eq!((first.tags.clone(), &first.key), (wish.owner.tags(), &wish.key));
    assert_eq!(first, create(None), "a lost answer is asked for again with the same token");
    assert_ne!(first.token, create(Some("a-1")).token, "what was deleted since is not answered again");
}

/// What an update makes of a grant.
fn changed(mut has: Grant, change: Change) -> Grant {
    has.role_arn = change.role_arn.unwrap_or(has.role_arn);
    has.target_role_arn = match change.target_role_arn {
        Some(target) => (!target.is_empty()).then_some(target),
        None => has.target_role_arn,
    };
    has.policy = change.policy.or(has.policy);
    has.disable_session_tags = change.disable_session_tags.unwrap_or(has.disable_session_tags);
    has
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let target = proptest::option::of(Just(TARGET.to_owned()));
    let policy = proptest::option::of(prop_oneof![Just("{}".to_owned()), Just(POLICY.to_owned())]);
    let role = prop_oneof![Just(ROLE.to_owned()), Just(OTHER.to_owned())];
    (role, target, policy, any::<bool>()).prop_map(|(role_arn, target_role_arn, policy, untagged)| Grant {
        disable_session_tags: untagged || policy.is_some(),
        role_arn,
        target_role_arn,
        policy,
    })
}

proptest! {
    #[test]
    fn after_the_change_nothing_is_left_to_change(wanted in any_grant(), has in any_grant()) {
        match decide_on(Intent::Have(&wish(wanted.clone())), &of("uid-1", has.clone())).as_str() {
            "have" => prop_assert_eq!(&wanted, &has),
            "delete a-1" => prop_assert!(wanted.policy.is_none() && has.policy.is_some()),
            _ => {
                let change = change(&wanted, &has).unwrap();
                prop_assert_eq!(changed(has, change), wanted);
            }
        }
    }

    #[test]
    fn nothing_is_ever_written_to_what_carries_no_claim_of_ours(wanted in any_grant(), has in any_grant(), adopt: bool) {
        let found = Association { tags: [("team".to_owned(), "x".to_owned())].into(), ..of("uid-1", has) };
        let wish = Wish { adopt, ..wish(wanted) };
        for intent in [Intent::Have(&wish), Intent::Lose(&wish.owner, Late(true)), Intent::Leave(&wish.owner)] {
            let word = decide_on(intent, &found);
            prop_assert!(word == "gone" || word == "stop Others", "{}", word);
        }
    }
}
