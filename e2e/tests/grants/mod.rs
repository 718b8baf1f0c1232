//! The operator's rights as single grants, roles that lack one, and what takes the others to use.
//!
//! The table is the roles as they are installed, which are made of `operator/src/rights.rs`.

use std::fmt;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use mcp_e2e::{
    install::{OPERATOR, OPERATOR_NAMESPACE},
    suite::{foreign, objects::Space},
};
use serde_json::{Value, json};

/// What a Role cannot give.
const WITHOUT_NAMESPACE: [&str; 2] = ["mcpserverclasses", "namespaces"];

/// One verb on one resource.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

/// Where the operator says that a right is missing.
pub(crate) enum Told {
    /// In a condition of the server that it is needed for.
    Status,
    /// In the text of /readyz, which is red.
    Readyz,
    /// In the log: nothing that a server needs, or what would have told it in the status.
    Log,
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.verb, self.resource)
    }
}

impl Grant {
    /// A right to list or to watch.
    pub(crate) fn is_look(&self) -> bool {
        matches!(self.verb.as_str(), "list" | "watch")
    }

    /// A namespace of its own.
    pub(crate) fn namespace(&self) -> String {
        let group = if self.group == "events.k8s.io" { "-new" } else { "" };
        format!("without-{}-{}{group}", self.verb, self.resource.replace('/', "-"))
    }

    /// The rules without this one grant.
    pub(crate) fn taken_from(&self, rules: &[PolicyRule]) -> Vec<PolicyRule> {
        let mut rules = rules.to_vec();
        for rule in &mut rules {
            if rule.resources.iter().flatten().any(|it| *it == self.resource)
                && rule.api_groups.iter().flatten().any(|it| *it == self.group)
            {
                rule.verbs.retain(|verb| *verb != self.verb);
            }
        }
        rules.retain(|rule| !rule.verbs.is_empty());
        rules
    }

    /// Where it is told, and in which words.
    pub(crate) fn told(&self) -> Told {
        match (self.is_look(), self.resource.as_str()) {
            // Nobody waits for KEDA, nor for what kubelet says of volumes.
            (true, "scaledobjects" | "events") | (false, "mcpservers/status" | "events" | "leases" | "daemonsets") => {
                Told::Log
            }
            (true, _) => Told::Readyz,
            (false, _) => Told::Status,
        }
    }

    /// The words that name it.
    pub(crate) fn refusal(&self) -> String {
        match (self.is_look(), self.resource.as_str()) {
            (true, "scaledobjects") => "may not list and watch scaledobjects.keda.sh".to_owned(),
            (true, resource) => format!("may not list and watch {resource}"),
            (false, resource) => format!("cannot {} resource \"{resource}\"", self.verb),
        }
    }
}

/// Every grant of some rules.
pub(crate) fn all(rules: &[PolicyRule]) -> Vec<Grant> {
    let of_rule = |rule: &PolicyRule| -> Vec<Grant> {
        let group = rule.api_groups.iter().flatten().next().cloned().unwrap_or_default();
        let resource = rule.resources.iter().flatten().next().cloned().unwrap_or_default();
        let grant = |verb: &String| Grant { group: group.clone(), resource: resource.clone(), verb: verb.clone() };
        rule.verbs.iter().map(grant).collect()
    };
    rules.iter().flat_map(of_rule).collect()
}

/// The operator's rules everywhere, and in its own namespace.
pub(crate) async fn of_operator(client: &Client) -> Result<(Vec<PolicyRule>, Vec<PolicyRule>)> {
    let everywhere = Api::<ClusterRole>::all(client.clone()).get(OPERATOR).await?;
    let home: Api<Role> = Api::namespaced(client.clone(), OPERATOR_NAMESPACE);
    let home = home.list(&ListParams::default()).await?.into_iter().flat_map(|role| role.rules.unwrap_or_default());
    Ok((everywhere.rules.unwrap_or_default(), home.collect()))
}

/// Leaves the operator everywhere nothing but its rights to look.
pub(crate) async fn keep_looks(client: &Client) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let mut role = roles.get(OPERATOR).await?;
    for rule in role.rules.iter_mut().flatten() {
        rule.verbs.retain(|verb| matches!(verb.as_str(), "list" | "watch"));
    }
    role.rules.iter_mut().for_each(|rules| rules.retain(|rule| !rule.verbs.is_empty()));
    roles.replace(OPERATOR, &PostParams::default(), &role).await?;
    Ok(())
}

