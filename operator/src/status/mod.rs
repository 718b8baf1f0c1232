//! How it went: the status of a server from facts alone. Pure; the time is an argument.
//!
//! In: the server, its last status, what happened in this pass, its Deployment and pods. Out: the status to publish,
//! equal to the last one when nothing changed. Ready=False is "not yet"; only Stalled=True is "failed".

mod asked;
pub mod conditions;
pub mod exposed;
pub mod identity;
pub mod notes;
pub mod pods;
pub mod progress;
pub mod rollout;
pub mod scaling;
pub mod transitions;
pub mod verified;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::ResourceExt;
use mcp_crds::{Address, McpServer, McpServerStatus};

use self::{
    conditions::{Conditions, Truth},
    exposed::{Exposed, Exposing},
    identity::Identity,
    pods::{Hindered, Trouble, trouble},
    rollout::Rollout,
    scaling::Scaling,
    verified::{Verified, verified},
};
use crate::{
    desired::{Problem, labels::selector_text},
    probe::Report,
    vocabulary::{ConditionType, Reason},
};

/// What happened in this pass.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The spec cannot be; nothing was written.
    Invalid(Vec<Problem>),
    /// Names of children are taken; nothing was written.
    Conflict(Vec<String>),
    /// Children of a deleted server of the same name are still going away; nothing was written.
    Waiting(Vec<String>),
    /// A write failed.
    Failed {
        /// What status says of it.
        reason: Reason,
        /// The whole story.
        message: String,
    },
    /// Nothing was written, by request.
    Paused,
    /// Every child is as it should be.
    Applied,
}

/// Everything the status depends on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What happened in this pass.
    pub verdict: Verdict,
    /// The Deployment, if there is one of ours.
    pub deployment: Option<Deployment>,
    /// The pods.
    pub pods: &'a [Arc<Pod>],
    /// What keeps pods from starting that stands in no status.
    pub hindered: &'a Hindered,
    /// Whether the Service is there, and ours.
    pub reachable: bool,
    /// URL inside the cluster, if the spec is valid.
    pub address: Option<String>,
    /// What is known of pods and Service by MCP.
    pub probe: Report,
    /// What there is of KEDA.
    pub scaling: Scaling<'a>,
    /// What is known of the load balancer.
    pub exposing: Exposing,
    /// What is known of the association; nothing in a pass that did not look.
    pub identity: Option<Identity>,
}

