//! Breakers, counters, sentences, and what must not be there.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use axum::{Router, extract::State, http::StatusCode};
use mcp_aws_policy::{Kind, TOOLS};
use mcp_e2e::{ministack::REGION, suite::server::Server};
use serde_json::json;

use crate::fixture::{Fixture, ROOT, binary, server};

pub(crate) async fn counted(f: &Fixture) -> Result<()> {
    f.server.call("ec2_list_instances", json!({"region": "eu-west-1"})).await?;
    let metrics = f.server.metrics().await?;
    let series = |line: &&str| {
        line.starts_with("mcp_aws_call_duration_seconds_count")
            && ["service=\"ec2\"", "operation=\"DescribeInstances\"", "region=\"eu-west-1\""]
                .iter()
                .all(|it| line.contains(it))
    };
    let count = metrics.lines().find(series).and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    ensure!(count.is_some_and(|count| count > 0), "{metrics}");
    Ok(())
}

/// An upstream that answers every request with this status and counts them.
async fn answering(status: StatusCode, body: &'static str) -> Result<(SocketAddr, Arc<AtomicUsize>)> {
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |State(count): State<Arc<AtomicUsize>>| async move {
        count.fetch_add(1, Ordering::SeqCst);
        (status, body)
    };
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&count));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((address, count))
}

pub(crate) async fn breaker(f: &Fixture) -> Result<()> {
    let (address, asked) = answering(StatusCode::INTERNAL_SERVER_ERROR, "").await?;
    let failing = server(&format!("http://{address}"), f.moto.url(), ROOT, &[]).await?;
    let cluster = json!({"cluster": "shop"});
    for _ in 0..5 {
        let error = failing.fails("ecs_describe_cluster", cluster.clone()).await?;
        ensure!(error.contains("AWS did not answer ecs:DescribeClusters in us-west-2"), "{error}");
    }
    let before = asked.load(Ordering::SeqCst);
    ensure!(before >= 15, "a read is tried three times: {before} requests for five calls");
    let start = Instant::now();
    let error = failing.fails("ecs_describe_cluster", cluster.clone()).await?;
    ensure!(error.contains("ecs us-west-2 failed several times in a row"), "{error}");
    ensure!(asked.load(Ordering::SeqCst) == before, "an open breaker lets nothing through");
    ensure!(start.elapsed() < Duration::from_secs(2), "it fails at once: {:?}", start.elapsed());
    // Another tool of the same service and region is behind the same breaker, before it changes anything.
    let update = json!({"cluster": "shop", "service": "web", "desired_count": 9});
    ensure!(failing.fails("ecs_update_service", update).await?.contains("ecs us-west-2 failed several times"));
    // Other regions and services are not.
    let error = failing.fails("ecs_describe_cluster", json!({"cluster": "shop", "region": "eu-west-1"})).await?;
    ensure!(error.contains("AWS did not answer"), "{error}");
    ensure!(failing.fails("eks_list_clusters", json!({})).await?.contains("AWS did not answer"));
    let metrics = failing.metrics().await?;
    ensure!(
        metrics
            .lines()
            .any(|line| line.starts_with("mcp_breaker_open") && line.contains("ecs us-west-2") && line.ends_with(" 1")),
        "{metrics}"
    );
    // A refusal is an answer: it opens nothing.
    for _ in 0..7 {
        let error = f.server.fails("ecs_describe_cluster", json!({"cluster": "none"})).await?;
        ensure!(error.contains("not found"), "{error}");
    }
    // Nobody listens there at all.
    let refusing = server("http://127.0.0.1:1", f.moto.url(), ROOT, &[]).await?;
    ensure!(refusing.fails("ecs_describe_cluster", cluster).await?.contains("AWS did not answer"));
    Ok(())
}

