//! How it went: the status of a server from facts alone. Pure; the time is an argument.
//!
//! In: the server, its last status, what happened in this pass, its Deployment and pods. Out: the status to publish,
//! equal to the last one when nothing changed. Ready=False is "not yet"; only Stalled=True is "failed".

pub mod conditions;
pub mod pods;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::ResourceExt;
use mcp_crds::{Address, McpServer, McpServerStatus};

use self::{
    conditions::Conditions,
    pods::{Trouble, trouble},
};
use crate::{
    desired::{Problem, labels::selector_text},
    vocabulary::{ConditionType, Reason},
};

/// What happened in this pass.
#[derive(Debug)]
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
    /// URL inside the cluster, if the spec is valid.
    pub address: Option<String>,
}

/// Computes the status of a server.
#[must_use]
pub fn compute(server: &McpServer, last: &McpServerStatus, facts: &Facts<'_>, now: Timestamp) -> McpServerStatus {
    let rollout = Rollout::of(facts.deployment.as_ref(), server.spec.replicas);
    let trouble = trouble(facts.pods, facts.deployment.as_ref());
    let generation = server.metadata.generation;
    let mut conditions = Conditions::new(&last.conditions, generation, now);
    let stalled = stalled(&facts.verdict);

    let (ready, reason, message) = readiness(server, &rollout, trouble.as_ref(), stalled.as_ref());
    conditions.set(ConditionType::Ready, ready, reason, &message);
    match &stalled {
        Some((reason, message)) => conditions.set(ConditionType::Accepted, false, *reason, message),
        None => conditions.set(ConditionType::Accepted, true, Reason::Valid, "the spec is valid"),
    }
    let (available, reason, message) = availability(server, &rollout, trouble.as_ref());
    conditions.set(ConditionType::Available, available, reason, &message);
    if let Some((reason, message)) = stalled {
        conditions.set(ConditionType::Stalled, true, reason, &message);
    } else if let Verdict::Failed { reason, message } = &facts.verdict {
        conditions.set(ConditionType::Reconciling, true, *reason, message);
    } else if let Verdict::Waiting(leftovers) = &facts.verdict {
        let message = format!("waiting until the old {} is gone, then it is made anew", leftovers.join(", "));
        conditions.set(ConditionType::Reconciling, true, Reason::WaitingForDeletion, &message);
    } else if !rollout.complete {
        let (reason, message) = match &trouble {
            Some(trouble) => (trouble.reason, trouble.message.clone()),
            None => (Reason::Progressing, rollout.progress()),
        };
        conditions.set(ConditionType::Reconciling, true, reason, &message);
    }

    McpServerStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        replicas: Some(rollout.replicas),
        ready_replicas: Some(rollout.ready),
        selector: Some(selector_text(&server.name_any())),
        address: facts.address.clone().map(|url| Address { internal: Some(url) }).or_else(|| last.address.clone()),
    }
}

fn stalled(verdict: &Verdict) -> Option<(Reason, String)> {
    match verdict {
        Verdict::Invalid(problems) => {
            let lines: Vec<_> =
                problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
            Some((Reason::InvalidSpec, lines.join("; ")))
        }
        Verdict::Conflict(names) => Some((
            Reason::NameConflict,
            format!(
                "{} in this namespace belongs to something else, and is left alone: rename the McpServer, or delete that object",
                names.join(", ")
            ),
        )),
        Verdict::Waiting(_) | Verdict::Failed { .. } | Verdict::Applied => None,
    }
}

type Judgement = (bool, Reason, String);

fn readiness(
    server: &McpServer,
    rollout: &Rollout,
    trouble: Option<&Trouble>,
    stalled: Option<&(Reason, String)>,
) -> Judgement {
    match stalled {
        Some((reason, message)) if !rollout.available => (false, *reason, message.clone()),
        _ => availability(server, rollout, trouble),
    }
}

fn availability(server: &McpServer, rollout: &Rollout, trouble: Option<&Trouble>) -> Judgement {
    if server.spec.replicas == 0 && rollout.exists {
        return (false, Reason::ScaledToZero, "spec.replicas is 0: no pod runs, by request".to_owned());
    }
    if rollout.available {
        return (true, Reason::Serving, format!("{} of {} pods are ready", rollout.ready, rollout.desired));
    }
    match trouble {
        Some(trouble) => (false, trouble.reason, trouble.message.clone()),
        None => (false, Reason::WaitingForPods, format!("{} of {} pods are ready", rollout.ready, rollout.desired)),
    }
}

/// Where a Deployment stands.
struct Rollout {
    exists: bool,
    desired: i32,
    replicas: i32,
    updated: i32,
    ready: i32,
    available: bool,
    complete: bool,
}

impl Rollout {
    fn of(deployment: Option<&Deployment>, desired: i32) -> Self {
        let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
        let seen = status.observed_generation >= deployment.and_then(|deployment| deployment.metadata.generation);
        let replicas = status.replicas.unwrap_or(0);
        let updated = status.updated_replicas.unwrap_or(0);
        let ready = status.ready_replicas.unwrap_or(0);
        let available = status.available_replicas.unwrap_or(0);
        let condition = status.conditions.unwrap_or_default();
        let condition = condition.iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
        Self {
            exists: deployment.is_some(),
            desired,
            replicas,
            updated,
            ready,
            available: condition && available > 0,
            complete: deployment.is_some() && seen && (updated, replicas, available) == (desired, desired, desired),
        }
    }

    fn progress(&self) -> String {
        if self.exists {
            format!(
                "{} of {} pods run the current spec, {} of them all are ready",
                self.updated, self.desired, self.ready
            )
        } else {
            "children are being created".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
