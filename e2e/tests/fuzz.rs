//! Ten thousand random calls at the servers that ship. Whatever comes, the answer is one of the protocol's, no tool panics,
//! and the server goes on. The calls are the same in every run (`calls/mod.rs`), so what fails fails again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod calls;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use calls::{Calls, Sent};
use futures::{FutureExt, StreamExt, stream};
use mcp_e2e::suite::{self, Test, server::Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// At each of the four servers.
const CALLS: usize = 2500;
/// Under way at once.
const CROWD: usize = 16;

struct Fixture {
    directory: TempDir,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("2,500 random calls leave the Filesystem server standing", |f| filesystem(f).boxed_local()),
        ("2,500 random calls leave the Database server standing", |_| database().boxed_local()),
        ("2,500 random calls leave the Custom server standing", |_| custom().boxed_local()),
        ("2,500 random calls leave the AWS server standing, though AWS is away", |_| aws().boxed_local()),
    ];
    suite::run_alone("suite-fuzz", async || Ok(Fixture { directory: tempfile::tempdir()? }), tests)
}

fn binary(name: &str) -> PathBuf {
    suite::bin_dir(env!("CARGO_BIN_EXE_mcp-e2e")).join(name)
}

async fn filesystem(f: &Fixture) -> Result<()> {
    // Beside the root there is something to find and to break.
    let root = f.directory.path().join("root");
    std::fs::create_dir_all(root.join("a/b"))?;
    std::fs::write(root.join("a.txt"), "hello")?;
    std::fs::write(root.join(".env"), "PASSWORD=hunter2")?;
    std::fs::write(f.directory.path().join("secret.txt"), "hunter2")?;
    let root = format!("--writable-root=data={}", root.display());
    let server = Server::start(&binary("mcp-filesystem"), &[&root, "--writes=allow"], &[]).await?;
    fuzz(&server, ("list_directory", json!({"path": "/data"}))).await?;
    ensure!(std::fs::read_to_string(f.directory.path().join("secret.txt"))? == "hunter2");
    Ok(())
}

async fn database() -> Result<()> {
    let server = Server::start(&binary("mcp-database"), &["--sqlite=:memory:", "--writes=allow"], &[]).await?;
    fuzz(&server, ("list_tables", json!({}))).await
}

async fn custom() -> Result<()> {
    let server = Server::start(&binary("mcp-custom"), &["--weather=off", "--writes=allow"], &[]).await?;
    fuzz(&server, ("get_current_time", json!({}))).await
}

async fn aws() -> Result<()> {
    let arguments = ["--writes=allow", "--sensitive=allow", "--bedrock-models=amazon.nova-lite-v1:0"];
    let environment = [
        // Nobody listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let server = Server::start(&binary("mcp-aws"), &arguments, &environment).await?;
    thrown(&server).await?;
    let said = server.fails("aws_whoami", json!({})).await?;
    // By the breaker, or by one of its trials.
    ensure!(
        said.contains("sts us-west-2 failed several times in a row") || said.contains("AWS did not answer"),
        "{said}"
    );
    Ok(())
}

/// Throws the calls, then makes one that has to succeed.
async fn fuzz(server: &Server, (tool, arguments): (&str, Value)) -> Result<()> {
    thrown(server).await?;
    server.call(tool, arguments).await.map(drop)
}

async fn thrown(server: &Server) -> Result<()> {
    let tools: Vec<Value> = server.tools().await?.into_values().collect();
    let calls: Vec<Sent> = Calls::new(&tools).take(CALLS).collect();
    let answers = stream::iter(calls.iter().enumerate())
        .map(async |(number, sent)| thrown_one(server, sent).await.with_context(|| format!("call {number}: {sent:?}")));
    let answers: Vec<Result<u16>> = answers.buffer_unordered(CROWD).collect().await;
    let statuses = answers.into_iter().collect::<Result<Vec<u16>>>()?;
    let good = statuses.iter().filter(|status| **status == 200).count();
    // Else it was all refused at the door, and no tool was tried.
    ensure!(good > CALLS / 3, "{good} of {CALLS} were answered with 200");
    let metrics = server.metrics().await?;
    let panicked: Vec<&str> = metrics.lines().filter(|line| line.contains("outcome=\"panic\"")).collect();
    ensure!(panicked.is_empty(), "{panicked:?}\n{}", server.log());
    ensure!(!server.log().contains("hunter2"), "a secret was logged");
    println!("{CALLS} calls: {good} answered with 200, {} refused", CALLS - good);
    Ok(())
}

/// Sends it; the status, if the answer is one that may be.
async fn thrown_one(server: &Server, sent: &Sent) -> Result<u16> {
    let answer = server.raw(&sent.headers, sent.body.clone()).await?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let body = answer.text().await?;
    ensure!((200..500).contains(&status), "{status}: {body}");
    ensure!(!body.contains("hunter2"), "a secret was told: {body}");
    if kind.starts_with("application/json") {
        let read: Value = serde_json::from_str(&body).with_context(|| format!("{status}: {body}"))?;
        for one in read.as_array().map_or(std::slice::from_ref(&read), Vec::as_slice) {
            let (result, error) = (one.get("result").is_some(), one.get("error").is_some());
            ensure!(one["jsonrpc"] == "2.0" && result != error, "{status}: {body}");
        }
    }
    Ok(status)
}
