//! The audit in a real PostgreSQL: chains that survive restarts, tampering that is found, and what happens without it.

#![allow(clippy::indexing_slicing, reason = "answers are JSON, where what is not there is null")]

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use mcp_e2e::{
    cache::Cache,
    postgres::Postgres,
    suite::{self, Test, eventually, loopback::Server, server},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");
const DATABASE: &str = "postgres";
const PASSWORD: &str = "password-of-the-writer";
/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_secs(30);

struct Fixture {
    postgres: Mutex<Postgres>,
    home: TempDir,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("rows form chains, and a restart of the server leaves them whole", |f| restarted(f).boxed_local()),
        ("refusals are rows too, and no secret is in any", |f| refusals(f).boxed_local()),
        ("nobody changes a row, the owner neither", |f| append_only(f).boxed_local()),
        ("what was altered, removed or cut off is named", |f| tampered(f).boxed_local()),
        ("where records are required, nothing changes without the database, reads go on, and it mends itself", |f| {
            outage(f).boxed_local()
        }),
        ("where they are not, changes go on, and what is lost is counted, logged and in the chain", |f| {
            unrequired(f).boxed_local()
        }),
    ];
    suite::run_alone("suite-audit", prepare, tests)
}

async fn prepare() -> Result<Fixture> {
    let postgres = Postgres::start(&Cache::from_env()?).await?;
    let schema = Command::new(path("mcp-demo")).arg("audit-schema").output()?;
    ensure!(schema.status.success(), "audit-schema failed");
    postgres.run(DATABASE, &String::from_utf8(schema.stdout)?).await?;
    let role = format!(
        "CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'; GRANT INSERT, SELECT ON mcp_audit, mcp_audit_checkpoint TO writer"
    );
    postgres.run(DATABASE, &role).await?;
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("uri"), postgres.uri("writer", PASSWORD, DATABASE))?;
    std::fs::copy(postgres.ca(), home.path().join("ca"))?;
    Ok(Fixture { postgres: Mutex::new(postgres), home })
}

fn path(binary: &str) -> PathBuf {
    suite::bin_dir(BINARY).join(binary)
}

impl Fixture {
    fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// What every server of this suite is told.
    fn told(&self) -> Vec<String> {
        vec![
            "--audit=postgres".to_owned(),
            "--audit-writer=pod-1".to_owned(),
            format!("--audit-postgres={}", self.file("uri")),
            format!("--audit-postgres-ca={}", self.file("ca")),
        ]
    }

    fn start(&self, binary: &str, more: &[&str]) -> Result<Server> {
        let mut arguments = self.told();
        arguments.push("--writes=allow".to_owned());
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        Server::start(&path(binary), &arguments, &[])
    }

    /// A server whose tools show whether they were called: one stores what another reads.
    async fn store(&self, required: bool) -> Result<server::Server> {
        let mut arguments = self.told();
        arguments.extend(["--weather=off".to_owned(), format!("--audit-required={required}")]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        server::Server::start(&path("mcp-custom"), &arguments, &[]).await
    }

    /// What verify-audit says: its exit code and its words.
    fn verify(&self, more: &[&str]) -> Result<(Option<i32>, String)> {
        let files =
            [("--postgres", "uri"), ("--postgres-ca", "ca")].map(|(flag, file)| [flag.to_owned(), self.file(file)]);
        let output = Command::new(path("mcp-demo")).arg("verify-audit").args(files.concat()).args(more).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(said)?))
    }
}

/// Calls a tool; answers with the whole JSON-RPC answer.
async fn call(server: &Server, tool: &str, arguments: Value) -> Result<Value> {
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let client = reqwest::Client::new();
    let post = client.post(server.url()).header("accept", "application/json, text/event-stream").json(&request);
    Ok(post.timeout(SOON).send().await?.json().await?)
}

async fn good(server: &Server, tool: &str, arguments: Value) -> Result<()> {
    let answer = call(server, tool, arguments).await?;
    ensure!(answer["result"]["isError"] == false, "{tool}: {answer}");
    Ok(())
}