/// Computes the status of a server.
#[must_use]
pub fn compute(server: &McpServer, last: &McpServerStatus, facts: &Facts<'_>, now: Timestamp) -> McpServerStatus {
    let scaled = facts.scaling.decides(&server.spec);
    let number = facts.deployment.as_ref().and_then(|deployment| deployment.spec.as_ref()?.replicas);
    let desired = number.filter(|_| scaled).unwrap_or(server.spec.replicas);
    let rollout = Rollout::of(facts.deployment.as_ref(), desired);
    let trouble = trouble(facts.pods, facts.hindered, facts.deployment.as_ref());
    let generation = server.metadata.generation;
    let mut conditions = Conditions::new(&last.conditions, generation, now);
    let unaccepted = unaccepted(&facts.verdict);
    let identity = server.spec.identity.as_ref().map(|_| identity_of(facts, last));

    let verified = verified(server, last, &facts.probe, &rollout);
    let exposed = exposed::judge(server, &facts.exposing, unaccepted.as_ref().map(|(reason, _)| *reason));
    let stalled = unaccepted.clone().or_else(|| {
        let stalls = identity.as_ref().filter(|identity| identity.stalls);
        let stalls = stalls.map(|identity| (identity.reason, identity.message.clone()));
        stalls.or_else(|| exposed.as_ref().and_then(Exposed::stalls))
    });
    let closed = exposed.as_ref().and_then(Exposed::obstacle);
    let busy = busy(&facts.verdict, &rollout, trouble.as_ref(), &verified, identity.as_ref(), closed.as_ref());
    let obstacle = stalled.as_ref().or(busy.as_ref());
    let (ready, reason, message) =
        readiness(scaled, facts, &rollout, trouble.as_ref(), obstacle, &verified, closed.as_ref());
    conditions.set(ConditionType::Ready, ready, reason, &message);
    if let Some((reason, message)) = &unaccepted {
        conditions.set(ConditionType::Accepted, false, *reason, message);
    } else {
        let (reason, message) = asked::accepted(&server.spec, matches!(facts.verdict, Verdict::Paused));
        conditions.set(ConditionType::Accepted, true, reason, &message);
    }
    if let Some(identity) = &identity {
        conditions.set(ConditionType::IdentityReady, identity.truth, identity.reason, &identity.message);
    }
    if let Some(exposed) = &exposed {
        exposed.set(&mut conditions);
    }
    scaling::set(&mut conditions, &server.spec, &server.namespace().unwrap_or_default(), &facts.scaling);
    let (available, reason, message) = match &unaccepted {
        // Nobody waits for pods that nobody starts.
        Some((reason, _)) if !rollout.exists => {
            (false, *reason, "no pod is started while the spec is not accepted: see Accepted".to_owned())
        }
        _ => availability(scaled, &rollout, trouble.as_ref()),
    };
    conditions.set(ConditionType::Available, available, reason, &message);
    conditions.set(ConditionType::Verified, verified.truth, verified.reason, &verified.message);
    if let Some((reason, message)) = stalled {
        conditions.set(ConditionType::Stalled, true, reason, &message);
    } else if let Some((reason, message)) = busy {
        conditions.set(ConditionType::Reconciling, true, reason, &message);
    }

    let url = facts.address.clone().or_else(|| last.address.clone()?.internal).filter(|_| facts.reachable);
    let last_external = last.address.as_ref().and_then(|address| address.external.clone());
    // Only what leads somewhere.
    let external = facts.exposing.url.clone().or(last_external).filter(|_| facts.exposing.balancer.is_some());
    McpServerStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        replicas: Some(rollout.replicas),
        ready_replicas: Some(rollout.ready),
        selector: Some(selector_text(&server.name_any())),
        address: url.map(|url| Address { internal: Some(url), external, ..Address::default() }),
        mcp: verified::says(last, &facts.probe),
        identity: identity.and_then(|identity| identity.status),
        ..McpServerStatus::default()
    }
}

/// What is known of the association: the last word, if this pass did not look.
fn identity_of(facts: &Facts<'_>, last: &McpServerStatus) -> Identity {
    if let Some(identity) = &facts.identity {
        return identity.clone();
    }
    let waiting = Identity { holds: false, ..Identity::waiting("nothing was looked at in this pass") };
    let said = last.conditions.iter().find(|condition| condition.type_ == ConditionType::IdentityReady.as_str());
    let reason = said.and_then(|said| Reason::ALL.iter().find(|reason| reason.as_str() == said.reason));
    let identity = match said.zip(reason) {
        Some((said, reason)) => Identity {
            truth: (said.status == Truth::True.as_str()).into(),
            reason: *reason,
            message: said.message.clone(),
            ..waiting
        },
        None => waiting,
    };
    Identity { status: last.identity.clone(), ..identity }
}

/// Why the spec is not taken, if it is not.
fn unaccepted(verdict: &Verdict) -> Option<(Reason, String)> {
    match verdict {
        Verdict::Invalid(problems) => {
            let lines: Vec<_> =
                problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
            // What can never be weighs more than what somebody may allow, and that more than what will be.
            let weight = [Reason::InvalidSpec, Reason::PolicyTooLarge, Reason::ClassDenied, Reason::NotYetSupported];
            let heaviest = weight.into_iter().find(|reason| problems.iter().any(|problem| problem.reason == *reason));
            Some((heaviest.unwrap_or(Reason::InvalidSpec), lines.join("; ")))
        }
        Verdict::Conflict(names) => Some((
            Reason::NameConflict,
            format!(
                "this namespace has {} already, and not of this McpServer, so nothing was touched: rename the McpServer, or \
                 remove what is there if nobody needs it",
                names.join(", ")
            ),
        )),
        Verdict::Waiting(_) | Verdict::Failed { .. } | Verdict::Paused | Verdict::Applied => None,
    }
}

