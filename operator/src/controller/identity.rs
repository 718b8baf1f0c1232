//! The association's part of a pass: the finalizer, one step at AWS, and what pods may know of it.
//!
//! In: a server and what the cluster holds. Out: [`Tended`]: whether pods have to wait, what status says, when to look
//! again. Without `spec.identity` and without our finalizer nothing here costs a call.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use mcp_crds::McpServer;
use serde_json::{Value, json};

use crate::{
    apply,
    call::call,
    context::Context,
    desired::{
        ChildKind, Ruling,
        validate::identity::{Wanted, is_retained},
    },
    diff::{Claim, Prune, claim},
    error::Error,
    identity::{
        Key,
        cached::LISTED,
        plan::Wish,
        proof,
        tend::{AGAIN, Published, State, Tending},
        token,
    },
    observe::Observed,
    status::identity::Identity,
    vocabulary::{FINALIZER, IDENTITY_HASH},
};

/// Annotation of a ServiceAccount that gives its pods a role by the older mechanism.
const IRSA: &str = "eks.amazonaws.com/role-arn";

/// What came of the association's part of a pass.
#[derive(Debug, Default)]
pub(super) struct Tended {
    /// What status says; nothing where no identity is wanted.
    pub(super) identity: Option<Identity>,
    /// When to look again.
    pub(super) again: Option<Duration>,
    /// The Deployment whose pods were stopped.
    pub(super) stopped: Option<Value>,
    /// What went wrong.
    pub(super) failure: Option<Error>,
}

impl Tended {
    /// Whether the pods have to wait.
    pub(super) fn holds(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.holds)
    }
}

/// Goes one step towards the association that is wanted, or towards none.
pub(super) async fn tend(
    context: &Context,
    server: &McpServer,
    wanted: Option<&mut Wanted>,
    observed: &Observed,
) -> Tended {
    match wanted {
        Some(wanted) => want(context, server, wanted, observed).await,
        None if has_finalizer(server) => {
            let outcome = let_go(context, server, None, false).await;
            let again = outcome.as_ref().ok().filter(|gone| !**gone).map(|_| AGAIN);
            Tended { again, failure: outcome.err(), ..Tended::default() }
        }
        None => Tended::default(),
    }
}

/// Ends an association that may not be any more, in a pass that does not go on with the spec: its class does not allow it,
/// or the spec does not ask for it. Pods that had what a class took back are stopped: the one case in which what runs is.
pub(super) async fn withdraw(
    context: &Context,
    server: &McpServer,
    ruling: &Ruling<'_>,
    observed: &Observed,
) -> Tended {
    let published = published(observed);
    let last = observed.status.identity.clone();
    let role = last.as_ref().and_then(|identity| identity.role_arn.as_deref());
    let asked = server.spec.identity.is_some();
    let revoked = ruling.revoked(role).filter(|_| asked);
    if revoked.is_none() && (asked || !has_finalizer(server)) {
        return Tended::default();
    }
    let runs_with_it = revoked.is_some() && published.hash.is_some();
    let stopped = if runs_with_it { stop(context, server, observed).await } else { Ok(None) };
    let gone = if has_finalizer(server) { let_go(context, server, None, false).await } else { Ok(true) };
    let left = if matches!(gone, Ok(true)) { None } else { last };
    let had = has_finalizer(server) || published.hash.is_some();
    let identity = revoked.map(|why| Identity { status: left, ..Identity::revoked(&why, had) });
    let again = matches!(gone, Ok(false)).then_some(AGAIN);
    let (stopped, failure) = match stopped {
        Ok(stopped) => (stopped, gone.err()),
        Err(error) => (None, Some(error)),
    };
    Tended { identity, again, stopped, failure }
}

/// Stops the pods of a server, if it has any. A ScaledObject goes before them, or KEDA would start them again; it comes back
/// with the leave to run.
async fn stop(context: &Context, server: &McpServer, observed: &Observed) -> Result<Option<Value>, Error> {
    let owner = server.uid().unwrap_or_default();
    let ours = |object: &&Value| claim(object, &owner, &server.name_any()) == Claim::Ours;
    let scaled = observed.live.get(&ChildKind::ScaledObject).filter(ours);
    if let Some(unwanted) = scaled.and_then(|object| Prune::of(ChildKind::ScaledObject, object)) {
        apply::prune(&context.client, &unwanted, &owner).await?;
    }
    let runs = |deployment: &&Value| deployment.pointer("/spec/replicas") != Some(&json!(0));
    match observed.live.get(&ChildKind::Deployment).filter(ours).filter(runs) {
        Some(deployment) => apply::stop(&context.client, deployment).await.map(Some),
        None => Ok(None),
    }
}

