//! MiniStack with something in it, moto with costs, and the server in front of both.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use mcp_e2e::{
    cache::Cache,
    install::repository,
    ministack::{ACCOUNT, Emulator, Kind, REGION},
    suite::{self, server::Server},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::front::Front;

/// The key whose requests MiniStack takes for those of the account's root.
pub(crate) const ROOT: (&str, &str) = ("test", "test");
/// A model that MiniStack knows.
pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";

pub(crate) struct Fixture {
    pub(crate) cache: Cache,
    pub(crate) moto: Emulator,
    pub(crate) ministack: Emulator,
    _front: Front,
    /// What was made in MiniStack.
    pub(crate) made: Value,
    /// The server, with every tool.
    pub(crate) server: Server,
}

impl Fixture {
    pub(crate) async fn new() -> Result<Self> {
        let cache = Cache::from_env()?;
        let (ministack, moto) = tokio::try_join!(
            Emulator::start(&cache, Kind::MiniStack { enforce: false }),
            Emulator::start(&cache, Kind::Moto)
        )?;
        let made = fill(&ministack).await?;
        costs(&moto).await?;
        let front = Front::of(&ministack, None).await?;
        let server = server(&front.url, moto.url(), ROOT, &[]).await?;
        Ok(Self { cache, moto, ministack, _front: front, made, server })
    }

    /// The id of something that was made.
    pub(crate) fn id(&self, name: &str) -> &str {
        self.made[name].as_str().unwrap()
    }
}

/// Where cargo put the server.
pub(crate) fn binary() -> PathBuf {
    suite::bin_dir(env!("CARGO_BIN_EXE_mcp-e2e")).join("mcp-aws")
}

/// The server with every tool on, and these arguments more; costs are moto's.
pub(crate) async fn server(url: &str, moto: &str, key: (&str, &str), more: &[&str]) -> Result<Server> {
    server_to(url, moto, key, more, Stdio::null()).await
}

/// The same with its audit records somewhere.
pub(crate) async fn server_to(
    url: &str,
    moto: &str,
    (key, secret): (&str, &str),
    more: &[&str],
    stdout: impl Into<Stdio>,
) -> Result<Server> {
    let models = format!("--bedrock-models={MODEL}");
    let mut arguments = vec!["--writes=allow", "--sensitive=allow", &models, "--bedrock-max-tokens=100"];
    arguments.extend(more);
    if !more.iter().any(|argument| argument.starts_with("--log=")) {
        arguments.push("--log=debug");
    }
    let environment = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ENDPOINT_URL_COST_EXPLORER", moto),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    Server::start_to(&binary(), &arguments, &environment, stdout).await
}

/// Makes what the tools look at, through botocore.
pub(crate) async fn fill(ministack: &Emulator) -> Result<Value> {
    let script = repository().join("e2e/emulators/fixtures.py");
    let mut command = Command::new(ministack.python());
    command.arg(script).args([ministack.url(), ROOT.0, ROOT.1]).kill_on_drop(true);
    let output = command.output().await.context("start fixtures.py")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "fixtures.py: {said}\nMiniStack says:\n{}", ministack.log());
    serde_json::from_slice(&output.stdout).context("fixtures.py printed no JSON")
}

/// Moto answers with the costs it was given.
pub(crate) async fn costs(moto: &Emulator) -> Result<()> {
    let cost = |amount: &str| json!({"UnblendedCost": {"Amount": amount, "Unit": "USD"}});
    let results = json!({"results": [{
        "ResultsByTime": [{
            "TimePeriod": {"Start": "2026-11-01", "End": "2026-12-01"},
            "Estimated": true,
            "Total": {},
            "Groups": [
                {"Keys": ["Amazon Elastic Compute Cloud - Compute"], "Metrics": cost("12.5")},
                {"Keys": ["Amazon Relational Database Service"], "Metrics": cost("7.25")},
            ],
        }],
        "DimensionValueAttributes": [],
    }]});
    let url = format!("{}/moto-api/static/ce/cost-and-usage-results", moto.url());
    // As often as the suite asks, and some more: moto gives each answer away once.
    for _ in 0..10 {
        let answer = reqwest::Client::new().post(&url).json(&results).send().await?;
        ensure!(answer.status().is_success(), "moto did not take the costs of {ACCOUNT}: {}", answer.status());
    }
    Ok(())
}
