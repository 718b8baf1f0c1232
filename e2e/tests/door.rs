//! The door with a real issuer and a real client, neither of them ours: the official TypeScript SDK finds the issuer by the
//! challenge and the metadata, gets its token from oidc-provider, and shows a person what a tool asks. There is no cluster.

#![allow(clippy::indexing_slicing, reason = "a test")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use mcp_e2e::{
    cache::Cache,
    suite::{
        self, Test,
        clients::{Door, door},
        issuer::Issuer,
        loopback::Server,
    },
};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
const AGENT: (&str, &str, &str) = ("agent", "agent-secret", "read write");
const READER: (&str, &str, &str) = ("reader", "reader-secret", "read");
const BOTH: [&str; 2] = ["auto", "legacy"];

struct Fixture {
    cache: Cache,
    issuer: Issuer,
    server: Server,
}

async fn prepare() -> Result<Fixture> {
    let cache = Cache::from_env()?;
    let issuer = Issuer::start(&cache, "read write").await?;
    // The server is told its own address, so its port cannot be left to the system.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    let address: SocketAddr = free.local_addr()?;
    drop(free);
    let arguments = [
        format!("--jwt-issuer={}", issuer.url()),
        format!("--resource-url=http://{address}/mcp"),
        // What clients ask for first; for more they come back when a tool needs it.
        "--jwt-scopes=read".to_owned(),
        "--writes=consent".to_owned(),
    ];
    let server = Server::start_at(address, &suite::bin_dir(BINARY).join("mcp-demo"), &arguments, &[])?;
    Ok(Fixture { cache, issuer, server })
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("a client finds the issuer by itself, and its token opens", |f| opens(f).boxed_local()),
        ("a client without a token stays outside", |f| outside(f).boxed_local()),
        ("a client with a wrong secret stays outside", |f| wrong_secret(f).boxed_local()),
        ("a client gets the scopes it needs, and no further than its own", |f| scopes(f).boxed_local()),
        ("a person is asked, and the tool runs when they agree", |f| agrees(f).boxed_local()),
        ("a person is asked, and the tool does not run when they do not", |f| declines(f).boxed_local()),
    ];
    suite::run_alone("suite-door", prepare, tests)
}

impl Fixture {
    async fn call(&self, mode: &str, tool: &str, says: &str, who: Option<(&str, &str, &str)>) -> Result<Value> {
        let issuer = who.map_or("-", |_| self.issuer.url());
        let (client, secret, scope) = who.unwrap_or_default();
        let arguments = r#"{"number": 1}"#;
        let url = self.server.url();
        door(&self.cache, &Door { mode, url, tool, arguments, says, issuer, client, secret, scope }).await
    }
}

fn done(answer: &Value) -> bool {
    answer["result"]["structuredContent"]["said"] == "done"
}

fn lists(answer: &Value, tool: &str) -> bool {
    answer["tools"].as_array().is_some_and(|tools| tools.iter().any(|listed| listed == tool))
}

async fn opens(fixture: &Fixture) -> Result<()> {
    for mode in BOTH {
        let answer = fixture.call(mode, "whoami", "accept", Some(AGENT)).await?;
        let expected = format!("{}#agent", fixture.issuer.url());
        ensure!(answer["result"]["structuredContent"]["said"] == expected.as_str(), "{mode}: {answer}");
    }
    Ok(())
}

async fn outside(fixture: &Fixture) -> Result<()> {
    for mode in BOTH {
        let answer = fixture.call(mode, "wait", "accept", None).await?;
        let told = answer["error"].as_str().with_context(|| format!("{mode}: expected an error, found {answer}"))?;
        ensure!(told.contains("HTTP 401") || told.contains("expected a token"), "{mode}: {told}");
    }
    Ok(())
}

async fn wrong_secret(fixture: &Fixture) -> Result<()> {
    let answer = fixture.call("auto", "wait", "accept", Some(("agent", "guessed", "read"))).await?;
    let told = answer["error"].as_str().with_context(|| format!("expected an error, found {answer}"))?;
    ensure!(told.contains("client authentication failed"), "{told}");
    Ok(())
}

async fn scopes(fixture: &Fixture) -> Result<()> {
    let answer = fixture.call("auto", "wait", "accept", Some(READER)).await?;
    ensure!(done(&answer) && lists(&answer, "wait") && !lists(&answer, "wipe"), "{answer}");
    // The SDK asks the issuer for the scopes that the challenge names, and the issuer says no.
    let answer = fixture.call("auto", "wipe", "accept", Some(READER)).await?;
    ensure!(answer["error"].is_string(), "expected an error, found {answer}");
    let answer = fixture.call("auto", "change", "accept", Some(AGENT)).await?;
    ensure!(done(&answer), "{answer}");
    Ok(())
}

async fn agrees(fixture: &Fixture) -> Result<()> {
    for (mode, question) in [("auto", "Shall it?"), ("legacy", "Nothing was done yet")] {
        let answer = fixture.call(mode, "wipe", "accept", Some(AGENT)).await?;
        let asked = answer["asked"].to_string();
        ensure!(asked.contains(question) && asked.contains("number"), "{mode}: {answer}");
        ensure!(done(&answer), "{mode}: {answer}");
    }
    Ok(())
}

async fn declines(fixture: &Fixture) -> Result<()> {
    for mode in BOTH {
        let answer = fixture.call(mode, "wipe", "decline", Some(AGENT)).await?;
        ensure!(answer["asked"].as_array().is_some_and(|asked| asked.len() == 1), "{mode}: {answer}");
        ensure!(answer["result"].is_object() && !done(&answer), "{mode}: {answer}");
    }
    Ok(())
}