async fn want(context: &Context, server: &McpServer, wanted: &mut Wanted, observed: &Observed) -> Tended {
    let published = published(observed);
    // What the pods have is what the spec asks for: they go on whatever becomes of AWS.
    let settled = published.id.as_ref().map(|id| token::hash_of(id, &wanted.grant));
    let settled = settled.filter(|hash| published.hash.as_ref() == Some(hash));
    let last = observed.status.identity.clone();
    let told = |identity: Identity| {
        let holds = settled.is_none() && identity.holds;
        Identity { holds, status: identity.status.or_else(|| last.clone()), ..identity }
    };
    // With its count of replacements: without it pods would be replaced when AWS does not answer.
    wanted.hash = settled.as_ref().and_then(|_| annotated(observed));
    let Some(tending) = &context.identity else {
        return Tended { identity: Some(told(Identity::not_configured())), ..Tended::default() };
    };
    // The ServiceAccount of somebody else would get the role.
    let owner = server.uid().unwrap_or_default();
    let account = observed.live.get(&ChildKind::ServiceAccount);
    if account.is_none_or(|account| claim(account, &owner, &server.name_any()) != Claim::Ours) {
        return Tended {
            identity: Some(told(Identity::waiting("its ServiceAccount comes first"))),
            ..Tended::default()
        };
    }
    let namespace = server.namespace().unwrap_or_default();
    let agentless = context.agent.is_missing(&context.client, &context.defaults.balancers, &namespace).await;
    match step(context, tending, server, wanted, &published).await {
        Ok(state) => {
            let mut identity = Identity::of(&state);
            if let State::Ready(found) = &state {
                let proof = proof::judge(&observed.pods, annotated(observed).as_deref(), &token::hash(found));
                identity = identity.proven(&proof, irsa(observed));
                wanted.hash = Some(proof.annotation);
                if agentless {
                    identity = identity.agentless();
                }
            }
            let again = match &state {
                State::Ready(_) => resync(&owner),
                State::Settling(_, left) => *left,
                State::Coming(..) => AGAIN,
                State::Foreign(_) => LISTED,
            };
            Tended { identity: Some(told(identity)), again: Some(again), ..Tended::default() }
        }
        Err(error) => {
            let identity = Some(told(Identity::failed(&error)));
            Tended { identity, failure: Some(error), ..Tended::default() }
        }
    }
}

async fn step(
    context: &Context,
    tending: &Tending,
    server: &McpServer,
    wanted: &Wanted,
    published: &Published,
) -> Result<State, Error> {
    if !has_finalizer(server) {
        let finalizers: Vec<_> = server.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
        finalizers_of(context, server, &finalizers).await?;
    }
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let wish = Wish {
        owner: tending.owner(&namespace, &name, &server.uid().unwrap_or_default()),
        key: Key { namespace, service_account: name },
        grant: wanted.grant.clone(),
        adopt: wanted.adopt,
    };
    Ok(tending.want(&wish, published).await?)
}

/// Ends the association of a server that is on its way out, then lets the server go.
pub(super) async fn finalize(context: &Context, server: &McpServer) -> Result<Action, Error> {
    let Some(deleted) = server.metadata.deletion_timestamp.as_ref().filter(|_| has_finalizer(server)) else {
        return Ok(Action::await_change());
    };
    let since = Timestamp::now().duration_since(deleted.0).try_into().unwrap_or_default();
    let gone = let_go(context, server, Some(since), is_retained(&server.spec)).await?;
    Ok(if gone { Action::await_change() } else { Action::requeue(AGAIN) })
}

/// Goes one step towards no association, and takes the finalizer off when there is none. Returns whether it did.
async fn let_go(context: &Context, server: &McpServer, since: Option<Duration>, retain: bool) -> Result<bool, Error> {
    let Some(tending) = &context.identity else { return Err(Error::NoCluster) };
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let owner = tending.owner(&namespace, &name, &server.uid().unwrap_or_default());
    let key = Key { namespace, service_account: name };
    let gone = if retain { tending.leave(&owner, &key).await? } else { tending.lose(&owner, &key, since).await? };
    if gone {
        let finalizers: Vec<_> = server.finalizers().iter().map(String::as_str).filter(|it| *it != FINALIZER).collect();
        finalizers_of(context, server, &finalizers).await?;
    }
    Ok(gone)
}

fn has_finalizer(server: &McpServer) -> bool {
    server.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Writes the finalizers of a server, if it is still as it was seen.
async fn finalizers_of(context: &Context, server: &McpServer, finalizers: &[&str]) -> Result<(), Error> {
    let name = server.name_any();
    let api: Api<McpServer> = Api::namespaced(context.client.clone(), &server.namespace().unwrap_or_default());
    let seen = json!({
        "uid": server.metadata.uid,
        "resourceVersion": server.metadata.resource_version,
        "finalizers": finalizers,
    });
    let patch = Patch::Merge(json!({"metadata": seen}));
    let params = PatchParams::default();
    let answer = api.patch_metadata(&name, &params, &patch);
    call("write the finalizers of", &format!("McpServer {name}"), answer).await.map(drop)
}

/// What was published of the association.
fn published(observed: &Observed) -> Published {
    Published {
        id: observed.status.identity.as_ref().and_then(|identity| identity.association_id.clone()),
        hash: annotated(observed).map(|annotation| proof::hash_of(&annotation).to_owned()),
    }
}

/// The annotation of the pod template: the hash, and whether pods were replaced for lack of credentials.
fn annotated(observed: &Observed) -> Option<String> {
    let annotations = observed.live.get(&ChildKind::Deployment)?.pointer("/spec/template/metadata/annotations")?;
    Some(annotations.get(IDENTITY_HASH)?.as_str()?.to_owned())
}

/// The role that the ServiceAccount has by IRSA, which is not ours.
fn irsa(observed: &Observed) -> Option<&str> {
    observed.live.get(&ChildKind::ServiceAccount)?.pointer("/metadata/annotations")?.get(IRSA)?.as_str()
}

/// When a server that is at rest is looked at again, each at another time.
fn resync(uid: &str) -> Duration {
    let share = uid.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 100);
    LISTED + LISTED * share / 500
}
