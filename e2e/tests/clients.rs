//! Real clients, none of them ours, list and call a tool of every bundled server: over HTTP, over stdio, and from a page in
//! a real browser. Servers are processes on loopback; there is no cluster.

#![allow(clippy::indexing_slicing, reason = "a test")]

#[path = "clients/alone.rs"]
mod alone;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use futures::{FutureExt, future::join_all};
use mcp_e2e::{
    cache::Cache,
    ministack::{self, Emulator, Kind},
    packages,
    progress::Progress,
    suite::{
        self, Test,
        clients::{Call, Client, Clients, Target},
        loopback::Server,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// A server as the clients meet it: a new one is a row of [`rows`].
struct Row {
    binary: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    call: Call,
    /// What the answer must contain.
    expected: &'static str,
}

struct Fixture {
    clients: Clients,
    servers: Vec<(Row, Server)>,
    directory: TempDir,
    ministack: Emulator,
}

fn rows(directory: &TempDir, ministack: &Emulator) -> Vec<Row> {
    let root = format!("--root=docs={}", directory.path().display());
    let call = |tool: &str, arguments: Value| Call { tool: tool.into(), arguments };
    vec![
        Row {
            binary: "mcp-demo",
            arguments: vec![],
            environment: vec![],
            call: call("wait", json!({"number": 1})),
            expected: "done",
        },
        Row {
            binary: "mcp-filesystem",
            arguments: vec![root],
            environment: vec![],
            call: call("list_directory", json!({"path": "/docs"})),
            expected: "hello.txt",
        },
        Row {
            binary: "mcp-database",
            arguments: vec!["--sqlite=:memory:".into()],
            environment: vec![],
            call: call("query", json!({"sql": "SELECT 41 + 1 AS answer"})),
            expected: "42",
        },
        Row {
            binary: "mcp-custom",
            arguments: vec![],
            environment: vec![],
            call: call(
                "convert_time",
                json!({"time": "2026-07-01T14:30", "source_timezone": "UTC", "target_timezone": "America/New_York"}),
            ),
            expected: "2026-07-01T10:30:00-04:00",
        },
        Row {
            binary: "mcp-aws",
            arguments: vec!["--region=us-west-2".into()],
            environment: [
                ("AWS_ENDPOINT_URL", ministack.url()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            call: call("aws_whoami", json!({})),
            expected: ministack::ACCOUNT,
        },
    ]
}

fn path(binary: &str) -> PathBuf {
    suite::bin_dir(BINARY).join(binary)
}

async fn prepare() -> Result<Fixture> {
    let cache = Cache::from_env()?;
    packages::ensure(&cache, packages::BROWSER, Progress::start()).await?;
    let clients = Clients::install(&cache).await?;
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("hello.txt"), "hello")?;
    let start = |row: Row| Ok((Server::start(&path(row.binary), &row.arguments, &row.environment)?, row));
    let ministack = Emulator::start(&cache, Kind::MiniStack { enforce: false }).await?;
    let servers = rows(&directory, &ministack).into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let servers = servers.into_iter().map(|(server, row)| (row, server)).collect();
    Ok(Fixture { clients, servers, directory, ministack })
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("the Python SDK 1 calls every server over HTTP", |f| http(f, Client::PythonV1).boxed_local()),
        ("the Python SDK 2 calls every server over HTTP", |f| http(f, Client::PythonV2).boxed_local()),
        ("the TypeScript SDK 1 calls every server over HTTP", |f| http(f, Client::TypeScriptV1).boxed_local()),
        ("the TypeScript SDK 2 calls every server over HTTP", |f| http(f, Client::TypeScriptV2).boxed_local()),
        ("the TypeScript SDK 2 as it is by default, too", |f| http(f, Client::TypeScriptV2Legacy).boxed_local()),
        ("the Inspector finds no fault in a list and calls over HTTP", |f| http(f, Client::Inspector).boxed_local()),
        ("the Python SDK 1 calls every server over stdio", |f| stdio(f, Client::PythonV1).boxed_local()),
        ("the Python SDK 2 calls every server over stdio", |f| stdio(f, Client::PythonV2).boxed_local()),
        ("the TypeScript SDK 1 calls every server over stdio", |f| stdio(f, Client::TypeScriptV1).boxed_local()),
        ("the TypeScript SDK 2 calls every server over stdio", |f| stdio(f, Client::TypeScriptV2).boxed_local()),
        ("the Inspector calls every server over stdio", |f| stdio(f, Client::Inspector).boxed_local()),
        ("the TypeScript SDK 2 reads prompts and resources, in both eras", |f| offer(f).boxed_local()),
        (
            "every server starts alone by the first command of its help, and a client by the configuration it prints",
            |f| alone::starts(f).boxed_local(),
        ),
        ("a page of an allowed origin calls, in both eras", |f| allowed_page(f).boxed_local()),
        ("a page of another origin cannot, in neither", |f| other_page(f).boxed_local()),
    ];
    suite::run_alone("suite-clients", prepare, tests)
}

async fn http(fixture: &Fixture, client: Client) -> Result<()> {
    every(fixture, client, |_, server| Target::Http(server.url().to_owned())).await
}

async fn stdio(fixture: &Fixture, client: Client) -> Result<()> {
    // Clients give a server they start few variables of their own: env(1) sets the others.
    let words = |row: &Row, _: &Server| {
        let variables = row.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let server = [path(row.binary).display().to_string(), "--stdio".to_owned()];
        Target::Stdio(
            std::iter::once("env".to_owned()).chain(variables).chain(server).chain(row.arguments.clone()).collect(),
        )
    };
    every(fixture, client, words).await
}

async fn every(fixture: &Fixture, client: Client, target: impl Fn(&Row, &Server) -> Target) -> Result<()> {
    let runs = fixture.servers.iter().map(|(row, server)| {
        let target = target(row, server);
        async move {
            let answer = fixture.clients.run(client, &row.call, &target).await;
            let answer = answer.with_context(|| format!("{client:?} with {} by {target:?}", row.binary))?;
            judge(row, &answer, client.revision()).with_context(|| format!("{client:?} saw {answer}"))
        }
    });
    join_all(runs).await.into_iter().collect()
}

fn judge(row: &Row, answer: &Value, revision: Option<&str>) -> Result<()> {
    if let Some(revision) = revision {
        ensure!(answer["protocol"] == revision, "expected revision {revision}");
        ensure!(answer["server"] == row.binary, "expected the server {}", row.binary);
    }
    let tools = answer["tools"].as_array().context("expected a list of tools")?;
    ensure!(
        tools.iter().any(|tool| *tool == row.call.tool.as_str()),
        "expected the tool {} in the list",
        row.call.tool
    );
    let result = &answer["result"];
    ensure!(result["isError"] != true, "expected a result without isError");
    for part in ["content", "structuredContent"] {
        ensure!(result[part].to_string().contains(row.expected), "expected {:?} in {part}", row.expected);
    }
    Ok(())
}

/// An origin nobody has: a name that only the browser resolves, and a port that is free.
fn origin(host: &str) -> Result<String> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(format!("http://{host}:{}", free.local_addr()?.port()))
}

fn filesystem(fixture: &Fixture, origins: &str) -> Result<(Row, Server)> {
    let row = rows(&fixture.directory, &fixture.ministack)
        .into_iter()
        .find(|row| row.binary == "mcp-filesystem")
        .context("no such row")?;
    let arguments: Vec<String> =
        row.arguments.iter().cloned().chain([format!("--allowed-origins={origins}")]).collect();
    let server = Server::start(&path(row.binary), &arguments, &row.environment)?;
    Ok((row, server))
}

async fn offer(fixture: &Fixture) -> Result<()> {
    let (_, server) = fixture.servers.iter().find(|(row, _)| row.binary == "mcp-demo").context("no such row")?;
    for (mode, revision) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let seen = fixture.clients.offer(mode, server.url()).await?;
        let expected = json!({
            "protocol": revision,
            "prompts": ["wait_for"],
            "messages": [
                {"role": "user", "content": {"type": "text", "text": "Wait 3 milliseconds"}},
                {"role": "assistant", "content": {"type": "text", "text": "How often?"}},
            ],
            "completion": ["milliseconds", "minutes"],
            "resources": ["demo://greeting", "demo://secret"],
            "templates": ["demo://floods/{bytes}", "demo://pixels/{color}"],
        });
        for (name, value) in expected.as_object().context("no object")? {
            ensure!(seen[name] == *value, "{mode}: expected {name} {value}, the SDK saw {seen}");
        }
        let blob = &seen["contents"][0];
        ensure!(blob["mimeType"] == "image/gif" && blob["blob"].is_string(), "{mode}: the SDK saw {seen}");
        ensure!(seen["missing"].to_string().contains("no pixel is green"), "{mode}: the SDK saw {seen}");
    }
    Ok(())
}

async fn allowed_page(fixture: &Fixture) -> Result<()> {
    let origin = origin("app.example.com")?;
    let (row, server) = filesystem(fixture, &origin)?;
    for (mode, revision) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let answer = fixture.clients.page(&origin, mode, &row.call, server.url()).await?;
        judge(&row, &answer, Some(revision)).with_context(|| format!("the page saw {answer}"))?;
    }
    Ok(())
}

async fn other_page(fixture: &Fixture) -> Result<()> {
    let origin = origin("other.example.com")?;
    let (row, server) = filesystem(fixture, "http://app.example.com")?;
    for mode in ["auto", "legacy"] {
        let answer = fixture.clients.page(&origin, mode, &row.call, server.url()).await?;
        let told = answer["error"].as_str().context("expected the page to fail")?;
        ensure!(told.contains("Failed to fetch"), "expected the browser to refuse, the page saw {answer}");
    }
    Ok(())
}
