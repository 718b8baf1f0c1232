//! Tier api: every right of the operator, one verb of one resource at a time, taken away. Whatever it is, the operator says
//! which one it lacks; so none is there for nothing.
//!
//! Rights to write are taken from one operator, in a namespace for each. Rights to list and watch, and those on the
//! Lease, are taken from operators of one namespace each: they last until what they lack is named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::rbac::v1::PolicyRule;
use mcp_e2e::{
    audit::Mark,
    cluster::{Cluster, Tier},
    install::{OPERATOR_NAMESPACE, OPERATOR_USER},
    suite::{
        self, Test, foreign, keda,
        objects::{SOON, Space, class, conditions},
        operator::OperatorProcess,
    },
};
use serde_json::{Value, json};

mod grants;

use grants::{Grant, Told};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Time in which a right that is missing is named.
const NAMED: Duration = Duration::from_secs(20);
/// Namespaces that are looked at, and operators that run, at the same time.
const AT_ONCE: usize = 4;
/// The class of every server.
const CLASS: &str = "team";
/// The namespace in which nothing is missing.
const WHOLE: &str = "nothing-is-missing";

struct Fixture {
    cluster: Arc<Cluster>,
    /// Its rights to write are those of each namespace.
    operator: OperatorProcess,
    rules: Vec<PolicyRule>,
    at_home: Vec<PolicyRule>,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("with every right nothing is refused", |f| whole(f).boxed_local()),
        ("any right to write, taken away, is named in status or log", |f| writes(f).boxed_local()),
        ("any right to look, taken away, is named in /readyz or log", |f| looks(f).boxed_local()),
    ];
    suite::run(
        "suite-rights",
        Tier::Api,
        BINARY,
        async |cluster| {
            OperatorProcess::manifests(&cluster).await?;
            // Without it the API server has nothing to watch, whatever the rights.
            keda::define_loosely(&cluster.client()).await?;
            let (rules, at_home) = grants::of_operator(&cluster.client()).await?;
            // What needs a class: a load balancer, and an identity.
            let allowed = json!({
                "allowedNamespaces": {"selector": {}},
                "egress": {"allowedCidrs": ["0.0.0.0/0", "::/0"]},
                "expose": {"allowedTypes": ["Ingress"]},
                "identity": {"allowedRoleArns": ["arn:aws:iam::123456789012:role/*"], "sessionPolicy": "Optional"},
                "secretNames": ["callers"],
                "volumes": {"allowedTypes": ["EmptyDir"]},
            });
            class(&cluster.client(), CLASS, allowed).await?;
            // What it may write, it may in some namespaces alone, where one right is missing or none.
            grants::keep_looks(&cluster.client()).await?;
            for grant in grants::all(&rules).iter().filter(|grant| !grant.is_look()) {
                grants::give(&cluster.client(), &grant.namespace(), OPERATOR_NAMESPACE, &grant.taken_from(&rules))
                    .await?;
            }
            grants::give(&cluster.client(), WHOLE, OPERATOR_NAMESPACE, &rules).await?;
            let operator = OperatorProcess::start_with(
                &cluster,
                &suite::bin_dir(BINARY),
                OPERATOR_NAMESPACE,
                vec![
                    ("MCP_EKS_CLUSTER_NAME", "suite".to_owned()),
                    ("MCP_EKS_LOAD_BALANCER_CIDRS", "10.0.0.0/20".to_owned()),
                ],
            )
            .await?;
            Ok(Fixture { cluster, operator, rules, at_home })
        },
        tests,
    )
}

fn filesystem() -> Value {
    json!({
        "className": CLASS,
        "expose": {"type": "Ingress"},
        "server": {"filesystem": {"roots": [{"name": "data", "volume": "data"}]}},
        "volumes": [{"name": "data", "emptyDir": {}}],
        "autoscaling": {"minReplicas": 2, "maxReplicas": 3},
    })
}

/// What takes all away from it that a server can do without.
fn least() -> Value {
    json!({"replicas": 1, "network": {"enabled": false}, "autoscaling": null, "expose": null})
}

