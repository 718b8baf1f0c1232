//! What children and the operator's own volumes are called.
//!
//! A child has the name of its server and a suffix that its kind alone decides, so within a kind no two servers ever
//! share one. The longest name of a server, 63 characters, leaves room: only kinds whose names may have 253 get a suffix.

use serde_json::json;

use super::{ChildKind, child::hash_of};

/// Begin of the names of volumes that the operator adds; specs may not use it.
pub(super) const OWN_PREFIX: &str = "mcp-eks-";
/// The writable `/tmp`.
pub(super) const TMP_VOLUME: &str = "mcp-eks-tmp";
/// The settings file of a bundled server.
pub(super) const SETTINGS_VOLUME: &str = "mcp-eks-settings";

/// What KEDA puts before the name of a ScaledObject to call its HorizontalPodAutoscaler.
/// Source: `getDefaultHpaName` in <https://github.com/kedacore/keda/blob/v2.21.0/controllers/keda/hpa.go>.
const KEDA_PREFIX: &str = "keda-hpa-";
/// Begin of the names that KEDA is told in place of its own; none of its own begins so.
const SCALER_PREFIX: &str = "mcp-eks-hpa-";
/// Longest name of a HorizontalPodAutoscaler: KEDA writes it into a label, and its webhook refuses a longer one.
/// Source: `verifyName` in <https://github.com/kedacore/keda/blob/v2.21.0/apis/keda/v1alpha1/scaledobject_webhook.go>.
const SCALER_LIMIT: usize = 63;

/// Name of a server's HorizontalPodAutoscaler, where KEDA must be told one because its own would be too long.
#[must_use]
pub(super) fn scaler(server: &str) -> Option<String> {
    if KEDA_PREFIX.len() + server.len() <= SCALER_LIMIT {
        return None;
    }
    let hash = hash_of(&json!(server));
    let room = SCALER_LIMIT - SCALER_PREFIX.len() - hash.len() - 1;
    let start = server.get(..room).unwrap_or(server).trim_end_matches('-');
    Some(format!("{SCALER_PREFIX}{start}-{hash}"))
}

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
        | ChildKind::Ingress
        | ChildKind::PodDisruptionBudget
        // KEDA writes its name into a label.
        | ChildKind::ScaledObject => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ChildKind, KEDA_PREFIX, OWN_PREFIX, SCALER_LIMIT, SETTINGS_VOLUME, TMP_VOLUME, child, scaler, suffix};

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

    /// What KEDA calls the HorizontalPodAutoscaler of a server.
    fn scaler_of(server: &str) -> String {
        scaler(server).unwrap_or_else(|| format!("{KEDA_PREFIX}{server}"))
    }

    #[test]
    fn no_two_servers_share_a_scaler_and_every_name_of_one_is_a_label() {
        let mut all = servers();
        all.extend(servers().iter().map(|server| format!("{KEDA_PREFIX}{server}")));
        // Alike up to the end, or to where a name is cut; and the ones that others would be called after the scalers.
        all.extend([54, 55, 63].map(|length| "b".repeat(length)));
        all.extend([33, 34, 35].map(|at| format!("{}-{}", "c".repeat(at), "d".repeat(62 - at))));
        all.extend(all.clone().iter().map(|server| scaler_of(server)));
        all.retain(|server| server.len() <= 63);
        all.sort();
        all.dedup();
        let mut taken = BTreeMap::new();
        for server in all {
            let name = scaler_of(&server);
            assert!(name.len() <= SCALER_LIMIT && !name.contains("--") && !name.ends_with('-'), "{server}: {name}");
            if let Some(other) = taken.insert(name, server.clone()) {
                panic!("the scalers of {server} and {other} have one name");
            }
        }
    }

    #[test]
    fn keda_names_the_scaler_as_long_as_its_name_fits() {
        assert_eq!(scaler(&"a".repeat(54)), None);
        assert_eq!(scaler(&"a".repeat(55)).map(|name| name.len()), Some(SCALER_LIMIT));
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