/// What is being worked on, if anything.
fn busy(
    verdict: &Verdict,
    rollout: &Rollout,
    trouble: Option<&Trouble>,
    verified: &Verified,
    identity: Option<&Identity>,
    closed: Option<&(Reason, String)>,
) -> Option<(Reason, String)> {
    let missing = identity.filter(|identity| identity.truth != Truth::True && !identity.stalls);
    match (verdict, trouble) {
        (Verdict::Failed { reason, message }, _) => Some((*reason, message.clone())),
        (Verdict::Waiting(leftovers), _) => {
            let message = format!("waiting until the old {} is gone, then it is made anew", leftovers.join(", "));
            Some((Reason::WaitingForDeletion, message))
        }
        (Verdict::Paused, _) => None,
        _ if missing.is_some() => missing.map(|identity| (identity.reason, identity.message.clone())),
        // What does not speak MCP is asked again and again.
        _ if rollout.complete && rollout.serving => verified.obstacle().or_else(|| closed.cloned()),
        _ if rollout.complete => None,
        (_, Some(trouble)) => Some((trouble.reason, trouble.message.clone())),
        (_, None) => Some((Reason::Progressing, rollout.progress())),
    }
}

type Judgement = (bool, Reason, String);

/// Whether a client can use the server: a pod gets traffic, the Service that leads to it is ours, and what answers
/// speaks MCP. `closed` is why a load balancer that is asked for cannot be used, `obstacle` is what keeps the server from its current spec, `scaled` that KEDA decides the number of pods.
fn readiness(
    scaled: bool,
    facts: &Facts<'_>,
    rollout: &Rollout,
    trouble: Option<&Trouble>,
    obstacle: Option<&(Reason, String)>,
    verified: &Verified,
    closed: Option<&(Reason, String)>,
) -> Judgement {
    let serving = rollout.serving && facts.reachable;
    match (obstacle, verified.obstacle()) {
        _ if rollout.desired == 0 && rollout.exists => availability(scaled, rollout, trouble),
        _ if matches!(facts.verdict, Verdict::Paused) && !rollout.exists => {
            (false, Reason::Paused, "no pod was started, because spec.paused is true".to_owned())
        }
        (_, Some((reason, message))) if serving => (false, reason, message),
        (
            Some((Reason::InvalidSpec | Reason::PolicyTooLarge | Reason::ClassDenied | Reason::NotYetSupported, why)),
            None,
        ) if serving => (
            true,
            verified.serving(),
            format!("{}, of the last valid spec; the current one is not accepted: {why}", verified.count(rollout)),
        ),
        (_, None) if let Some((reason, message)) = closed.filter(|_| serving) => (false, *reason, message.clone()),
        (_, None) if serving => (true, verified.serving(), verified.count(rollout)),
        (Some((reason, message)), _) if *reason != Reason::Progressing || !rollout.exists => {
            (false, *reason, message.clone())
        }
        _ => availability(scaled, rollout, trouble),
    }
}

/// Whether the Deployment has its minimum of ready pods.
fn availability(scaled: bool, rollout: &Rollout, trouble: Option<&Trouble>) -> Judgement {
    if rollout.desired == 0 && rollout.exists {
        let why = if scaled { "nothing in spec.autoscaling asks for a pod now" } else { "spec.replicas is 0" };
        return (false, Reason::ScaledToZero, format!("{why}: no pod runs, by request"));
    }
    match trouble {
        _ if rollout.available => (true, Reason::Serving, rollout.count()),
        Some(trouble) => (false, trouble.reason, trouble.message.clone()),
        None => (false, Reason::WaitingForPods, rollout.count()),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod verified_tests;