/// Makes a namespace in which an operator has these rights: that of the namespace `home`.
pub(crate) async fn give(client: &Client, namespace: &str, home: &str, rules: &[PolicyRule]) -> Result<()> {
    Space::create(client, namespace).await?;
    let post = PostParams::default();
    if home == namespace {
        let account = serde_json::from_value(json!({"metadata": {"name": OPERATOR}}))?;
        Api::<ServiceAccount>::namespaced(client.clone(), namespace).create(&post, &account).await?;
    }
    if home == namespace {
        look_at_all(client, namespace, rules).await?;
    }
    let role = serde_json::from_value(json!({"metadata": {"name": OPERATOR}, "rules": rules}))?;
    Api::<Role>::namespaced(client.clone(), namespace).create(&post, &role).await?;
    let binding = serde_json::from_value(json!({
        "metadata": {"name": OPERATOR},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": OPERATOR},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": home}],
    }))?;
    Api::<RoleBinding>::namespaced(client.clone(), namespace).create(&post, &binding).await?;
    Ok(())
}

/// Gives the operator of a namespace those of its rights that are for what has no namespace.
async fn look_at_all(client: &Client, home: &str, rules: &[PolicyRule]) -> Result<()> {
    let without =
        |rule: &&PolicyRule| rule.resources.iter().flatten().any(|it| WITHOUT_NAMESPACE.contains(&it.as_str()));
    let rules: Vec<_> = rules.iter().filter(without).collect();
    let (post, name) = (PostParams::default(), format!("{OPERATOR}-{home}"));
    let role = serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules}))?;
    Api::<ClusterRole>::all(client.clone()).create(&post, &role).await?;
    let binding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": home}],
    }))?;
    Api::<ClusterRoleBinding>::all(client.clone()).create(&post, &binding).await?;
    Ok(())
}

/// Children from which something is taken away that an apply cannot take away.
pub(crate) const VANDALISED: [&str; 7] =
    ["configmaps", "networkpolicies", "services", "deployments", "ingresses", "poddisruptionbudgets", "scaledobjects"];

/// What is added to a child by hand, and where it is.
fn vandal(resource: &str) -> Result<(Value, &'static str)> {
    Ok(match resource {
        "configmaps" => (json!({"data": {"more.yaml": "x"}}), "/data/more.yaml"),
        "networkpolicies" => {
            (json!({"spec": {"podSelector": {"matchLabels": {"app": "none"}}}}), "/spec/podSelector/matchLabels/app")
        }
        "services" => (json!({"spec": {"externalIPs": ["192.0.2.1"]}}), "/spec/externalIPs/0"),
        "ingresses" => {
            let backend = json!({"service": {"name": "another", "port": {"number": 80}}});
            (json!({"spec": {"defaultBackend": backend}}), "/spec/defaultBackend")
        }
        "deployments" => {
            let pod = json!({"dnsConfig": {"nameservers": ["192.0.2.1"]}});
            (json!({"spec": {"template": {"spec": pod}}}), "/spec/template/spec/dnsConfig")
        }
        "poddisruptionbudgets" => {
            (json!({"spec": {"maxUnavailable": null, "minAvailable": "100%"}}), "/spec/minAvailable")
        }
        "scaledobjects" => (json!({"spec": {"pollingInterval": 1}}), "/spec/pollingInterval"),
        other => bail!("nothing is known that takes an update of {other}: add it here"),
    })
}

/// Adds something to the child of the server `files` that a replace alone takes away.
pub(crate) async fn vandalise(space: &Space, resource: &str) -> Result<()> {
    let (api, name) = foreign::children(space, resource)?;
    let (patch, _) = vandal(resource)?;
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .with_context(|| format!("change {resource}"))?;
    Ok(())
}

/// Whether that is still there.
pub(crate) async fn is_vandalised(space: &Space, resource: &str) -> Result<bool> {
    let (api, name) = foreign::children(space, resource)?;
    let (_, pointer) = vandal(resource)?;
    Ok(serde_json::to_value(api.get(name).await?)?.pointer(pointer).is_some())
}
