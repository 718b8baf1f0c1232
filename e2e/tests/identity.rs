//! Tier api: the operator's associations at EKS, by the official SDK, against MiniStack; what becomes of answers that no
//! emulator gives; and servers with an identity, from their finalizer to their last association.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod associated;

use std::{
    net::Ipv4Addr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use aws_credential_types::{
    Credentials,
    provider::{SharedCredentialsProvider, error::CredentialsError, future::ProvideCredentials},
};
use axum::{Router, http::StatusCode, response::IntoResponse};
use futures::FutureExt;
use mcp_e2e::{
    cache::Cache,
    cluster::{Cluster, Tier},
    install::OPERATOR_NAMESPACE,
    ministack::{ACCOUNT, Emulator, Kind, REGION},
    suite::{self, Test, objects, operator::OperatorProcess},
};
use mcp_operator::identity::{
    Association, Associations, Call, Change, Class, Failure, Grant, Key, New, Owner,
    cached::Cached,
    eks::{Eks, Settings},
    plan::{Foreign, Intent, Late, SETTLE, Wish},
    pursue::{Memory, Outcome, pursue},
    sweep::{Servers, Sweep},
};
use tokio::{net::TcpListener, sync::Mutex};

const CLUSTER: &str = "prod";

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
/// Namespaces whose servers may have roles of the suite.
const ALLOWED: [&str; 7] = ["team", "taken-out", "taken", "killed", "revoked", "from-tools", "proven"];

struct Fixture {
    cluster: Arc<Cluster>,
    operator: Mutex<OperatorProcess>,
    _ministack: Emulator,
    eks: Eks,
    url: String,
}

impl Fixture {
    async fn new(cluster: Arc<Cluster>) -> Result<Self> {
        let ministack = Emulator::start(&Cache::from_env()?, Kind::MiniStack { enforce: false }).await?;
        let url = ministack.url().to_owned();
        ministack.make_cluster(CLUSTER).await?;
        let eks = eks(&url, CLUSTER).await;
        let key = || "test".to_owned();
        let settings = vec![
            ("MCP_EKS_CLUSTER_NAME", CLUSTER.to_owned()),
            // MiniStack shows at once what was written. Without an election nobody waits for the Lease of who was killed.
            ("MCP_EKS_IDENTITY_SETTLE_SECONDS", "2".to_owned()),
            ("MCP_EKS_LEADER_ELECT", "false".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_EKS", url.clone()),
            ("AWS_ACCESS_KEY_ID", key()),
            ("AWS_SECRET_ACCESS_KEY", key()),
        ];
        OperatorProcess::manifests(&cluster).await?;
        OperatorProcess::policies(&cluster).await?;
        objects::class(&cluster.client(), "aws", associated::class(&ALLOWED)).await?;
        let bin_dir = suite::bin_dir(BINARY);
        let operator = OperatorProcess::start_with(&cluster, &bin_dir, OPERATOR_NAMESPACE, settings).await?;
        Ok(Self { cluster, operator: Mutex::new(operator), _ministack: ministack, eks, url })
    }
}

/// EKS at a URL, with a key that MiniStack takes.
async fn eks(url: &str, cluster: &str) -> Eks {
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "suite"));
    Eks::new(cluster, &settings(url), Some(credentials)).await
}