/// A server that asks who calls.
fn guarded() -> Value {
    let mut spec = filesystem();
    spec["auth"] = json!({"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}});
    spec
}

/// Makes a server and does all to it that takes a right, each of which is then seen to be done.
async fn whole(fixture: &Fixture) -> Result<()> {
    let space = Space::existing(&fixture.cluster.client(), WHOLE);
    space.apply("files", filesystem()).await?;
    space.condition("files", "Reconciling=True/Progressing", SOON).await?;
    for resource in grants::VANDALISED {
        grants::vandalise(&space, resource).await?;
    }
    suite::eventually("all is as it was", NAMED, async || {
        let mut foreign = Vec::new();
        for resource in grants::VANDALISED {
            if grants::is_vandalised(&space, resource).await? {
                foreign.push(resource);
            }
        }
        Ok(if foreign.is_empty() { Ok(()) } else { Err(format!("{foreign:?} are as they were made by hand")) })
    })
    .await?;
    space.edit("files", least()).await?;
    suite::eventually("what is not asked for is gone, or on its way", NAMED, async || {
        let children = space.children("files").await?;
        // Nobody is here to let go of it.
        let scaled = keda::scaled_objects(&space.client, &space.name).get("files").await?;
        let going = scaled.metadata.deletion_timestamp.is_some();
        Ok(if children.len() == 4 && going { Ok(()) } else { Err(format!("{children:?}, {scaled:?}")) })
    })
    .await?;
    let events = fixture.cluster.audit_log().since(Mark::START)?;
    let refused =
        |event: &&mcp_e2e::audit::Event| event.user == OPERATOR_USER && event.namespace == WHOLE && event.code == 403;
    let refused: Vec<_> = events.iter().filter(refused).collect();
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(())
}

/// Runs a check for every grant, some at a time, and reports all that fail.
async fn each(grants: Vec<Grant>, check: impl AsyncFn(&Grant) -> Result<()>) -> Result<()> {
    let (check, count) = (&check, grants.len());
    let failed: Vec<String> = stream::iter(grants)
        .map(|grant| async move { check(&grant).await.err().map(|error| format!("without {grant}: {error:#}")) })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    ensure!(failed.is_empty(), "{} of {count} rights are not named:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

async fn writes(fixture: &Fixture) -> Result<()> {
    let grants: Vec<_> = grants::all(&fixture.rules).into_iter().filter(|grant| !grant.is_look()).collect();
    ensure!(grants.len() > 20, "only {} rights to write were found", grants.len());
    each(grants, async |grant| {
        let space = Space::existing(&fixture.cluster.client(), &grant.namespace());
        if grant.verb == "get" && grant.resource != "daemonsets" {
            // It looks at what is in its way.
            foreign::create(&space, &grant.resource).await?;
        }
        let mut spec = filesystem();
        if matches!(grant.resource.as_str(), "mcpservers" | "daemonsets") {
            // The finalizer is written for an identity alone, and the agent is looked for.
            spec["identity"] = json!({"roleArn": "arn:aws:iam::123456789012:role/reader"});
        }
        space.apply("files", spec).await?;
        let done = || space.condition("files", "Reconciling=True/Progressing", NAMED);
        match (grant.verb.as_str(), grant.resource.as_str()) {
            ("update", resource) => {
                done().await?;
                grants::vandalise(&space, resource).await?;
            }
            ("delete", _) => {
                done().await?;
                space.edit("files", least()).await?;
            }
            ("create", "events") => {
                done().await?;
                space
                    .edit("files", json!({"server": {"filesystem": {"roots": [{"name": "data", "volume": "gone"}]}}}))
                    .await?;
            }
            _ => {}
        }
        let words = grant.refusal();
        suite::eventually(&format!("{words:?} is said"), NAMED, async || match grant.told() {
            Told::Status => {
                let found = conditions(&space.servers().get("files").await?);
                let told = |(condition, message): &(String, String)| {
                    condition == "Reconciling=True/ApplyRefused" && message.contains(&words)
                };
                Ok(if found.iter().any(told) { Ok(()) } else { Err(format!("{found:?}")) })
            }
            _ => Ok(in_log(&fixture.operator, &[&words, &grant.namespace()])?),
        })
        .await
    })
    .await
}

/// Whether one line of an operator's log holds all of these words.
fn in_log(operator: &OperatorProcess, words: &[&str]) -> Result<Result<(), String>> {
    let log = operator.log()?.replace("\\\"", "\"");
    let told = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    Ok(if told { Ok(()) } else { Err(log) })
}

async fn looks(fixture: &Fixture) -> Result<()> {
    let everywhere = grants::all(&fixture.rules).into_iter().filter(Grant::is_look);
    let grants: Vec<_> = everywhere.chain(grants::all(&fixture.at_home)).collect();
    ensure!(grants.len() > 20, "only {} rights to look were found", grants.len());
    let rules = [fixture.rules.as_slice(), &fixture.at_home].concat();
    each(grants, async |grant| {
        let namespace = grant.namespace();
        grants::give(&fixture.cluster.client(), &namespace, &namespace, &grant.taken_from(&rules)).await?;
        let settings = vec![("MCP_EKS_WATCH_NAMESPACE", namespace.clone()), ("MCP_EKS_NAMESPACE", namespace.clone())];
        let bin_dir = suite::bin_dir(BINARY);
        let operator = OperatorProcess::spawn_with(&fixture.cluster, &bin_dir, &namespace, settings).await?;
        if grant.verb == "create" && grant.resource == "secrets" {
            // Its Secret is made when a server needs the key in it.
            Space::existing(&fixture.cluster.client(), &namespace).apply("files", guarded()).await?;
        }
        let words = grant.refusal();
        suite::eventually(&format!("{words:?} is said"), NAMED, async || match grant.told() {
            Told::Readyz => Ok(match operator.health("readyz").await {
                Ok((503, text)) if text.contains(&words) => Ok(()),
                other => Err(format!("{other:?}")),
            }),
            _ => in_log(&operator, &[&words]),
        })
        .await
        .with_context(|| format!("its log: {}", operator.log().unwrap_or_default()))
    })
    .await
}