/// Ends a server in order, and waits for the end of its chain.
async fn end(fixture: &Fixture, server: Server, chains: usize) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(server.pid())?), Signal::SIGINT)?;
    let postgres = fixture.postgres.lock().await;
    eventually("the chain is closed", SOON, async || {
        let closed = postgres.rows(DATABASE, "SELECT chain FROM mcp_audit_record WHERE event = 'closed'").await?;
        Ok(if closed.len() >= chains { Ok(()) } else { Err(format!("{closed:?}")) })
    })
    .await
}

async fn restarted(fixture: &Fixture) -> Result<()> {
    for round in 1..=2 {
        let server = fixture.start("mcp-demo", &[])?;
        for number in 0..100 {
            good(&server, if number % 2 == 0 { "put" } else { "wait" }, json!({"number": 0})).await?;
        }
        end(fixture, server, round).await?;
    }
    let rows =
        "SELECT event, count(*) FROM mcp_audit_record WHERE tool = 'put' OR event = 'closed' GROUP BY 1 ORDER BY 1";
    let rows = fixture.postgres.lock().await.rows(DATABASE, rows).await?;
    ensure!(rows == [["closed", "2"], ["done", "100"], ["intended", "100"]], "{rows:?}");
    let reads =
        fixture.postgres.lock().await.rows(DATABASE, "SELECT 1 FROM mcp_audit_record WHERE tool = 'wait'").await?;
    ensure!(reads.is_empty(), "reads are for stdout");
    let (code, said) = fixture.verify(&[])?;
    ensure!(code == Some(0) && said.contains("202 records in 2 chains, of which 0 have no end yet"), "{code:?} {said}");
    Ok(())
}

async fn refusals(fixture: &Fixture) -> Result<()> {
    let server = fixture.start("mcp-demo", &["--deny-tools=wipe"])?;
    call(&server, "wipe", json!({"number": 0})).await?;
    call(&server, "put", json!({"number": 0, "password": "hunter2", "note": "postgres://app:hunter2@db/orders"}))
        .await?;
    end(fixture, server, 3).await?;
    let postgres = fixture.postgres.lock().await;
    let refused = "SELECT tool, result, principal FROM mcp_audit_record WHERE event = 'refused'";
    let refused = postgres.rows(DATABASE, refused).await?;
    ensure!(refused == [["wipe", "unknown_tool", "anonymous"]], "{refused:?}");
    let secrets = format!("SELECT record FROM mcp_audit WHERE record ~ 'hunter2|{PASSWORD}'");
    let secrets = postgres.rows(DATABASE, &secrets).await?;
    ensure!(secrets.is_empty(), "{secrets:?}");
    Ok(())
}

async fn append_only(fixture: &Fixture) -> Result<()> {
    let postgres = fixture.postgres.lock().await;
    for (statement, expected) in [
        ("UPDATE mcp_audit SET record = '{}'", "append-only"),
        ("DELETE FROM mcp_audit", "append-only"),
        ("TRUNCATE mcp_audit_checkpoint", "append-only"),
        ("SET ROLE writer; UPDATE mcp_audit SET record = '{}'", "permission denied"),
        ("SET ROLE writer; DELETE FROM mcp_audit_checkpoint", "permission denied"),
        ("SET ROLE writer; DROP TABLE mcp_audit CASCADE", "must be owner"),
    ] {
        let refused = postgres.run(DATABASE, statement).await;
        let refused = format!("{:?}", refused.err().with_context(|| format!("{statement} was let through"))?);
        ensure!(refused.contains(expected), "{statement}: {refused}");
    }
    Ok(())
}