fn settings(url: &str) -> Settings {
    Settings {
        cluster_name: Some(CLUSTER.to_owned()),
        aws_region: Some(REGION.to_owned()),
        eks_endpoint: Some(url.to_owned()),
        identity_settle_seconds: SETTLE.as_secs(),
        eks_requests_per_second: 50.try_into().unwrap(),
    }
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("an association is made, found by its key, changed in place and deleted", |f| life(f).boxed_local()),
        ("a session policy goes with session tags off, and comes off with a new association", |f| {
            policy(f).boxed_local()
        }),
        ("a change that EKS takes and does not make is told, not asked for again and again", |f| {
            ignored(f).boxed_local()
        }),
        ("what a deleted server left is swept, and what others made is not", |f| swept(f).boxed_local()),
        ("what others made is left alone, and the key is not taken twice", |f| foreign(f).boxed_local()),
        ("what is at rest is not asked for again", |f| rest(f).boxed_local()),
        ("what is not there has a class of its own, and so has a missing cluster", |f| missing(f).boxed_local()),
        ("throttling and broken answers are tried three times, refusals once, each with its class", |f| {
            faults(f).boxed_local()
        }),
        ("an answer that is cut off may have been a yes", |f| cut(f).boxed_local()),
        ("without credentials the operator says so, and sends nothing", |f| no_credentials(f).boxed_local()),
        ("pods wait for their association and start anew when it changes, and a restart writes nothing", |f| {
            associated::life(f).boxed_local()
        }),
        (
            "an identity taken out of the spec takes association and finalizer along, and without one there is neither",
            |f| associated::taken_out(f).boxed_local(),
        ),
        ("pods that lack their credentials are told and replaced once", |f| associated::proven(f).boxed_local()),
        ("what the pods may do follows the tools, and more than EKS takes is told", |f| {
            associated::from_tools(f).boxed_local()
        }),
        ("a role that no class allows is told, and costs no association", |f| associated::not_allowed(f).boxed_local()),
        (
            "a class that takes a role back takes the association, and stops the pods that had it, until it gives it again",
            |f| associated::revoked(f).boxed_local(),
        ),
        ("what scales the pods of a role that is taken back goes with them", |f| {
            associated::revoked_scaled(f).boxed_local()
        }),
        ("the association of others stalls the server, and no pod starts", |f| associated::foreign(f).boxed_local()),
        ("an operator that is killed in the middle leaves one association, then none", |f| {
            associated::killed(f).boxed_local()
        }),
    ];
    suite::run("suite-identity", Tier::Api, BINARY, Fixture::new, tests)
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/mcp/{name}")
}

fn grant(name: &str) -> Grant {
    Grant { role_arn: role(name), ..Grant::default() }
}

fn wish(name: &str, grant: Grant) -> Wish {
    let owner = Owner {
        cluster: CLUSTER.to_owned(),
        namespace: "team".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
    };
    let key = Key { namespace: owner.namespace.clone(), service_account: name.to_owned() };
    Wish { owner, key, grant, adopt: false }
}

/// Goes on until EKS shows what is wished. Returns it, and what was written on the way.
async fn have(aws: &dyn Associations, wish: &Wish) -> Result<(Association, Vec<Call>)> {
    let mut writes = Vec::new();
    for _ in 0..10 {
        match pursue(aws, Intent::Have(wish), &wish.key, &mut Memory::default()).await? {
            Outcome::Have(found) => return Ok((found, writes)),
            Outcome::Wrote(call, _) => writes.push(call),
            Outcome::Wait(_) => {}
            other => bail!("{other:?}"),
        }
    }
    bail!("no end, after {writes:?}")
}

/// Goes on until EKS shows nothing of it.
async fn lose(aws: &dyn Associations, wish: &Wish) -> Result<Vec<Call>> {
    let mut writes = Vec::new();
    for _ in 0..10 {
        match pursue(aws, Intent::Lose(&wish.owner, Late(true)), &wish.key, &mut Memory::default()).await? {
            Outcome::Gone => return Ok(writes),
            Outcome::Wrote(call, _) => writes.push(call),
            Outcome::Wait(_) => {}
            other => bail!("{other:?}"),
        }
    }
    bail!("no end, after {writes:?}")
}

async fn life(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let first = wish("life", grant("reader"));
    let (found, writes) = have(eks, &first).await?;
    ensure!(writes == [Call::Create], "{writes:?}");
    ensure!((&found.key, &found.grant, &found.tags) == (&first.key, &first.grant, &first.owner.tags()), "{found:?}");
    ensure!(found.arn.ends_with(&format!("podidentityassociation/{CLUSTER}/{}", found.id)), "{found:?}");
    ensure!((&found.owner_arn, &found.external_id) == (&None, &None), "{found:?}");
    let target = Some("arn:aws:iam::210987654321:role/target".to_owned());
    let next = Wish { grant: Grant { target_role_arn: target, ..grant("writer") }, ..first };
    let (changed, writes) = have(eks, &next).await?;
    ensure!(
        writes == [Call::Update] && changed.id == found.id && changed.grant == next.grant,
        "{writes:?} {changed:?}"
    );
    ensure!(changed.external_id.is_some(), "{changed:?}");
    let (again, writes) = have(eks, &next).await?;
    ensure!(writes.is_empty() && again == changed, "a second look writes nothing: {writes:?}");
    let writes = lose(eks, &next).await?;
    ensure!(writes == [Call::Delete], "{writes:?}");
    ensure!(eks.known(&next.key).await?.is_empty());
    Ok(())
}

