//! A real server process and a plain HTTP client, for tests of this crate and (by path) of the servers.
//!
//! The client is its own few lines because the tests send what no library would: no Accept, two Hosts, half a request.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]
#![allow(clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "clippy takes this for no test")]

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// Bounds a wait that only a defect makes long.
const PATIENCE: Duration = Duration::from_mins(1);
/// The most bytes that a structured result has.
const BUDGET: usize = 64 * 1024;

/// The test crate that runs the others' tests without the direct way to tools.
const WAY: Option<&str> =
    if matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"by_rmcp") { Some("--no-direct-path") } else { None };

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub health: SocketAddr,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl Server {
    /// Starts a binary on free ports and waits until it says that it is ready.
    pub fn start(binary: &str, arguments: &[&str]) -> Self {
        Self::start_to(binary, arguments, Stdio::null())
    }

    /// The same with its audit records somewhere.
    pub fn start_to(binary: &str, arguments: &[&str], stdout: impl Into<Stdio>) -> Self {
        let mut child = Command::new(binary)
            .args(["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", "--log-format=json"])
            .args(WAY)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{binary} does not start: {error}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said.push_str(&line);
            let line: Value = serde_json::from_str(&line).ok()?;
            let address = |name: &str| line[name].as_str()?.parse().ok();
            Some((address("address")?, address("health")?))
        });
        let Some((address, health)) = ready else { panic!("{binary} did not become ready: {said}") };
        // Goes on reading, so that the server never waits for somebody to read its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, health }
    }

    /// A line of the process's status in Linux, for example `VmHWM`, in KiB.
    pub fn kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end of the process.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end within {PATIENCE:?}");
    }

    /// Posts a body to `/mcp` with exactly these headers besides Content-Length and Connection.
    pub fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = String::from("POST /mcp HTTP/1.1\r\n");
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        exchange(self.address, &[request.as_bytes(), body].concat())
    }

    /// Posts JSON with the usual headers and these.
    pub fn post(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        let usual = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let headers: Vec<_> = usual
            .iter()
            .filter(|(name, _)| !headers.iter().any(|(own, _)| own == name))
            .chain(headers)
            .copied()
            .collect();
        self.send(&headers, body.to_string().as_bytes())
    }

    /// A request of the stateless era (2026-07-28), with its headers and `_meta`.
    pub fn modern(&self, method: &str, name: Option<&str>, mut params: Value) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(name.map(|name| ("mcp-name", name)));
        self.post(&headers, &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    /// Calls a tool; answers with its result.
    pub fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
        let mut answer = answer.json();
        assert_eq!(answer["error"], Value::Null, "{tool}");
        answer["result"].take()
    }

    /// Calls a tool that succeeds; answers with its structured result, which keeps to what `tools` declare.
    pub fn succeeds(&self, tools: &Value, tool: &str, arguments: Value) -> Value {
        let mut result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{tool}: {result}");
        let declared = &tools.as_array().unwrap().iter().find(|one| one["name"] == tool).unwrap()["outputSchema"];
        let validator = jsonschema::validator_for(declared).unwrap();
        let structured = result["structuredContent"].take();
        let problems: Vec<String> = validator.iter_errors(&structured).map(|error| error.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new(), "{tool}: {structured}");
        for name in structured.as_object().unwrap().keys() {
            assert!(declared["properties"].as_object().unwrap().contains_key(name), "{tool} does not declare {name}");
        }
        assert!(structured.to_string().len() <= BUDGET, "{tool} is over its budget");
        structured
    }

    pub fn tools(&self) -> Value {
        let answer = self.post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
        answer.json()["result"]["tools"].take()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a failed tool call.
pub fn error_of(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

/// Gets a path under a host name that is on no list.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: any.name.example\r\nconnection: close\r\n\r\n");
    exchange(address, request.as_bytes())
}

/// Sends bytes and reads until the server closes.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    read_answer(stream)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { dechunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_ascii_lowercase(), body }
}

fn dechunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let (chunk, next) = after.split_at(size.min(after.len()));
        body.push_str(chunk);
        rest = next.strip_prefix("\r\n").unwrap_or_default();
    }
    body
}