pub(crate) async fn sentences(f: &Fixture) -> Result<()> {
    let throttled = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let expired =
        r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    let unknown = r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#;
    for (body, told) in [
        (throttled, "AWS throttles ecs:DescribeClusters in us-west-2, also after waiting"),
        (expired, "they have expired or are not known; renew them"),
        (unknown, "they have expired or are not known; renew them"),
    ] {
        let (address, _) = answering(StatusCode::BAD_REQUEST, body).await?;
        let key = ("AKIAEXAMPLEEXAMPLE00", "secret/must+not/be+logged");
        let failing = server(&format!("http://{address}"), f.moto.url(), key, &["--log=trace"]).await?;
        let error = failing.fails("ecs_describe_cluster", json!({"cluster": "shop"})).await?;
        ensure!(error.contains(told), "{error}");
        let log = failing.log();
        ensure!(!log.contains("secret/must") && !log.contains("AWS4-HMAC-SHA256 Credential"), "{log}");
        if body == throttled {
            let metrics = failing.metrics().await?;
            let line = metrics
                .lines()
                .find(|line| line.starts_with("mcp_aws_throttled_total") && line.contains("DescribeClusters"));
            let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
            ensure!(
                count.is_some_and(|count| (2..=3).contains(&count)),
                "it was tried again, and at most twice: {line:?}"
            );
        }
    }
    let without = [("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")];
    let bare = Server::start(&binary(), &[], &without).await?;
    let error = bare.fails("aws_whoami", json!({})).await?;
    ensure!(error.contains("there are no AWS credentials: looked in the environment"), "{error}");
    let nowhere =
        Server::start(&binary(), &[], &[("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")]).await?;
    let error = nowhere.fails("aws_whoami", json!({})).await?;
    ensure!(error.contains("no region is known"), "{error}");
    for region in ["us-west-2.evil.example", "us-west-2/", "../us-west-2", "127.0.0.1", "us-west-2#", "US-WEST-2"] {
        let error = f.server.fails("aws_whoami", json!({"region": region})).await?;
        ensure!(error.contains("region: expected a name such as us-west-2"), "{region}: {error}");
    }
    let error = f.server.fails("ec2_describe_instance", json!({"instance_id": "i-1", "region": "all"})).await?;
    ensure!(error.contains("is for lists of resources"), "{error}");
    Ok(())
}

pub(crate) async fn off(f: &Fixture) -> Result<()> {
    let environment = [("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
    let plain = Server::start(&binary(), &[], &environment).await?;
    let listed: Vec<String> = plain.tools().await?.into_keys().collect();
    let reads: Vec<&str> = TOOLS.iter().filter(|tool| tool.kind == Kind::Read).map(|tool| tool.name).collect();
    ensure!(listed == reads, "{listed:?}");
    for tool in TOOLS.iter().filter(|tool| tool.kind != Kind::Read) {
        let answer = plain.rpc("tools/call", json!({"name": tool.name, "arguments": {}})).await?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        ensure!(message.contains(tool.name) && answer["result"].is_null(), "{}: {answer}", tool.name);
    }
    // The list of the settings holds on the call too, whatever the spelling.
    let narrow = Server::start(&binary(), &["--allow-tools=aws_whoami,logs_query"], &environment).await?;
    let names: Vec<String> = narrow.tools().await?.into_keys().collect();
    ensure!(names == ["aws_whoami", "logs_query"], "a sensitive tool that is named is there: {names:?}");
    for name in
        ["ec2_list_instances", "s3_get_object", "AWS_WHOAMI", "aws_whoami ", "aws-whoami", "aws_whoami\u{0}", ""]
    {
        let answer = narrow.rpc("tools/call", json!({"name": name, "arguments": {}})).await?;
        ensure!(answer["result"].is_null() && answer["error"].is_object(), "{name:?}: {answer}");
    }
    let all = f.server.tools().await?;
    ensure!(all.len() == TOOLS.len(), "{:?}", all.keys());
    Ok(())
}