async fn policy(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
    let limited = Grant { policy: Some(policy.to_owned()), disable_session_tags: true, ..grant("reader") };
    let plain = wish("policy", grant("reader"));
    let (before, _) = have(eks, &plain).await?;
    let (found, writes) = have(eks, &Wish { grant: limited.clone(), ..plain.clone() }).await?;
    ensure!(writes == [Call::Update] && found.grant == limited && found.id == before.id, "{writes:?} {found:?}");
    let (after, writes) = have(eks, &plain).await?;
    ensure!(writes == [Call::Delete, Call::Create] && after.id != before.id, "{writes:?} {after:?}");
    ensure!(after.grant == plain.grant);
    lose(eks, &plain).await.map(drop)
}

/// One namespace without a server.
struct Swept;

impl Servers for Swept {
    fn exists(&self, _: &Key) -> bool {
        false
    }

    fn watches(&self, namespace: &str) -> bool {
        namespace == "swept"
    }

    fn leads(&self) -> bool {
        true
    }
}

async fn swept(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let of = |name: &str| -> Wish {
        let owner = Owner { namespace: "swept".to_owned(), ..wish(name, grant("reader")).owner };
        let key = Key { namespace: "swept".to_owned(), service_account: name.to_owned() };
        Wish { owner, key, ..wish(name, grant("reader")) }
    };
    let (orphan, _) = have(eks, &of("orphan")).await?;
    let key = of("theirs").key;
    let theirs = New { key, grant: grant("admin"), tags: [].into(), token: "a-token-of-theirs".to_owned() };
    let theirs = eks.create(&theirs).await?;
    let mut sweep = Sweep::default();
    ensure!(sweep.round(eks, CLUSTER, &Swept).await?.is_empty(), "the first round deletes nothing");
    let deleted = sweep.round(eks, CLUSTER, &Swept).await?;
    ensure!(deleted == [orphan], "{deleted:?}");
    ensure!(sweep.round(eks, CLUSTER, &Swept).await?.is_empty());
    ensure!(eks.known(&of("orphan").key).await?.is_empty() && eks.describe(&theirs.id).await? == theirs);
    Ok(eks.delete(&theirs.id).await?)
}

async fn ignored(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let target = Some("arn:aws:iam::210987654321:role/target".to_owned());
    let wish = wish("ignored", Grant { target_role_arn: target, ..grant("reader") });
    have(eks, &wish).await?;
    // MiniStack 1.5.33 takes an empty target role, and leaves the target role as it is; EKS takes it off.
    let without = Wish { grant: grant("reader"), ..wish.clone() };
    let outcome = pursue(eks, Intent::Have(&without), &wish.key, &mut Memory::default()).await;
    let failure = outcome.err().context("MiniStack takes target roles off by now: expect it")?;
    ensure!((failure.call, failure.class) == (Call::Update, Class::Invalid), "{failure:?}");
    ensure!(failure.message.contains("does not change targetRoleArn"), "{failure}");
    lose(eks, &wish).await.map(drop)
}

async fn foreign(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let wish = wish("foreign", grant("reader"));
    let token = "a-token-of-somebody-else".to_owned();
    let theirs = New { key: wish.key.clone(), grant: grant("admin"), tags: [].into(), token };
    let made = eks.create(&theirs).await?;
    let outcome = pursue(eks, Intent::Have(&wish), &wish.key, &mut Memory::default()).await?;
    ensure!(outcome == Outcome::Stop(Foreign::Others { id: made.id.clone() }), "{outcome:?}");
    ensure!(lose(eks, &wish).await?.is_empty(), "something of others was written");
    ensure!(eks.describe(&made.id).await? == made);
    let second = eks.create(&New { token: "another-token".to_owned(), ..theirs }).await;
    ensure!(second.as_ref().is_err_and(|failure| failure.class == Class::InUse), "{second:?}");
    Ok(eks.delete(&made.id).await?)
}

async fn rest(fixture: &Fixture) -> Result<()> {
    let wish = wish("rest", grant("reader"));
    let cached = Cached::new(eks(&fixture.url, CLUSTER).await, SETTLE);
    let (made, _) = have(&fixture.eks, &wish).await?;
    let (found, writes) = have(&cached, &wish).await?;
    ensure!(writes.is_empty() && found == made, "{writes:?}");
    // Whoever asks again would see this.
    fixture.eks.update(&made.id, &Change { role_arn: Some(role("other")), ..Change::default() }).await?;
    let (found, _) = have(&cached, &wish).await?;
    ensure!(found == made, "EKS was asked again");
    let writes = lose(&cached, &wish).await?;
    ensure!(writes == [Call::Delete], "{writes:?}");
    Ok(())
}

