//! What children and the operator's own volumes are called.
//!
//! A child has the name of its server and a suffix that its kind alone decides, so within a kind no two servers ever
//! share one. The longest name of a server, 63 characters, leaves room: only kinds whose names may have 253 get a suffix.

use super::ChildKind;

/// Begin of the names of volumes that the operator adds; specs may not use it.
pub(super) const OWN_PREFIX: &str = "mcp-eks-";
/// The writable `/tmp`.
pub(super) const TMP_VOLUME: &str = "mcp-eks-tmp";
/// The settings file of a bundled server.
pub(super) const SETTINGS_VOLUME: &str = "mcp-eks-settings";

/// Name of a server's child.
#[must_use]
pub fn child(kind: ChildKind, server: &str) -> String {
    format!("{server}{}", suffix(kind))
}

const fn suffix(kind: ChildKind) -> &'static str {
    match kind {
        ChildKind::ConfigMap => "-settings",
        ChildKind::ServiceAccount
        | ChildKind::NetworkPolicy
        | ChildKind::Service
        | ChildKind::Deployment
        | ChildKind::PodDisruptionBudget
        // KEDA writes its name into a label.
        | ChildKind::ScaledObject => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ChildKind, OWN_PREFIX, SETTINGS_VOLUME, TMP_VOLUME, child, suffix};

    /// Names of servers that look like names of children, and the longest ones.
    fn servers() -> Vec<String> {
        let longest = "a".repeat(63);
        let mut servers: Vec<String> =
            ["a", "a-settings", "a-settings-settings", "b", "settings", "a-b", "ab"].map(str::to_owned).into();
        servers.extend((0..3).map(|end| format!("{}{end}", &longest[..62])));
        servers.extend(ChildKind::ALL.map(|kind| format!("{}{}", &longest[..63 - suffix(kind).len()], suffix(kind))));
        servers.push(longest);
        servers.sort();
        servers.dedup();
        servers
    }

    #[test]
    fn no_two_servers_share_the_name_of_a_child() {
        for kind in ChildKind::ALL {
            let mut taken = BTreeMap::new();
            for server in servers() {
                if let Some(other) = taken.insert(child(kind, &server), server.clone()) {
                    panic!("{} {} belongs to {server} and to {other}", kind.name(), child(kind, &server));
                }
            }
        }
    }

    #[test]
    fn every_name_fits_its_kind() {
        for kind in ChildKind::ALL {
            // Services and what becomes a label are RFC 1035 labels, the rest subdomains.
            let limit = if suffix(kind).is_empty() { 63 } else { 253 };
            let named_by_label = matches!(kind, ChildKind::Service | ChildKind::Deployment | ChildKind::ScaledObject);
            assert!(!named_by_label || suffix(kind).is_empty(), "{}", kind.name());
            assert!(child(kind, &"a".repeat(63)).len() <= limit, "{}", kind.name());
        }
    }

    #[test]
    fn volumes_of_the_operator_are_told_apart_from_those_of_specs() {
        for name in [TMP_VOLUME, SETTINGS_VOLUME] {
            assert!(name.starts_with(OWN_PREFIX) && name.len() <= 63, "{name}");
        }
        assert_ne!(TMP_VOLUME, SETTINGS_VOLUME);
    }
}
