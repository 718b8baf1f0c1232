//! Which roles the operator gives to whom, by its own settings: what is not listed is denied. Pure.
//!
//! The interim for classes, which will say it for each of them.

use std::str::FromStr;

/// Servers of a namespace may have a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    namespace: String,
    role: String,
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').filter(|(namespace, role)| !namespace.is_empty() && is_role(role));
        let expected = || {
            format!(
                "expected NAMESPACE=ROLE_ARN, such as team=arn:aws:iam::123456789012:role/mcp/team-*, found {text:?}"
            )
        };
        let (namespace, role) = parts.ok_or_else(expected)?;
        Ok(Self { namespace: namespace.to_owned(), role: role.to_owned() })
    }
}

/// Whether a text is the ARN of a role of one account, with a star at its end or none.
fn is_role(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let [arn, partition, service, _, account, resource] = parts.as_slice() else { return false };
    let account = account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
    let whole = resource.strip_suffix('*').unwrap_or(resource);
    (*arn, *service) == ("arn", "iam")
        && !partition.is_empty()
        && account
        && whole.starts_with("role/")
        && !whole.contains('*')
}

/// Whether servers of a namespace may have a role.
#[must_use]
pub fn allows(allowed: &[Allowed], namespace: &str, role: &str) -> bool {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(begin) => role.starts_with(begin),
        None => role == pattern,
    };
    allowed.iter().any(|it| it.namespace == namespace && fits(&it.role))
}

#[cfg(test)]
mod tests {
    use super::{Allowed, allows};

    #[test]
    fn what_is_not_listed_for_a_namespace_is_denied() {
        let allowed: Vec<Allowed> =
            ["team=arn:aws:iam::123456789012:role/mcp/team-*", "team=arn:aws:iam::210987654321:role/x"]
                .map(|text| text.parse().unwrap())
                .into();
        let cases = [
            ("team", "arn:aws:iam::123456789012:role/mcp/team-reader", true),
            ("team", "arn:aws:iam::123456789012:role/mcp/other", false),
            ("team", "arn:aws:iam::210987654321:role/x", true),
            ("team", "arn:aws:iam::210987654321:role/xy", false),
            ("other", "arn:aws:iam::123456789012:role/mcp/team-reader", false),
        ];
        for (namespace, role, expected) in cases {
            assert_eq!(allows(&allowed, namespace, role), expected, "{namespace} {role}");
        }
        assert!(!allows(&[], "team", "arn:aws:iam::123456789012:role/mcp/team-reader"));
    }

    #[test]
    fn a_rule_names_a_namespace_and_roles_of_one_account() {
        for wrong in [
            "",
            "team",
            "=arn:aws:iam::123456789012:role/x",
            "team=*",
            "team=arn:aws:iam::*:role/x",
            "team=arn:aws:iam::123456789012:*",
            "team=arn:aws:iam::123456789012:user/x",
            "team=arn:aws:iam::123456789012:role/*/x",
        ] {
            assert!(wrong.parse::<Allowed>().is_err_and(|error| error.contains("NAMESPACE=ROLE_ARN")), "{wrong}");
        }
    }
}
