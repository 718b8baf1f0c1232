//! What the operator may do: all of it used, nothing missing, and how it copes with less.

pub(crate) mod secrets;

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use mcp_e2e::{
    audit::{Event, Mark},
    install::{self, OPERATOR, OPERATOR_NAMESPACE, OPERATOR_USER},
    suite::{
        self,
        objects::{SOON, Space, conditions},
        operator::OperatorProcess,
    },
};
use tokio::process::Command;

use crate::{BINARY, Fixture, QUIET, filesystem};

pub(crate) async fn one_namespace(fixture: &Fixture) -> Result<()> {
    const TEAM: &str = "mcp-eks-team";
    let mut everywhere = fixture.operator.lock().await;
    everywhere.stop().await?;
    let kubectl = |words: &[&str]| {
        let mut command = Command::new(install::kubectl(&fixture.cluster));
        command.args(words).env("KUBECONFIG", fixture.cluster.kubeconfig());
        command
    };
    let path = install::repository().join("config/namespaced");
    let done = kubectl(&["apply", "--server-side", "-k"]).arg(path).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let settings = vec![("MCP_EKS_WATCH_NAMESPACE", TEAM.to_owned()), ("MCP_EKS_NAMESPACE", TEAM.to_owned())];
    let mut alone = OperatorProcess::start_with(&fixture.cluster, &suite::bin_dir(BINARY), TEAM, settings).await?;
    let (inside, outside) = (Space::existing(&fixture.cluster.client(), TEAM), fixture.space("outside").await?);
    outside.apply("files", filesystem()).await?;
    inside.apply("files", filesystem()).await?;
    inside.condition("files", "Reconciling=True/Progressing", SOON).await?;
    tokio::time::sleep(QUIET).await;
    ensure!(
        outside.children("files").await?.is_empty() && conditions(&outside.servers().get("files").await?).is_empty()
    );
    let events = fixture.cluster.audit_log().since(Mark::START)?;
    let user = format!("system:serviceaccount:{TEAM}:{OPERATOR}");
    let ours: Vec<_> = events.into_iter().filter(|event| event.user == user).collect();
    let cluster = ["mcpserverclasses", "namespaces"];
    let elsewhere = |event: &Event| event.namespace != TEAM && !cluster.contains(&event.resource.as_str());
    let wrong: Vec<_> = ours.iter().filter(|event| elsewhere(event) || event.code == 403).collect();
    ensure!(!ours.is_empty() && wrong.is_empty(), "{wrong:?}");
    alone.stop().await?;
    everywhere.start_again().await
}

/// Runs last: it looks back on the whole suite.
pub(crate) async fn rights(fixture: &Fixture) -> Result<()> {
    let events = fixture.cluster.audit_log().since(Mark::START)?;
    let ours: Vec<_> = events.into_iter().filter(|event| event.user == OPERATOR_USER).collect();
    let denied: Vec<_> = ours.iter().filter(|event| event.code == 403).collect();
    ensure!(denied.is_empty(), "{denied:?}");
    let roles: Api<ClusterRole> = Api::all(fixture.cluster.client());
    let mut unused = Vec::new();
    let mut granted = roles.get(OPERATOR).await?.rules.unwrap_or_default();
    let home: Api<Role> = Api::namespaced(fixture.cluster.client(), OPERATOR_NAMESPACE);
    granted
        .extend(home.list(&ListParams::default()).await?.into_iter().flat_map(|role| role.rules.unwrap_or_default()));
    for rule in granted {
        let resource = rule.resources.unwrap_or_default().remove(0);
        for verb in rule.verbs {
            let used = ours.iter().any(|event| {
                let path = if event.subresource.is_empty() {
                    event.resource.clone()
                } else {
                    format!("{}/{}", event.resource, event.subresource)
                };
                // The API server asks for `create` when an apply makes an object, and logs the request as a patch.
                let verb_used = event.verb == verb || (verb == "create" && event.verb == "patch" && event.code == 201);
                path == resource && verb_used
            });
            if !used {
                unused.push(format!("{verb} {resource}"));
            }
        }
    }
    ensure!(unused.is_empty(), "never used: {unused:?}");
    Ok(())
}

pub(crate) async fn revoked(fixture: &Fixture) -> Result<()> {
    const NAMED: &str = "may not list and watch pods";
    let operator = fixture.operator.lock().await;
    let roles: Api<ClusterRole> = Api::all(fixture.cluster.client());
    let before = roles.get(OPERATOR).await?;
    let mut without = before.clone();
    without.rules.iter_mut().flatten().for_each(|rule| {
        rule.resources.iter_mut().flatten().for_each(|resource| {
            if resource == "pods" {
                "nothing".clone_into(resource);
            }
        });
    });
    let changed = roles.replace(OPERATOR, &PostParams::default(), &without).await?;
    // A right is looked at when a watch is opened anew, which is every 45 s.
    suite::eventually("/readyz names the right", Duration::from_mins(1), async || {
        let (code, text) = operator.health("readyz").await?;
        Ok(if code == 503 && text.contains(NAMED) { Ok(()) } else { Err(format!("{code} {text}")) })
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let told = operator.log()?.lines().filter(|line| line.contains(NAMED)).count();
    ensure!(told == 1, "told {told} times:\n{}", operator.log()?);
    let (code, text) = operator.health("livez").await?;
    ensure!(code == 200, "a restart does not help: {text}");
    let mut back = before;
    back.metadata.resource_version = changed.metadata.resource_version;
    roles.replace(OPERATOR, &PostParams::default(), &back).await?;
    suite::eventually("the operator is ready again", Duration::from_secs(20), async || {
        let (code, text) = operator.health("readyz").await?;
        Ok(if code == 200 { Ok(()) } else { Err(text) })
    })
    .await
}
