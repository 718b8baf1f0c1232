//! Real clients that nobody here wrote: installed once from their registry, pinned by hash.
//!
//! In: a server (its URL, or the command that starts it over stdio) and one call. Out: what the client saw, in one form for
//! all: `{"protocol", "server", "tools", "result"}`.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    cache::Cache,
    install::{output, repository},
    node::Packages,
    python::environment,
};

const FILES: &str = "e2e/clients";
const INSPECTOR: &str = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";

/// A client, and the era it is told to speak where it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The official Python SDK, 1.x.
    PythonV1,
    /// The official Python SDK, 2.x, which negotiates.
    PythonV2,
    /// The official TypeScript SDK, 1.x.
    TypeScriptV1,
    /// The official TypeScript SDK, 2.x, as it is by default: a client of the 2025 revisions.
    TypeScriptV2Legacy,
    /// The same, negotiating.
    TypeScriptV2,
    /// The command line of the MCP Inspector. It lists in the legacy era with `--strict`, and calls in the modern one.
    Inspector,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PythonV1,
        Self::PythonV2,
        Self::TypeScriptV1,
        Self::TypeScriptV2Legacy,
        Self::TypeScriptV2,
        Self::Inspector,
    ];

    /// The revision it must have come to with a server that speaks all.
    #[must_use]
    pub const fn revision(self) -> Option<&'static str> {
        match self {
            Self::PythonV1 | Self::TypeScriptV1 | Self::TypeScriptV2Legacy => Some("2025-11-25"),
            Self::PythonV2 | Self::TypeScriptV2 => Some("2026-07-28"),
            // It does not say.
            Self::Inspector => None,
        }
    }
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Target {
    /// At a URL.
    Http(String),
    /// By starting a command.
    Stdio(Vec<String>),
}

impl Target {
    fn words(&self) -> &[String] {
        match self {
            Self::Http(url) => std::slice::from_ref(url),
            Self::Stdio(words) => words,
        }
    }
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// Its arguments, an object.
    pub arguments: Value,
}

/// All clients, installed.
#[derive(Clone, Debug)]
pub struct Clients {
    python_v1: PathBuf,
    python_v2: PathBuf,
    node: Packages,
}

impl Clients {
    /// Installs them, unless they are there.
    pub async fn install(cache: &Cache) -> Result<Self> {
        let python_v1 = environment(cache, "clients-v1", "e2e/clients/python-v1/requirements.txt").await?;
        let python_v2 = python_v2(cache).await?;
        let node = Packages::install(cache, "clients", "e2e/clients/node").await?;
        Ok(Self { python_v1, python_v2, node })
    }

    /// Lists a server's tools and calls one with this client.
    pub async fn run(&self, client: Client, call: &Call, target: &Target) -> Result<Value> {
        let arguments = call.arguments.to_string();
        let mut command = match client {
            Client::PythonV1 => python(&self.python_v1, "python-v1", &call.tool, &arguments),
            Client::PythonV2 => python(&self.python_v2, "python-v2", &call.tool, &arguments),
            Client::TypeScriptV1 => self.script("v1.cjs", &[&call.tool, &arguments]),
            Client::TypeScriptV2Legacy => self.script("v2.cjs", &["legacy", &call.tool, &arguments]),
            Client::TypeScriptV2 => self.script("v2.cjs", &["auto", &call.tool, &arguments]),
            Client::Inspector => return self.inspector(call, target).await,
        };
        read(command.args(target.words())).await
    }

    /// The same from a page of this origin in a real browser, which resolves the origin's name to this machine. What kept
    /// the page from it is in `error`.
    pub async fn page(&self, origin: &str, mode: &str, call: &Call, url: &str) -> Result<Value> {
        read(&mut self.script("page.cjs", &[origin, mode, &call.tool, &call.arguments.to_string(), url])).await
    }

    /// Reads the prompts and resources of mcp-demo at `url` with the TypeScript SDK 2.x, legacy or auto.
    pub async fn offer(&self, mode: &str, url: &str) -> Result<Value> {
        read(&mut self.script("offer.cjs", &[mode, url])).await
    }

