//! A bundled server as a process, and the few lines of MCP that suites speak to it.
//!
//! In: a binary, its arguments and environment. Out: tools/list, results of tools/call (each validated against the output
//! schema of its tool), the metrics. Ends with the suite.

#![allow(clippy::indexing_slicing, reason = "an index into a JSON value finds null where nothing is")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Time to become ready, and for one answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: String,
    health: String,
    client: reqwest::Client,
    log: Arc<Mutex<String>>,
    _process: Child,
}

impl Server {
    /// Starts `binary` on free ports of loopback with these arguments; of the environment it sees these variables alone.
    pub async fn start(binary: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_to(binary, arguments, environment, Stdio::null()).await
    }

    /// The same with its audit records somewhere.
    pub async fn start_to(
        binary: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stdout: impl Into<Stdio>,
    ) -> Result<Self> {
        let mut process = Command::new(binary)
            .args(["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", "--log-format=json"])
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            // Where `make coverage` counts.
            .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!("start {}; `make test` and `cargo build --workspace` build it", binary.display())
            })?;
        let stderr = process.stderr.take().context("the server has no stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let keep = |line: &str| {
            log.lock().is_ok_and(|mut log| {
                log.push_str(line);
                log.push('\n');
                true
            })
        };
        let ready = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                keep(&line);
                let read: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some(address), Some(health)) = (read["address"].as_str(), read["health"].as_str()) {
                    return anyhow::Ok(Some((address.to_owned(), health.to_owned())));
                }
            }
            Ok(None)
        });
        let Some((address, health)) = ready.await.context("the server did not become ready")?? else {
            bail!(
                "{} ended before it was ready:\n{}",
                binary.display(),
                log.lock().map(|it| it.clone()).unwrap_or_default()
            );
        };
        let rest = Arc::clone(&log);
        // Goes on reading, so that the server never waits for somebody to read its log.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(mut log) = rest.lock() {
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        // A connection that the server closes for being idle must not be taken again in that moment.
        let client = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(0).build()?;
        Ok(Self { address, health, client, log, _process: process })
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Sends one request of JSON-RPC; gives the whole answer back.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self.client.post(format!("http://{}/mcp", self.address)).json(&body);
        let answer = request.header("accept", "application/json, text/event-stream").send().await?;
        answer.json().await.with_context(|| format!("{method}: the answer is no JSON"))
    }

    /// Sends a body as it is, under these headers and no other.
    pub async fn raw(&self, headers: &[(&str, String)], body: Vec<u8>) -> Result<reqwest::Response> {
        let mut request = self.client.post(format!("http://{}/mcp", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.context("there is no answer")
    }

    /// The tools, by name.
    pub async fn tools(&self) -> Result<BTreeMap<String, Value>> {
        let mut answer = self.rpc("tools/list", json!({})).await?;
        let Value::Array(tools) = answer["result"]["tools"].take() else { bail!("no tools: {answer}") };
        Ok(tools.into_iter().map(|tool| (tool["name"].as_str().unwrap_or_default().to_owned(), tool)).collect())
    }

    /// Calls a tool; its result, be it an error of the tool.
    pub async fn result(&self, tool: &str, arguments: Value) -> Result<Value> {
        let mut answer = self.rpc("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        ensure!(answer["error"].is_null(), "{tool}: {answer}");
        Ok(answer["result"].take())
    }

    /// Calls a tool that must succeed; its structured result, which keeps to the tool's output schema.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value> {
        let shown = arguments.to_string();
        let mut result = self.result(tool, arguments).await?;
        ensure!(result["isError"] != true, "{tool} {shown}: {}", result["content"][0]["text"]);
        let structured = result["structuredContent"].take();
        let tools = self.tools().await?;
        let schema = &tools.get(tool).with_context(|| format!("{tool} is not listed"))?["outputSchema"];
        let validator = jsonschema::validator_for(schema).with_context(|| format!("the schema of {tool}"))?;
        let problems: Vec<String> = validator.iter_errors(&structured).map(|error| error.to_string()).collect();
        ensure!(problems.is_empty(), "{tool}: {problems:?} in {structured}");
        let declared = schema["properties"].as_object().context("the schema declares nothing")?;
        for name in structured.as_object().context("the result is no object")?.keys() {
            ensure!(declared.contains_key(name), "{tool} does not declare {name}");
        }
        Ok(structured)
    }

    /// Calls a tool that must fail; what it says.
    pub async fn fails(&self, tool: &str, arguments: Value) -> Result<String> {
        let shown = arguments.to_string();
        let result = self.result(tool, arguments).await?;
        ensure!(result["isError"] == true, "{tool} {shown} did not fail: {result}");
        Ok(result["content"][0]["text"].as_str().unwrap_or_default().to_owned())
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        Ok(self.client.get(format!("http://{}/metrics", self.health)).send().await?.text().await?)
    }
}
