//! Settings of the real binary: precedence, and mistakes told all at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

#[path = "../../kit/tests/support/mod.rs"]
mod support;

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::Server;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-filesystem");

fn root() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hello.txt"), "hello\n").unwrap();
    let argument = format!("--root=data={}", directory.path().display());
    (directory, argument)
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(BINARY).args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn all_wrong_settings_are_told_at_once_with_their_source() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.yaml");
    std::fs::write(
        &file,
        "healthListen: nowhere\nallowedHost: typo\ndrainSeconds: 5\nroots: [{name: docs, path: /no/such}]\n",
    )
    .unwrap();
    let config = format!("--config={}", file.display());
    let arguments = ["--listen=8080", "--allowed-hosts=good.example,*.example.com", "--allowed-origins=app", &config];
    let text = told(&start(&arguments, &[("MCP_DRAIN_SECONDS", "-1"), ("MCP_LOG_FORMAT", "xml")]));
    for expected in [
        "mcp-filesystem: 8 settings are wrong",
        "--listen\n",
        "an IP address and port such as 127.0.0.1:8080 or [::]:8080",
        "key `healthListen` in ",
        "\"nowhere\"",
        "patterns are not supported",
        "--allowed-origins\n",
        "MCP_DRAIN_SECONDS\n",
        "MCP_LOG_FORMAT\n",
        "an existing directory this user may read, for root \"docs\"",
        "key `allowedHost` in ",
        "one of allowedHosts, allowedOrigins, ",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    assert_eq!(text.matches("mend:").count(), 8, "{text}");
}

#[test]
fn without_a_root_it_says_how_to_give_one() {
    let text = told(&start(&[], &[]));
    assert!(
        text.contains("--root docs=/srv/docs") && text.contains("MCP_ROOT=") && text.contains("roots: [{name:"),
        "{text}"
    );
}

#[test]
fn roots_are_checked() {
    let (directory, root) = root();
    let file = format!("--root=file={}", directory.path().join("hello.txt").display());
    for (arguments, expected) in [
        (vec!["--root=/srv"], "expected: NAME=PATH"),
        (vec!["--root=docs="], "expected: NAME=PATH"),
        (vec!["--root=Docs=/tmp"], "a name of 1 to 63 characters"),
        (vec!["--root=..=/tmp"], "a name of 1 to 63 characters"),
        (vec!["--root=docs=/no/such/place"], "an existing directory"),
        (vec![file.as_str()], "an existing directory"),
        (vec![root.as_str(), root.as_str()], "two roots named \"data\""),
        (vec![root.as_str(), "--deny=[z-a]"], "globs that match one name"),
    ] {
        let text = told(&start(&arguments, &[]));
        assert!(text.contains(expected), "{arguments:?}: no {expected:?} in\n{text}");
    }
}

#[test]
fn a_flag_wins_over_the_variable_and_the_variable_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let file = directory.path().join("settings.yaml");
    std::fs::write(&file, format!("allowedHosts: [from.file]\nroots:\n  - {{name: from-file, path: {path}}}\n"))
        .unwrap();
    let config = format!("--config={}", file.display());
    let roots = |arguments: &[&str]| {
        let server = Server::start(BINARY, arguments);
        let allowed = server.call("list_allowed_directories", json!({}));
        assert_eq!(server.post(&[("host", "from.file")], &ping()).status, 200);
        allowed["structuredContent"]["directories"].clone()
    };
    assert_eq!(roots(&[&config]), json!(["/from-file"]));
    let flag = format!("--root=from-flag={path}");
    assert_eq!(roots(&[&config, &flag]), json!(["/from-flag"]));

    let variable = format!("from-variable={path}");
    let output = start(&[&config, "--listen=wrong"], &[("MCP_ROOT", &variable), ("MCP_LISTEN", "also wrong")]);
    let text = told(&output);
    assert!(
        text.contains("1 setting is wrong") && text.contains("--listen\n"),
        "the flag is the one that counts: {text}"
    );
}

#[test]
fn help_and_version_teach() {
    let help = start(&["--help"], &[]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success());
    for expected in [
        "--root <NAME=PATH>",
        "MCP_LISTEN",
        "[default: 127.0.0.1:8080]",
        "--stdio",
        "Examples:",
        "Exit codes",
        "whose pages may call",
    ] {
        assert!(text.contains(expected), "no {expected} in\n{text}");
    }
    let version = start(&["--version"], &[]);
    assert_eq!(String::from_utf8(version.stdout).unwrap(), concat!("mcp-filesystem ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let (_directory, root) = root();
    let server = Server::start(BINARY, &[&root]);
    let listen = format!("--listen={}", server.address);
    let output = start(&[&listen, "--health-listen=127.0.0.1:0", &root], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot listen on") && text.contains("--listen"), "{text}");
}
