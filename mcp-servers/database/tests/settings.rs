//! Settings of the real binary: mistakes told all at once, and never a secret.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::process::{Command, Stdio};

use world::BINARY;

fn told(arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn all_wrong_settings_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (file, uri) = (directory.path().join("settings.yaml"), directory.path().join("uri"));
    std::fs::write(&file, "maxConnections: 0\nschema: shop\n").unwrap();
    std::fs::write(&uri, "postgres://user:hunter2@[nonsense/d").unwrap();
    let config = format!("--config={}", file.display());
    let postgres = format!("--postgres={}", uri.display());
    let text = told(&[&config, &postgres, "--seed=all", "--statement-timeout-seconds=soon", "--listen=here"]);
    for expected in [
        "key `maxConnections` in ",
        "a whole number from 1 to 100",
        "key `schema` in ",
        "--seed\n",
        "sample or none",
        "--statement-timeout-seconds\n",
        "a whole number from 1 to 600",
        "--listen\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn exactly_one_database_is_asked_for() {
    let neither = told(&[]);
    assert!(neither.contains("found:    neither") && neither.contains("--sqlite :memory:"), "{neither}");
    let both = told(&["--sqlite=:memory:", "--postgres=/nowhere"]);
    assert!(both.contains("found:    both"), "{both}");
}

#[test]
fn a_database_that_cannot_be_used_is_told_without_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let uri = path("uri", "postgres://user:hunter2@[nonsense/d");
    let good = path("good", "postgres://user:hunter2@127.0.0.1:1/d");
    let text = path("text", "no database at all, but long enough to have a header like one: hunter2 hunter2 hunter2");
    for (arguments, expected) in [
        (vec![format!("--postgres={uri}")], "a file with postgres://USER:PASSWORD"),
        (vec!["--postgres=/no/such/file".to_owned()], "/no/such/file: entity not found"),
        (vec![format!("--postgres={good}"), format!("--postgres-ca={text}")], "no certificate"),
        (vec![format!("--postgres={good}"), "--seed=sample".to_owned()], "only together with --sqlite"),
        (vec!["--sqlite=:memory:".to_owned(), "--schemas=shop".to_owned()], "only together with --postgres"),
        (vec![format!("--sqlite={text}")], "file is not a database"),
        (vec!["--sqlite=/no/such/directory/a.db".to_owned()], "a SQLite database"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let told = told(&arguments);
        assert!(told.contains(expected), "{arguments:?}: no {expected:?} in\n{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_new_database_is_seeded_once_or_not_at_all() {
    let world = world::world(&["--writes=allow"]);
    world.call("execute", serde_json::json!({"sql": "DELETE FROM projects"}));
    let mut world = world;
    world.restart(&[]);
    assert_eq!(world.rows("SELECT count(*) FROM projects"), serde_json::json!([[0]]), "seeded again");
    let empty = world::memory(&["--seed=none"]);
    assert_eq!(empty.call("list_tables", serde_json::json!({}))["tables"], serde_json::json!([]));
}

#[test]
fn help_teaches() {
    let help = Command::new(BINARY).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    for expected in ["--sqlite <PATH>", "MCP_POSTGRES", "--postgres-ca", "Examples:", "--sqlite :memory:"] {
        assert!(text.contains(expected), "no {expected} in\n{text}");
    }
}