    fn script(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.node.run(&repository().join(FILES).join("node").join(name));
        command.args(words);
        command
    }

    async fn inspector(&self, call: &Call, target: &Target) -> Result<Value> {
        let arguments = call.arguments.to_string();
        let list = ["--method", "tools/list", "--strict", "--protocol-era", "legacy"];
        let listed = read(self.inspecting(target).args(list).args(last(target))).await?;
        let ask = ["--method", "tools/call", "--tool-name", &call.tool, "--tool-args-json", &arguments];
        let called =
            read(self.inspecting(target).args(ask).args(["--protocol-era", "modern"]).args(last(target))).await?;
        let tools =
            listed.pointer("/result/tools").and_then(Value::as_array).context("the Inspector lists no tools")?;
        let names: Vec<&Value> = tools.iter().filter_map(|tool| tool.get("name")).collect();
        let result = called.get("result").context("the Inspector shows no result")?;
        Ok(json!({"protocol": null, "server": null, "tools": names, "result": result}))
    }

    fn inspecting(&self, target: &Target) -> Command {
        let mut command = self.node.run(&self.node.modules().join(INSPECTOR));
        // It keeps files in its user's home.
        command.env("HOME", self.node.home()).args(["--cli", "--format", "json", "--quiet"]);
        if let Target::Http(url) = target {
            command.args(["--transport", "http", "--server-url", url]);
        }
        command
    }
}

/// A call by a client that has to show a token first and may be asked for consent.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// `auto` or `legacy`.
    pub mode: &'a str,
    /// Where the server is.
    pub url: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// Its arguments, as JSON.
    pub arguments: &'a str,
    /// What the person says when asked: `accept` or `decline`.
    pub says: &'a str,
    /// The one issuer the secret may be sent to, or `-` for a client without one.
    pub issuer: &'a str,
    /// The client at the issuer.
    pub client: &'a str,
    /// Its secret.
    pub secret: &'a str,
    /// The scopes it asks for.
    pub scope: &'a str,
}

/// Makes such a call with the TypeScript SDK 2.x: `{"tools", "asked", "result"}`, or what kept it from that in `error`.
pub async fn door(cache: &Cache, door: &Door<'_>) -> Result<Value> {
    let node = Packages::install(cache, "clients", "e2e/clients/node").await?;
    let Door { mode, url, tool, arguments, says, issuer, client, secret, scope } = *door;
    let mut command = node.run(&repository().join(FILES).join("node/door.cjs"));
    read(command.args([mode, url, tool, arguments, says, issuer, client, secret, scope])).await
}

/// The server's own command line comes last, after two dashes.
fn last(target: &Target) -> Vec<&str> {
    match target {
        Target::Http(_) => Vec::new(),
        Target::Stdio(words) => {
            let mut words = words.iter().map(String::as_str);
            words.next().into_iter().chain(["--"]).chain(words).collect()
        }
    }
}

/// Connects the official Python SDK to a server at `address`, lists its tools and calls one.
///
/// Returns what its script prints. The host has no cluster DNS: the client calls by address.
pub async fn call(cache: &Cache, url: &str, address: SocketAddr, tool: &str, arguments: &Value) -> Result<Value> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let by_address = format!("http://{address}{}", uri.path());
    read(python(&python_v2(cache).await?, "python-v2", tool, &arguments.to_string()).arg(by_address)).await
}

async fn python_v2(cache: &Cache) -> Result<PathBuf> {
    environment(cache, "clients", "e2e/clients/python-v2/requirements.txt").await
}

fn python(environment: &std::path::Path, directory: &str, tool: &str, arguments: &str) -> Command {
    let mut command = Command::new(environment.join("bin/python"));
    command.arg(repository().join(FILES).join(directory).join("list_and_call.py"));
    command.args(["--tool", tool, "--arguments", arguments]);
    command
}

/// Runs a client to its end and reads the JSON it prints.
async fn read(command: &mut Command) -> Result<Value> {
    let text = output(command.kill_on_drop(true)).await?;
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("the client printed {text:?}"))?;
    ensure!(answer.is_object(), "the client printed {text:?}, expected an object");
    Ok(answer)
}
