//! CEL rules that several fields share. Each carries words that say how to mend what it refuses.

use kube::core::Rule;

/// Exactly one of the members is set.
pub(crate) fn exactly_one(members: &[&str], message: &str) -> Rule {
    Rule::new(format!("{} == 1", count(members))).message(message)
}

/// At least one of the members is set.
pub(crate) fn at_least_one(members: &[&str], message: &str) -> Rule {
    Rule::new(format!("{} >= 1", count(members))).message(message)
}

fn count(members: &[&str]) -> String {
    let set: Vec<_> = members.iter().map(|member| format!("has(self.{member})")).collect();
    format!("[{}].filter(set, set).size()", set.join(", "))
}

/// The text matches a pattern; unlike `pattern` in a schema, the refusal is in words.
pub(crate) fn matches(pattern: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r'{pattern}')")).message(message)
}

/// Every text of the list matches a pattern.
pub(crate) fn all_match(pattern: &str, message: &str) -> Rule {
    Rule::new(format!("self.all(entry, entry.matches(r'{pattern}'))")).message(message)
}

/// An image reference: the grammar of `distribution/reference`, without the corners nobody uses.
pub(crate) fn image() -> Rule {
    matches(
        "^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?/)?[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$",
        "not an image reference: write registry/name:tag or registry/name@sha256:..., for example ghcr.io/acme/tools:1.4",
    )
}

/// The ARN of an IAM role.
pub(crate) fn role_arn() -> Rule {
    matches(
        "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$",
        "not the ARN of an IAM role: write arn:aws:iam::123456789012:role/NAME",
    )
}

/// Every entry is a block of addresses.
pub(crate) fn cidrs() -> Rule {
    Rule::new("self.all(block, isCIDR(block))")
        .message("not a list of address blocks: write each in CIDR notation, for example 10.0.0.0/16 or fd00::/8")
}

/// A path below the root of a web server.
pub(crate) fn url_path() -> Rule {
    matches("^(/[A-Za-z0-9._~-]+)*/?$", "not a path: write /mcp, with letters, digits and . _ ~ - between the slashes")
}

/// A name that a label of DNS can be.
pub(crate) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
