//! The pipeline on one screen: observe → validate → desired → diff → apply → status → write.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use mcp_crds::{McpServer, McpServerStatus};
use serde_json::Value;

use super::{
    identity::{self, Tended},
    publish,
};
use crate::{
    apply::{Applied, apply},
    context::Context,
    desired::{self, ChildKind, Valid, config_map, hosts},
    diff::{self, Claim, claim},
    error::{Class, Error},
    observe::{Observed, balancer, keda, key, observe},
    status::{
        self, Facts, Verdict, exposed::Exposing, identity::Identity, notes::notes, progress::step, scaling::Scaling,
        transitions::transitions,
    },
    vocabulary::Reason,
};

/// When a taken name is looked at again.
const CONFLICT_AGAIN: Duration = Duration::from_secs(20);

/// Brings one server closer to its spec, and says how far it is.
pub async fn reconcile(server: &McpServer, context: &Context) -> Result<Action, Error> {
    if server.metadata.deletion_timestamp.is_some() {
        let outcome = identity::finalize(context, server).await;
        if let Err(error) = &outcome
            && error.class() != Class::Conflict
        {
            report_cut(server, context, error).await?;
        }
        return outcome;
    }
    let owner = server.uid().unwrap_or_default();
    let mut observed = observe(context, server);
    let mut tended = Tended::default();
    let ruling = desired::rule(server, &observed.standing);
    let mut exposing = Exposing::default();
    let (address, mut applied, problems) = match ruling.validate(&context.defaults) {
        // What was asked for before goes on; status goes on telling how it is.
        Ok(mut valid) if server.spec.paused => {
            valid.balancer = balancer(server, &observed);
            exposing = exposing_of(&valid, &observed);
            tended = identity::withdraw(context, server, &ruling, &observed).await;
            (Some(hosts::internal_url(&valid)), Applied::default(), None)
        }
        Ok(mut valid) => {
            let address = Some(hosts::internal_url(&valid));
            valid.keda = keda(context, server, &observed);
            valid.balancer = balancer(server, &observed);
            exposing = exposing_of(&valid, &observed);
            match probe_key(server, context).await {
                Ok(key) => {
                    valid.probe_key = key;
                    tended = identity::tend(context, server, valid.identity.as_mut(), &observed).await;
                    let mut children = desired::build(&valid, &observed.named);
                    // Pods that start too early never get credentials.
                    children.retain(|child| child.kind != ChildKind::Deployment || !tended.holds());
                    let plan = diff::plan(&children, &observed.live, &owner);
                    (address, apply(&context.client, plan, &owner, taken(&observed.status)).await, None)
                }
                Err(error) => (address, Applied { failure: Some(error), ..Applied::default() }, None),
            }
        }
        Err(problems) => {
            tended = identity::withdraw(context, server, &ruling, &observed).await;
            (None, Applied::default(), Some(problems))
        }
    };
    applied.written.extend(tended.stopped.take().map(|deployment| (ChildKind::Deployment, deployment)));
    for (kind, object) in &applied.written {
        context.recent.remember(key(kind.name(), server), object.clone());
        observed.live.insert(*kind, object.clone());
    }

    // News, not a fault: the next pass, at once, knows more.
    for failure in [&mut applied.failure, &mut tended.failure] {
        if let Some(error) = failure.take_if(|error| error.class() == Class::Conflict) {
            return Err(error);
        }
    }
    let verdict = verdict(server, problems, &applied);
    let probe_again = report(server, context, &observed, verdict, address, exposing, tended.identity).await?;
    if let Some(error) = applied.failure.or(tended.failure) {
        return Err(error);
    }
    // Nothing tells us when an object that is not ours goes away.
    let again = if applied.conflicts.is_empty() { observed.again } else { Some(CONFLICT_AGAIN) };
    let again = again.into_iter().chain(probe_again).chain(tended.again).min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// What is known of the load balancer of a server whose spec is valid.
fn exposing_of(valid: &Valid, observed: &Observed) -> Exposing {
    let balancers = &valid.balancers;
    Exposing {
        url: hosts::external_url(valid),
        walled: valid.exposure.is_some() && valid.network.enabled && balancers.subnets.is_empty(),
        ungated: (!balancers.gates(&observed.standing.namespace)).then(|| balancers.gate_label()),
        // The report knows better: it comes after the pass has written.
        balancer: None,
    }
}

/// The public half of the probe's key, for a server that asks who calls. Such a server waits for it: with another one in
/// its settings, or none, its pods would be replaced for nothing.
async fn probe_key(server: &McpServer, context: &Context) -> Result<Option<String>, Error> {
    if !desired::is_guarded(&server.spec) {
        return Ok(None);
    }
    Ok(Some(context.keeper.key().await?.public().to_owned()))
}

/// Publishes how it went, if that differs from what is published; a step on the way may wait for the next one. Returns when
/// to look again: the probe wants to be asked, or a step has waited long enough.
async fn report(
    server: &McpServer,
    context: &Context,
    observed: &Observed,
    verdict: Verdict,
    address: Option<String>,
    exposing: Exposing,
    identity: Option<Identity>,
) -> Result<Option<Duration>, Error> {
    let owner = server.uid().unwrap_or_default();
    let ours = |object: &&Value| claim(object, &owner, &server.name_any()) == Claim::Ours;
    let deployment = observed.live.get(&ChildKind::Deployment).filter(ours);
    let reachable = observed.live.get(&ChildKind::Service).as_ref().is_some_and(ours);
    // An invalid spec has no address: the old one serves on.
    let url = address.clone().or_else(|| observed.status.address.clone()?.internal).filter(|_| reachable);
    // A paused or invalid server may know another key, or none: what it was told counts.
    let told = observed.live.get(&ChildKind::ConfigMap).filter(ours);
    let shows = context.keeper.known().filter(|key| told.is_some_and(|told| config_map::names_key(told, key.public())));
    let (probe, again) = context.probes.report(server, url.as_deref(), &observed.pods, shows.as_ref());
    let facts = Facts {
        verdict,
        deployment: deployment.and_then(|object| serde_json::from_value(object.clone()).ok()),
        pods: &observed.pods,
        hindered: &observed.hindered,
        reachable,
        address,
        probe,
        scaling: Scaling { keda: keda(context, server, observed), object: observed.live.get(&ChildKind::ScaledObject) },
        exposing: Exposing { balancer: balancer(server, observed), ..exposing },
        identity,
    };
    let status = status::compute(server, &observed.status, &facts, Timestamp::now());
    if status == observed.status {
        context.pace.settled(&owner);
        return Ok(again);
    }
    if let Some(step) = step(&observed.status, &status)
        && let Some(wait) = context.pace.hold(&owner, step, context.metrics.queue.waiting(), Instant::now())
    {
        return Ok(again.into_iter().chain([wait]).min());
    }
    let answer = publish::status(&context.client, server, &status).await?;
    context.pace.settled(&owner);
    context.recent.remember(key("McpServer", server), answer);
    let (before, after) = (&observed.status.conditions, &status.conditions);
    context.metrics.transitions(&transitions(before, after));
    context.events.publish(server, notes(before, after)).await;
    Ok(again)
}

/// Publishes that a pass was cut short, by a panic or its deadline, or that a server cannot go.
pub async fn report_cut(server: &McpServer, context: &Context, error: &Error) -> Result<(), Error> {
    let verdict = Verdict::Failed { reason: error.reason(), message: error.to_string() };
    report(server, context, &observe(context, server), verdict, None, Exposing::default(), None).await.map(drop)
}

/// Whether the last pass found that a child's name is taken.
fn taken(status: &McpServerStatus) -> bool {
    let reasons = [Reason::NameConflict, Reason::WaitingForDeletion].map(Reason::as_str);
    status.conditions.iter().any(|condition| reasons.contains(&condition.reason.as_str()))
}

fn verdict(server: &McpServer, problems: Option<Vec<desired::Problem>>, applied: &Applied) -> Verdict {
    if let Some(problems) = problems {
        return Verdict::Invalid(problems);
    }
    if !applied.conflicts.is_empty() {
        return Verdict::Conflict(applied.conflicts.clone());
    }
    if !applied.leftovers.is_empty() {
        return Verdict::Waiting(applied.leftovers.clone());
    }
    match &applied.failure {
        None if server.spec.paused => Verdict::Paused,
        Some(error) => Verdict::Failed { reason: error.reason(), message: error.to_string() },
        None => Verdict::Applied,
    }
}
