//! The token of a request: the same for the same request, so that a lost answer never makes two associations. Pure.
//!
//! EKS answers a token that it knows with what it answered before, also when that association has been deleted since. So
//! the last association that was seen is part of the token: a new one is another request.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Association, Grant, Key};

/// A short hash of an association and of what it gives: another one, and pods have to start anew.
#[must_use]
pub fn hash(association: &Association) -> String {
    hash_of(&association.id, &association.grant)
}

/// The hash of a session policy.
#[must_use]
pub fn of_policy(policy: &str) -> String {
    hash_of("", &Grant { policy: Some(policy.to_owned()), ..Grant::default() })
}

/// The hash of an association of this id that gives this.
#[must_use]
pub fn hash_of(id: &str, grant: &Grant) -> String {
    let mut hash = token("", &Key { namespace: String::new(), service_account: String::new() }, grant, Some(id));
    hash.truncate(16);
    hash
}

/// The token for making an association of `key` for the server with this uid.
#[must_use]
pub fn token(uid: &str, key: &Key, grant: &Grant, last: Option<&str>) -> String {
    let mut digest = Sha256::new();
    let parts = [
        uid,
        &key.namespace,
        &key.service_account,
        &grant.role_arn,
        grant.target_role_arn.as_deref().unwrap_or_default(),
        grant.policy.as_deref().unwrap_or_default(),
        if grant.disable_session_tags { "untagged" } else { "tagged" },
        last.unwrap_or_default(),
    ];
    for part in parts {
        // A length before each part: "ab" and "c" are not "a" and "bc".
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Grant, Key, token};

    #[test]
    fn the_same_request_has_the_same_token_and_any_other_another() {
        let key = |account: &str| Key { namespace: "team".to_owned(), service_account: account.to_owned() };
        let grant = |role: &str, target: Option<&str>, policy: Option<&str>| Grant {
            role_arn: role.to_owned(),
            target_role_arn: target.map(str::to_owned),
            policy: policy.map(str::to_owned),
            disable_session_tags: policy.is_some(),
        };
        let tokens = [
            token("uid", &key("aws"), &grant("a", None, None), None),
            token("uid-2", &key("aws"), &grant("a", None, None), None),
            token("uid", &key("aws-2"), &grant("a", None, None), None),
            token("uid", &key("aws"), &grant("b", None, None), None),
            token("uid", &key("aws"), &grant("a", Some("b"), None), None),
            token("uid", &key("aws"), &grant("a", None, Some("b")), None),
            token("uid", &key("aws"), &grant("a", None, None), Some("a-1")),
            token("ui", &key("daws"), &grant("a", None, None), None),
        ];
        assert_eq!(tokens[0], token("uid", &key("aws"), &grant("a", None, None), None));
        assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), tokens.len());
        assert!(tokens.iter().all(|token| token.len() == 32), "{tokens:?}");
    }
}