async fn missing(fixture: &Fixture) -> Result<()> {
    let eks = &fixture.eks;
    let class = |outcome: Result<(), Failure>| outcome.err().map(|failure| failure.class);
    ensure!(class(eks.describe("a-0123456789abcdef").await.map(drop)) == Some(Class::NotFound));
    ensure!(class(eks.delete("a-0123456789abcdef").await) == Some(Class::NotFound));
    let elsewhere = self::eks(&fixture.url, "no-such-cluster").await;
    let failure = elsewhere.list(None, None).await.err().context("a cluster that is not there was listed")?;
    ensure!(failure.class == Class::NotFound && failure.message.contains("no-such-cluster"), "{failure}");
    Ok(())
}

/// An endpoint that always answers like this. Returns its URL, and how often it was asked.
async fn answering(status: StatusCode, code: &'static str) -> Result<(String, Arc<AtomicUsize>)> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let answer = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        let body = r#"{"message": "a reason of AWS"}"#;
        async move { (status, [("x-amzn-errortype", code), ("content-type", "application/json")], body).into_response() }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok((url, asked))
}

async fn faults(_: &Fixture) -> Result<()> {
    let cases = [
        (StatusCode::BAD_REQUEST, "ThrottlingException", Class::Throttled, 3),
        (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", Class::Throttled, 3),
        (StatusCode::INTERNAL_SERVER_ERROR, "ServerException", Class::Transient, 3),
        (StatusCode::BAD_GATEWAY, "", Class::Transient, 3),
        (StatusCode::FORBIDDEN, "AccessDeniedException", Class::Denied, 1),
        (StatusCode::FORBIDDEN, "UnrecognizedClientException", Class::NoCredentials, 1),
        (StatusCode::BAD_REQUEST, "InvalidParameterException", Class::Invalid, 1),
        (StatusCode::BAD_REQUEST, "ResourceLimitExceededException", Class::Limit, 1),
    ];
    for (status, code, class, times) in cases {
        let (url, asked) = answering(status, code).await?;
        let eks = eks(&url, CLUSTER).await;
        let wish = wish("faults", grant("reader"));
        let new = New { key: wish.key, grant: wish.grant, tags: [].into(), token: "a-token".to_owned() };
        let failure = eks.create(&new).await.err().context("it succeeded")?;
        ensure!(failure.class == class, "{status} {code}: {failure:?}");
        ensure!(failure.to_string().starts_with("CreatePodIdentityAssociation team/faults: "), "{failure}");
        ensure!(asked.load(Ordering::SeqCst) == times, "{code}: asked {asked:?} times");
    }
    Ok(())
}

async fn cut(_: &Fixture) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // The request is read, and then nothing.
            connection.readable().await?;
            drop(connection);
        }
        std::io::Result::Ok(())
    });
    let eks = eks(&url, CLUSTER).await;
    let deadline = Duration::from_secs(30);
    let failure = tokio::time::timeout(deadline, eks.delete("a-1")).await?.err().context("it succeeded")?;
    ensure!(failure.class == Class::Lost, "{failure:?}");
    let failure = tokio::time::timeout(deadline, eks.describe("a-1")).await?.err().context("it succeeded")?;
    ensure!(failure.class == Class::Transient, "{failure:?}");
    Ok(())
}

/// Where no credentials are found.
#[derive(Debug)]
struct Nowhere;

impl aws_credential_types::provider::ProvideCredentials for Nowhere {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentials<'a>
    where
        Self: 'a,
    {
        ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

async fn no_credentials(_: &Fixture) -> Result<()> {
    let (url, asked) = answering(StatusCode::OK, "").await?;
    let eks = Eks::new(CLUSTER, &settings(&url), Some(SharedCredentialsProvider::new(Nowhere))).await;
    let failure = eks.list(None, None).await.err().context("it succeeded")?;
    ensure!(failure.class == Class::NoCredentials && failure.message.contains("no credentials"), "{failure:?}");
    ensure!(asked.load(Ordering::SeqCst) == 0, "it was asked");
    Ok(())
}
