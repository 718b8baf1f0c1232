//! The association of one server, for tests.

use super::{Grant, Key, Owner, plan::Wish};

pub(crate) fn owner(uid: &str) -> Owner {
    let text = str::to_owned;
    Owner { cluster: text("prod"), namespace: text("team"), name: text("aws"), uid: text(uid) }
}

pub(crate) fn key() -> Key {
    Key { namespace: "team".to_owned(), service_account: "aws".to_owned() }
}

pub(crate) fn grant(role: &str) -> Grant {
    Grant { role_arn: role.to_owned(), ..Grant::default() }
}

pub(crate) fn wish(grant: Grant) -> Wish {
    Wish { owner: owner("uid-1"), key: key(), grant, adopt: false }
}
