//! The pipeline on one screen: observe → validate → desired → diff → apply → status → write.

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use mcp_crds::McpServer;
use serde_json::Value;

use super::publish;
use crate::{
    apply::{Applied, apply},
    context::Context,
    desired::{self, ChildKind, hosts},
    diff::{self, Claim, claim},
    error::Error,
    observe::{key, observe},
    status::{self, Facts, Verdict},
};

/// Brings one server closer to its spec, and says how far it is.
pub async fn reconcile(server: &McpServer, context: &Context) -> Result<Action, Error> {
    if server.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let owner = server.uid().unwrap_or_default();
    let mut observed = observe(context, server);
    let (address, applied, problems) = match desired::validate(server, &context.defaults) {
        Ok(valid) => {
            let plan = diff::plan(&desired::build(&valid), &observed.live, &owner);
            (Some(hosts::internal_url(&valid)), apply(&context.client, plan, &owner).await, None)
        }
        Err(problems) => (None, Applied::default(), Some(problems)),
    };
    for (kind, object) in &applied.written {
        context.recent.remember(key(kind.name(), server), object.clone());
        observed.live.insert(*kind, object.clone());
    }

    let ours = |object: &&Value| claim(object, &owner, &server.name_any()) == Claim::Ours;
    let deployment = observed.live.get(&ChildKind::Deployment).filter(ours);
    let facts = Facts {
        verdict: verdict(problems, &applied),
        deployment: deployment.and_then(|object| serde_json::from_value(object.clone()).ok()),
        pods: &observed.pods,
        address,
    };
    let status = status::compute(server, &observed.status, &facts, Timestamp::now());
    if status != observed.status {
        let answer = publish::status(&context.client, server, &status).await?;
        context.recent.remember(key("McpServer", server), answer);
    }
    match applied.failure {
        Some(error) => Err(error),
        None => Ok(observed.again.map_or_else(Action::await_change, Action::requeue)),
    }
}

fn verdict(problems: Option<Vec<desired::Problem>>, applied: &Applied) -> Verdict {
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
        Some(error) => Verdict::Failed { reason: error.reason(), message: error.to_string() },
        None => Verdict::Applied,
    }
}
