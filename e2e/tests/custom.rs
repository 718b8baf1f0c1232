//! The Custom server with its entries in a real Valkey or Redis: the behaviour of the other places, two servers on one
//! store, TLS, and a store that goes away.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../../mcp-servers/custom/tests/store/mod.rs"]
mod store;
#[path = "../../mcp-servers/kit/tests/support/mod.rs"]
mod support;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::{
    FutureExt,
    future::{LocalBoxFuture, ready},
};
use mcp_e2e::{
    cache::Cache,
    packages,
    progress::Progress,
    suite::{self, Test},
    valkey::Valkey,
};
use serde_json::{Value, json};
use support::{Server, error_of, get};
use tempfile::{NamedTempFile, TempDir};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
const PASSWORD: &str = "a-password-of-the-suite";

/// How long a breaker stays open.
const OPEN: Duration = Duration::from_mins(1);
/// Calls of an open breaker that are measured.
const CALLS: usize = 201;

/// What two tests share, so that the minute between them is that of the tests that lie there.
#[derive(Default)]
struct Fixture {
    broken: OnceLock<Broken>,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("five failures open the breaker, and then a call fails within a millisecond", |f| done(f, opens)),
        ("entries behave as in memory and on disk", |f| done(f, |_| behaves())),
        ("the oldest entries go first", |f| done(f, |_| oldest())),
        ("callers do not meet", |f| done(f, |_| callers())),
        ("two servers share their entries and count together", |f| done(f, |_| two_servers())),
        ("TLS is spoken, and a certificate nobody trusts is refused", |f| done(f, |_| tls())),
        ("a store that goes away is told, left alone and found again", |f| done(f, |_| away())),
        ("a URL that changes in its file is picked up", |f| done(f, |_| changed())),
        ("no answer and no log holds the password", |f| done(f, |_| password())),
        ("after a minute three trials close the breaker", |f| done(f, recovers)),
    ];
    suite::run_alone("suite-custom", prepare, tests)
}

/// The tests block, and fail by panicking.
fn done(fixture: &Fixture, test: fn(&Fixture)) -> LocalBoxFuture<'_, Result<()>> {
    test(fixture);
    ready(Ok(())).boxed_local()
}

async fn prepare() -> Result<Fixture> {
    let wanted: Vec<_> = packages::VALKEY.iter().chain(packages::NAMESPACES).copied().collect();
    packages::ensure(&Cache::from_env()?, &wanted, Progress::start()).await?;
    Ok(Fixture::default())
}

fn binary() -> String {
    suite::bin_dir(BINARY).join("mcp-custom").display().to_string()
}

/// A file with a URL, and what names it to a server.
struct Url {
    directory: TempDir,
    argument: String,
}

impl Url {
    fn of(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        std::fs::write(&file, format!("{url}\n")).unwrap();
        Self { argument: format!("--kv-valkey={}", file.display()), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("url")
    }
}

fn server(url: &Url, more: &[&str]) -> Server {
    let usual = ["--weather=off", "--kv=valkey", &url.argument];
    let arguments: Vec<&str> = usual.into_iter().chain(more.iter().copied()).collect();
    Server::start(&binary(), &arguments)
}

fn valkey() -> (Valkey, Url) {
    let valkey = Valkey::start(PASSWORD, None).unwrap();
    let url = Url::of(&valkey.url());
    (valkey, url)
}

fn behaves() {
    let (_valkey, url) = valkey();
    store::behaves(&server(&url, &[]));
}

fn oldest() {
    let (_valkey, url) = valkey();
    store::the_oldest_go_first(&server(&url, &["--kv-max-entries=5"]));
}

fn callers() {
    let (_valkey, url) = valkey();
    let keys = url.directory.path().join("keys.yaml");
    std::fs::write(&keys, store::keys()).unwrap();
    store::callers_do_not_meet(&server(&url, &[&format!("--api-keys={}", keys.display())]));
}

fn two_servers() {
    let (_valkey, url) = valkey();
    let servers = [server(&url, &[]), server(&url, &[])];
    servers[0].call("kv_set", json!({"key": "a", "value": "from the first"}));
    let seen = servers[1].call("kv_get", json!({"key": "a"}));
    assert_eq!(seen["structuredContent"]["value"], "from the first");
    thread::scope(|scope| {
        for number in 0..100 {
            let server = &servers[number % 2];
            scope.spawn(move || assert_eq!(server.call("kv_increment", json!({"key": "count"}))["isError"], false));
        }
    });
    let count = servers[0].call("kv_get", json!({"key": "count"}));
    assert_eq!(count["structuredContent"]["value"], "100");
}

fn tls() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let valkey = Valkey::start(PASSWORD, Some(directory.path())).unwrap();
    let url = Url::of(&valkey.url());

