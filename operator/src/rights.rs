//! What the operator may do: one table, from which `cargo xtask rbacgen` writes every Role in `config/`.
//!
//! No wildcard, and no verb on roles, nodes, pods/exec, pods/attach or anybody's Secrets. In its own namespace the operator
//! may make Secrets, and see one, by name; in another one it sees them if their owner applies a Role for it. The audit log of suite api shows that every grant is used, those of the others
//! that none is missing.

use crate::keeper;

/// Name of the operator's roles, Lease and ServiceAccount.
pub const NAME: &str = "mcp-eks-operator";
/// Namespace of the operator.
pub const NAMESPACE: &str = "mcp-eks-system";
/// Name of the DaemonSet that EKS's add-on for Pod Identity makes.
pub const AGENT: &str = "eks-pod-identity-agent";
/// Name of the ClusterRole of an operator that looks at one namespace, with what has none.
const CLASSES: &str = "mcp-eks-operator-classes";
/// Name of the Role by which a namespace lets its pods roll on Secrets.
const SECRETS: &str = "mcp-eks-operator-secrets";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Verbs on one resource.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural, with the subresource.
    pub resource: &'static str,
    /// What may be done.
    pub verbs: &'static [&'static str],
    /// Objects it is limited to, by name; all if empty.
    pub names: &'static [&'static str],
    /// What for.
    pub why: &'static str,
}

const fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    why: &'static str,
) -> Right {
    Right { group, resource, verbs, names: &[], why }
}

/// get: a look at what has the name of a first write, or is to be deleted. create, patch: server-side apply.
const CHILD: &str = "A child of a server.";
/// update: removes what others added and an apply cannot drop.
const REPLACED: &[&str] = &["get", "list", "watch", "create", "patch", "update"];

/// delete: what the spec no longer asks for.
const PRUNED: &[&str] = &["get", "list", "watch", "create", "patch", "update", "delete"];
const PRUNED_CHILD: &str = "A child, deleted when the spec no longer asks for it.";

/// In every namespace, or in the one that is watched.
pub const EVERYWHERE: &[Right] = &[
    right(
        "mcp-eks.dev",
        "mcpservers",
        &["list", "watch", "patch"],
        "What is asked for; patch: the finalizer of a server that has an identity in AWS, and nothing else.",
    ),
    right("mcp-eks.dev", "mcpservers/status", &["patch"], "How far it is."),
    right("", "serviceaccounts", &["get", "list", "watch", "create", "patch"], CHILD),
    right("", "configmaps", REPLACED, "A child, and what servers name: pods roll when it changes."),
    right("networking.k8s.io", "networkpolicies", PRUNED, PRUNED_CHILD),
    right("", "services", REPLACED, CHILD),
    right("apps", "deployments", REPLACED, CHILD),
    right("networking.k8s.io", "ingresses", PRUNED, PRUNED_CHILD),
    right("policy", "poddisruptionbudgets", PRUNED, PRUNED_CHILD),
    right("", "pods", &["list", "watch"], "Why pods are not ready."),
    right("events.k8s.io", "events", &["create"], "What changed, for people."),
    right(
        "",
        "events",
        &["watch"],
        "A volume that cannot be mounted, or a sandbox that cannot be made, stands there alone.",
    ),
    right("keda.sh", "scaledobjects", PRUNED, "A child where KEDA decides the number of pods; what KEDA made of it."),
];

/// Of what has no namespace, or is in that of the cluster's own parts.
pub const CLUSTER: &[Right] = &[
    right("mcp-eks.dev", "mcpserverclasses", &["list", "watch"], "What platform admins allow."),
    right("", "namespaces", &["list", "watch"], "Their labels, by which a class chooses who may name it."),
    Right {
        names: &[AGENT],
        ..right("apps", "daemonsets", &["get"], "Whether the agent is there that gives pods their credentials for AWS.")
    },
];

/// In the operator's own namespace, by the name of their Role.
pub const AT_HOME: &[(&str, &[Right])] =
    &[("mcp-eks-operator-leader-election", ELECTION), ("mcp-eks-operator-probe", PROBE)];

const ELECTION: &[Right] = &[
    right(
        "coordination.k8s.io",
        "leases",
        &["create"],
        "A name cannot be asked for where the object does not exist yet.",
    ),
    Right {
        names: &[NAME],
        ..right(
            "coordination.k8s.io",
            "leases",
            &["get", "update"],
            "The Lease by which one of several operators works.",
        )
    },
];

const PROBE: &[Right] = &[
    right("", "secrets", &["create"], "A name cannot be asked for where the object does not exist yet."),
    Right {
        names: &[keeper::SECRET],
        ..right("", "secrets", &["list", "watch"], "The key by which the probe shows servers who it is.")
    },
];

/// In a namespace whose owner wants pods to roll when a Secret changes; nobody has it without asking. The rights of a
/// list are for whole objects: RBAC knows none for names and versions alone, which is all that the operator asks for.
pub const ROLLING: &[Right] =
    &[right("", "secrets", &["list", "watch"], "Pods roll when a Secret changes that they read at their start.")];