async fn tampered(fixture: &Fixture) -> Result<()> {
    let postgres = fixture.postgres.lock().await;
    // Whoever owns the machine can switch triggers off.
    let owner = "SET session_replication_role = replica;";
    postgres
        .run(DATABASE, "CREATE TABLE kept AS TABLE mcp_audit; CREATE TABLE kept_points AS TABLE mcp_audit_checkpoint")
        .await?;
    let chains = postgres.rows(DATABASE, "SELECT min(chain) FROM mcp_audit").await?;
    let chain = &chains[0][0];
    let (code, said) = fixture.verify(&[])?;
    ensure!(code == Some(0), "{said}");
    let head = said.split("last checkpoint: ").nth(1).and_then(|rest| rest.split(' ').next());
    let head = head.with_context(|| format!("no checkpoint in {said}"))?.to_owned();
    let at = |sequence: u32| format!("WHERE chain = '{chain}' AND sequence = {sequence}");
    let cases = [
        (format!("UPDATE mcp_audit SET record = replace(record, 'put', 'get') {}", at(7)), format!("chain {chain}: record 7 was altered")),
        (format!("DELETE FROM mcp_audit {}", at(7)), format!("chain {chain}: record 7 is missing")),
        (format!("DELETE FROM mcp_audit {}", at(0)), format!("chain {chain}: record 0 is missing")),
        (format!("DELETE FROM mcp_audit WHERE chain = '{chain}' AND sequence > 90"), format!("chain {chain}: it ends before record 100")),
        (format!("DELETE FROM mcp_audit WHERE chain = '{chain}'"), format!("chain {chain} is missing")),
        ("DELETE FROM mcp_audit_checkpoint WHERE number = 1".to_owned(), "checkpoint 1 is missing".to_owned()),
        ("UPDATE mcp_audit_checkpoint SET record = replace(record, 'pod-1', 'pod-2') WHERE number = 0".to_owned(), "checkpoint 0 was altered".to_owned()),
        (
            format!("DELETE FROM mcp_audit WHERE chain = '{chain}'; DELETE FROM mcp_audit_checkpoint WHERE record LIKE '%{chain}%'"),
            "checkpoint 0 is missing".to_owned(),
        ),
        (
            "DELETE FROM mcp_audit WHERE chain = (SELECT max(chain) FROM mcp_audit); DELETE FROM mcp_audit_checkpoint WHERE \
             number >= (SELECT min(number) FROM mcp_audit_checkpoint WHERE record LIKE '%' || (SELECT max(chain) FROM kept) || '%')"
                .to_owned(),
            "is not the one that was noted".to_owned(),
        ),
    ];
    for (statement, expected) in cases {
        postgres.run(DATABASE, &format!("{owner} {statement}")).await?;
        let (code, said) = fixture.verify(&["--head", &head])?;
        ensure!(
            code == Some(1) && said.contains(&expected),
            "{statement}\n  expected {expected}\n  found {code:?} {said}"
        );
        let restore = "TRUNCATE mcp_audit, mcp_audit_checkpoint; INSERT INTO mcp_audit TABLE kept; \
                       INSERT INTO mcp_audit_checkpoint TABLE kept_points";
        postgres.run(DATABASE, &format!("{owner} {restore}")).await?;
    }
    let (code, said) = fixture.verify(&["--head", &head])?;
    ensure!(code == Some(0), "{said}");
    Ok(())
}

fn set(value: &str) -> Value {
    json!({"key": "state", "value": value})
}

/// What is stored under the key of these tests. Fails when the read fails.
async fn state(server: &server::Server) -> Result<String> {
    let read = server.call("kv_get", json!({"key": "state"})).await?;
    Ok(read["value"].as_str().unwrap_or_default().to_owned())
}

/// The value of one metric, with its labels as they are written.
async fn metric(server: &server::Server, name: &str) -> Result<u64> {
    let metrics = server.metrics().await?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("no {name} in {metrics}"))
}