    let stranger = server(&url, &[]);
    assert!(error_of(&stranger.call("kv_get", json!({"key": "a"}))).contains("cannot be reached"));

    let trusting = trusting(&directory.path().join("cert.pem"), &url);
    assert_eq!(trusting.call("kv_set", json!({"key": "a", "value": "b"}))["isError"], false);
    assert_eq!(trusting.call("kv_get", json!({"key": "a"}))["structuredContent"]["value"], "b");
}

/// A server that trusts this certificate alone.
fn trusting(certificate: &Path, url: &Url) -> Server {
    let file = format!("SSL_CERT_FILE={}", certificate.display());
    let binary = binary();
    let script = url.directory.path().join("trusting");
    std::fs::write(&script, format!("#!/bin/sh\nexec env '{file}' '{binary}' \"$@\"\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    Server::start(&script.display().to_string(), &["--weather=off", "--kv=valkey", &url.argument])
}

/// A server whose store is gone, with its breaker open.
struct Broken {
    server: Server,
    audit: NamedTempFile,
    port: u16,
    /// Not before the breaker opened.
    since: Instant,
    _url: Url,
}

impl Broken {
    fn of(fixture: &Fixture) -> &Self {
        fixture.broken.get_or_init(Self::new)
    }

    fn new() -> Self {
        let (valkey, url) = valkey();
        let audit = NamedTempFile::new().unwrap();
        let arguments = ["--weather=off", "--kv=valkey", &url.argument];
        let server = Server::start_to(&binary(), &arguments, audit.reopen().unwrap());
        assert_eq!(server.call("kv_set", json!({"key": "a", "value": "b"}))["isError"], false);
        let port = valkey.port;
        drop(valkey);
        for number in 1..=5 {
            let failed = server.call("kv_get", json!({"key": "a"}));
            assert!(error_of(&failed).starts_with("the key-value store "), "failure {number}: {failed}");
        }
        Self { server, audit, port, since: Instant::now(), _url: url }
    }

    fn ask(&self) -> Value {
        self.server.call("kv_get", json!({"key": "a"}))
    }

    /// One of its metrics, by what stands before the value.
    fn metric(&self, name: &str) -> u64 {
        let metrics = get(self.server.health, "/metrics").body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
    }

    fn changes(&self, to: &str) -> u64 {
        self.metric(&format!(r#"mcp_breaker_changes_total{{upstream="key-value store",state="{to}"}}"#))
    }

    fn is_open(&self) -> bool {
        self.metric(r#"mcp_breaker_open{upstream="key-value store"}"#) == 1
    }
}

fn opens(fixture: &Fixture) {
    let broken = Broken::of(fixture);
    assert!(broken.is_open());
    for _ in 0..CALLS {
        let open = broken.ask();
        assert!(error_of(&open).contains("failed several times in a row"), "{open}");
    }
    assert_eq!(broken.changes("open"), 1);
    // The kit's own measure: from the moment a call is known to its outcome.
    let start = Instant::now();
    let mut took = Vec::new();
    while took.len() < CALLS {
        assert!(start.elapsed() < Duration::from_secs(30), "{} of {CALLS} calls are in the audit", took.len());
        thread::sleep(Duration::from_millis(100));
        let text = std::fs::read_to_string(broken.audit.path()).unwrap();
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let open = records.filter(|record| record["result"] == "breaker_open");
        took = open.map(|record| record["duration_seconds"].as_f64().unwrap()).collect();
    }
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    println!("half of {} calls failed within {:.0} µs", took.len(), median * 1e6);
    assert!(median < 0.001, "half of the calls took longer than {median} s to fail: {took:?}");
}

fn recovers(fixture: &Fixture) {
    let broken = Broken::of(fixture);
    let _valkey = Valkey::start_at(broken.port, PASSWORD, None).unwrap();
    if broken.since.elapsed() + Duration::from_secs(5) < OPEN {
        let open = broken.ask();
        assert!(error_of(&open).contains("failed several times in a row"), "it was asked too early: {open}");
    }
    thread::sleep(OPEN.saturating_sub(broken.since.elapsed()));
    for trial in 1..=3 {
        assert!(broken.is_open(), "it closed before trial {trial}");
        let answer = broken.ask();
        assert_eq!(answer["isError"], false, "trial {trial}: {answer}");
        assert_eq!(broken.changes("half_open"), 1, "trial {trial}");
    }
    assert!(!broken.is_open(), "three good trials do not close it");
    assert_eq!((broken.changes("open"), broken.changes("closed")), (1, 1));
    assert_eq!(broken.server.call("kv_set", json!({"key": "a", "value": "c"}))["isError"], false);
    assert_eq!(broken.ask()["structuredContent"]["value"], "c");
}

fn away() {
    let (valkey, url) = valkey();
    let server = server(&url, &[]);
    assert_eq!(server.call("kv_set", json!({"key": "a", "value": "b"}))["isError"], false);
    let port = valkey.port;
    drop(valkey);
    let first = server.call("kv_get", json!({"key": "a"}));
    assert!(error_of(&first).starts_with("the key-value store "), "{first}");
    assert!(get(server.health, "/readyz").status == 200, "the other tools go on");
    let back = Valkey::start_at(port, PASSWORD, None).unwrap();
    let start = Instant::now();
    while server.call("kv_set", json!({"key": "a", "value": "c"}))["isError"] == true {
        assert!(start.elapsed() < Duration::from_secs(90), "it is not found again");
        thread::sleep(Duration::from_secs(1));
    }
    drop(back);
    for _ in 0..6 {
        server.call("kv_get", json!({"key": "a"}));
    }
    let start = Instant::now();
    let open = server.call("kv_get", json!({"key": "a"}));
    assert!(error_of(&open).contains("failed several times in a row"), "{open}");
    assert!(start.elapsed() < Duration::from_secs(1), "nothing is waited for");
}

fn changed() {
    let (first, url) = valkey();
    let second = Valkey::start("another-password", None).unwrap();
    let server = server(&url, &[]);
    server.call("kv_set", json!({"key": "a", "value": "in the first"}));
    std::fs::write(url.file(), second.url()).unwrap();
    let start = Instant::now();
    while server.call("kv_get", json!({"key": "a"}))["structuredContent"]["found"] == true {
        assert!(start.elapsed() < Duration::from_secs(30), "the change is not picked up");
        thread::sleep(Duration::from_millis(200));
    }
    server.call("kv_set", json!({"key": "a", "value": "in the second"}));
    drop(first);
    assert_eq!(server.call("kv_get", json!({"key": "a"}))["structuredContent"]["value"], "in the second");
}

fn password() {
    let (valkey, _) = valkey();
    let wrong = Url::of(&valkey.url().replace(PASSWORD, "a-wrong-password"));
    let mut child = Command::new(binary())
        .args(["--stdio", "--weather=off", "--kv=valkey", "--log=debug", &wrong.argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "kv_get", "arguments": {"key": "a"}}}),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    let answers = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let answer = answers.take_while(|line| !line.is_empty()).find(|line| line.contains("\"id\":2")).unwrap();
    drop(input);
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(answer.contains("the key-value store cannot be reached"), "{answer}");
    assert!(log.contains("user or password are refused"), "{log}");
    assert!(!answer.contains("a-wrong-password") && !log.contains("a-wrong-password"), "{answer}\n{log}");
}