/// Every manifest that is made of the table: its path in the repository, and its text.
#[must_use]
pub fn manifests() -> Vec<(&'static str, String)> {
    let cluster = role("ClusterRole", NAME, None, &[EVERYWHERE, CLUSTER].concat());
    let classes =
        format!("{}---\n{}", role("ClusterRole", CLASSES, None, CLUSTER), binding("ClusterRole", CLASSES, None, None));
    let bound = |name, namespace, rights| {
        role("Role", name, namespace, rights) + "---\n" + &binding("Role", name, namespace, namespace)
    };
    let rolling = role("Role", SECRETS, None, ROLLING) + "---\n" + &binding("Role", SECRETS, None, Some(NAMESPACE));
    let home = |namespace| AT_HOME.iter().map(move |(name, rights)| bound(name, namespace, rights));
    let namespaced: Vec<_> = [bound(NAME, None, EVERYWHERE), classes].into_iter().chain(home(None)).collect();
    vec![
        ("config/rbac/cluster_role.yaml", head() + &cluster),
        ("config/rbac/home_roles.yaml", head() + &home(Some(NAMESPACE)).collect::<Vec<_>>().join("---\n")),
        ("config/namespaced/role.yaml", head() + &namespaced.join("---\n")),
        ("config/roll-on-secrets/role.yaml", head() + &rolling),
    ]
}

fn head() -> String {
    "# Made by `cargo xtask rbacgen` from operator/src/rights.rs, which says more.\n".to_owned()
}

fn metadata(name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!("  namespace: {namespace}\n")).unwrap_or_default();
    format!("metadata:\n  name: {name}\n{namespace}  labels: {{app.kubernetes.io/part-of: mcp-eks}}\n")
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rights: &[Right]) -> String {
    let rule = |right: &Right| {
        let group = if right.group.is_empty() { "\"\"" } else { right.group };
        let names = right.names.join(", ");
        let names = if names.is_empty() { names } else { format!("  resourceNames: [{names}]\n") };
        let (resource, verbs, why) = (right.resource, right.verbs.join(", "), right.why);
        format!("# {why}\n- apiGroups: [{group}]\n  resources: [{resource}]\n{names}  verbs: [{verbs}]\n")
    };
    let rules: String = rights.iter().map(rule).collect();
    format!("apiVersion: {RBAC}/v1\nkind: {kind}\n{}rules:\n{rules}", metadata(name, namespace))
}

/// Binds a role to the operator's ServiceAccount. Without namespaces, kustomize puts both where it puts the rest.
fn binding(kind: &str, role: &str, namespace: Option<&str>, account: Option<&str>) -> String {
    let of_account = account.map(|namespace| format!(", namespace: {namespace}")).unwrap_or_default();
    format!(
        "apiVersion: {RBAC}/v1\nkind: {kind}Binding\n{}roleRef: {{apiGroup: {RBAC}, kind: {kind}, name: {role}}}\nsubjects:\n\
         - {{kind: ServiceAccount, name: {NAME}{of_account}}}\n",
        metadata(role, namespace)
    )
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::{AT_HOME, CLUSTER, EVERYWHERE, ROLLING, Right, manifests};
    use crate::keeper;

    fn all() -> impl Iterator<Item = &'static Right> {
        EVERYWHERE.iter().chain(CLUSTER).chain(AT_HOME.iter().flat_map(|(_, rights)| *rights))
    }

    #[test]
    fn the_manifests_are_fresh() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (path, text) in manifests() {
            let found = fs::read_to_string(root.join(path)).unwrap_or_default();
            assert_eq!(found, text, "{path} is stale: run `cargo xtask rbacgen`");
        }
    }

    #[test]
    fn nothing_is_granted_that_leads_to_more() {
        const VERBS: [&str; 8] = ["get", "list", "watch", "create", "patch", "update", "delete", "deletecollection"];
        assert!(EVERYWHERE.iter().all(|right| right.resource != "secrets"), "Secrets are for their owners");
        for Right { group, resource, verbs, names, why } in all() {
            let forbidden = ["nodes", "pods/exec", "pods/attach", "pods/portforward", "serviceaccounts/token"];
            assert!(!forbidden.contains(resource), "{resource}: {verbs:?}");
            let own = *names == [keeper::SECRET] || *verbs == ["create"];
            assert!(*resource != "secrets" || own, "the operator sees no Secret but its own: {verbs:?} {names:?}");
            assert!(!group.contains("rbac") && !group.contains('*') && !resource.contains('*'), "{group}/{resource}");
            assert!(verbs.iter().all(|verb| VERBS.contains(verb)), "{resource}: {verbs:?}");
            assert!(why.ends_with('.'), "{resource} says what for: {why}");
        }
    }

    #[test]
    fn who_lets_pods_roll_on_secrets_grants_nothing_else() {
        let [Right { group: "", resource: "secrets", verbs: ["list", "watch"], names: [], .. }] = ROLLING else {
            panic!("{ROLLING:?}")
        };
        let (_, text) = manifests().into_iter().find(|(path, _)| path.contains("roll-on-secrets")).unwrap();
        let in_no_namespace = |part: &str| !part.split("subjects:").next().unwrap().contains("namespace:");
        assert!(text.split("---").all(in_no_namespace), "kubectl apply -n says where:\n{text}");
    }

    #[test]
    fn the_grants_are_few_and_each_is_there_once() {
        let grants = |right: &'static Right| right.verbs.iter().map(|verb| (right.group, right.resource, verb));
        let everywhere = EVERYWHERE.iter().chain(CLUSTER).flat_map(grants).count();
        assert!(everywhere <= 64, "{everywhere} grants outside of the operator's own namespace");
        let all: Vec<_> = all().flat_map(grants).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