async fn outage(fixture: &Fixture) -> Result<()> {
    let server = fixture.store(true).await?;
    server.call("kv_set", set("before")).await?;
    fixture.postgres.lock().await.stop()?;
    for round in 1..=3 {
        let told = server.fails("kv_set", set("meanwhile")).await?;
        ensure!(told.contains("kv_set was not called and nothing was changed"), "{told}");
        ensure!(told.contains("the audit record that has to be kept first cannot be stored"), "{told}");
        ensure!(state(&server).await? == "before", "the tool was called all the same, in round {round}");
    }
    ensure!(server.fails("kv_delete", json!({"key": "state"})).await?.contains("kv_delete was not called"));
    ensure!(state(&server).await? == "before", "what was refused to be deleted is gone");
    ensure!(metric(&server, r#"mcp_audit_failing{sink="postgres"}"#).await? == 1);
    ensure!(metric(&server, r#"mcp_tool_calls_total{tool="kv_set",outcome="audit_unavailable"}"#).await? == 3);
    ensure!(server.log().contains("audit records cannot be stored in PostgreSQL"), "{}", server.log());

    fixture.postgres.lock().await.start_again().await?;
    eventually("changes are taken again", SOON, async || {
        let answer = server.result("kv_set", set("after")).await?;
        Ok(if answer["isError"] == false { Ok(()) } else { Err(answer.to_string()) })
    })
    .await?;
    ensure!(state(&server).await? == "after");
    ensure!(metric(&server, r#"mcp_audit_failing{sink="postgres"}"#).await? == 0);

    // The refusals reach the audit once that is possible, each beside no end of a call that never began.
    let chain = "chain = (SELECT max(chain) FROM mcp_audit)";
    let refused = format!(
        "SELECT tool, count(*) FROM mcp_audit_record WHERE {chain} AND event = 'refused' AND result = 'audit_unavailable' \
         AND call <= 8 GROUP BY 1 ORDER BY 1"
    );
    let postgres = fixture.postgres.lock().await;
    eventually("the refusals are recorded", SOON, async || {
        let rows = postgres.rows(DATABASE, &refused).await?;
        Ok(if rows == [["kv_delete", "1"], ["kv_set", "3"]] { Ok(()) } else { Err(format!("{rows:?}")) })
    })
    .await?;
    let both = format!(
        "SELECT call FROM mcp_audit_record WHERE {chain} AND event = 'refused' INTERSECT \
         SELECT call FROM mcp_audit_record WHERE {chain} AND event = 'done'"
    );
    let both = postgres.rows(DATABASE, &both).await?;
    ensure!(both.is_empty(), "refused and done: {both:?}");
    let (code, said) = fixture.verify(&[])?;
    ensure!(code == Some(0) && !said.contains("were lost"), "{code:?} {said}");
    Ok(())
}

/// More changes than records find room for, at two records each.
const CHANGES: u32 = 700;

async fn unrequired(fixture: &Fixture) -> Result<()> {
    let server = fixture.store(false).await?;
    server.call("kv_set", set("before")).await?;
    fixture.postgres.lock().await.stop()?;
    for number in 1..=CHANGES {
        let answer = server.result("kv_set", set(&number.to_string())).await?;
        ensure!(answer["isError"] == false, "change {number}: {answer}");
    }
    ensure!(state(&server).await? == CHANGES.to_string());
    ensure!(server.log().contains("audit records cannot be stored in PostgreSQL"), "{}", server.log());
    let lost = metric(&server, r#"mcp_audit_lost_total{sink="postgres"}"#).await?;
    ensure!(lost > 0 && lost < u64::from(CHANGES) * 2, "{lost} of {CHANGES} changes");

    fixture.postgres.lock().await.start_again().await?;
    eventually("what found room is stored, and the chain says how much did not", SOON, async || {
        let (code, said) = fixture.verify(&[])?;
        ensure!(code == Some(0), "{code:?} {said}");
        let told = said.contains(&format!("\n{lost} records were lost by their writers"));
        Ok(if told { Ok(()) } else { Err(said) })
    })
    .await?;
    let stored = "SELECT count(*) FROM mcp_audit WHERE chain = (SELECT max(chain) FROM mcp_audit)";
    let expected = u64::from(CHANGES) * 2 + 2 - lost;
    eventually("every record that was not lost is a row", SOON, async || {
        let rows = fixture.postgres.lock().await.rows(DATABASE, stored).await?;
        Ok(if rows == [[expected.to_string()]] { Ok(()) } else { Err(format!("{rows:?}, not {expected}")) })
    })
    .await
}
