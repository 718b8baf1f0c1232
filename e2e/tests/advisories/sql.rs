//! Databases: statements and names that do more than they look like. The role may write; the server is there to read.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::SimpleQueryMessage;

use crate::world::{World, call, refused, start};

/// Runs what must be refused, and looks at everything it could have changed.
async fn nothing_but_reads(w: &World, tool: &str, attempts: &[Value]) -> Result<()> {
    let before = w.shop.state().await?;
    for arguments in attempts {
        refused(&w.database, tool, arguments.clone());
        let after = w.shop.state().await?;
        ensure!(after == before, "{tool} {arguments} changed {before:?} to {after:?}");
    }
    Ok(())
}

fn statements(all: &[&str]) -> Vec<Value> {
    all.iter().map(|sql| json!({"sql": sql})).collect()
}

pub(crate) async fn prefix(w: &World) -> Result<()> {
    // A session that the advisory's last step would end.
    let victim = w.shop.postgres.superuser("shop").await?;
    let attempts = statements(&[
        "SELECT 1; DELETE FROM shop.orders",
        "select 1;\nDROP TABLE shop.items CASCADE",
        "SELECT shop.sneak()",
        "SELECT shop.flip()",
        "SELECT nextval('shop.counter')",
        "SELECT * INTO shop.loot FROM hr.pay",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
        "SELECT pg_sleep(600)",
        "WITH gone AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM gone",
    ]);
    nothing_but_reads(w, "query", &attempts).await?;
    // A plan is no run: it may be told of what a query may not do, and nothing happens.
    let before = w.shop.state().await?;
    for arguments in attempts {
        w.database.post(&[], &call("explain_query", &arguments));
        ensure!(w.shop.state().await? == before, "explain_query {arguments}");
    }
    let answer = victim.simple_query("SELECT 1").await?;
    ensure!(answer.iter().any(|one| matches!(one, SimpleQueryMessage::Row(_))), "the other session lives");
    Ok(())
}

pub(crate) async fn second(w: &World) -> Result<()> {
    let attempts = statements(&[
        "SELECT 1; ALTER TABLE shop.items RENAME TO stolen",
        "SELECT 1; RENAME TABLE shop.items TO shop.stolen",
        "SELECT 1; UPDATE shop.items SET price = 0",
        "SELECT 1;;UPDATE shop.items SET price = 0",
        "SELECT 1 /* ; */; UPDATE shop.items SET price = 0 -- ;",
        "SELECT $$;$$; UPDATE shop.items SET price = 0",
    ]);
    for round in 0..3 {
        nothing_but_reads(w, "query", &attempts).await?;
        // Every connection is in step: an answer is that of its own question.
        for number in 0..5 {
            let asked = round * 10 + number;
            let told = w.database.call("query", json!({"sql": format!("SELECT {asked}")}));
            ensure!(told["structuredContent"]["rows"] == json!([[asked]]), "{asked}: {told}");
        }
    }
    Ok(())
}

pub(crate) async fn named(w: &World) -> Result<()> {
    let before = w.shop.state().await?;
    for name in [
        "shop; DELETE FROM shop.orders; --",
        "shop\"; DELETE FROM shop.orders; --",
        "shop'; DELETE FROM shop.orders; --",
        "shop') OR 1=1; DELETE FROM shop.orders; --",
        "USE shop; DELETE FROM shop.orders; SELECT",
    ] {
        refused(&w.database, "describe_table", json!({"schema": name, "table": "items"}));
        refused(&w.database, "describe_table", json!({"schema": "shop", "table": name}));
        // A schema that is not there has no tables, or is said not to be there.
        let listed = w.database.post(&[], &call("list_tables", &json!({"schema": name})));
        ensure!(!listed.body.contains("orders\\\"") && !listed.body.contains("\"items\""), "{name}: {listed:?}");
        let found = w.database.post(&[], &call("search_schema", &json!({"text": name})));
        ensure!(!found.body.contains("\"orders\""), "{name}: {found:?}");
        let after = w.shop.state().await?;
        ensure!(after == before, "{name} changed {before:?} to {after:?}");
    }
    let listed = w.database.call("list_tables", json!({"schema": "shop"}));
    ensure!(listed.to_string().contains("orders"), "the table is still there: {listed}");
    Ok(())
}

pub(crate) async fn pasted(_: &World) -> Result<()> {
    let server = start("mcp-database", &["--sqlite=:memory:", "--writes=allow"]);
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        server.call("query", json!({"sql": sql}))["structuredContent"]["rows"][0][0].clone()
    };
    let before = (count("users"), count("projects"), count("sqlite_schema"));
    ensure!(before.0.as_i64().is_some_and(|rows| rows > 0), "there are users: {before:?}");
    for sql in [
        "CREATE TABLE notes (a); DROP TABLE users",
        "CREATE TABLE \"notes\" (a)); DROP TABLE users; --",
        "INSERT INTO projects DEFAULT VALUES; DROP TABLE users; --",
        "UPDATE users SET name = 'x' WHERE id = 1; DELETE FROM users",
    ] {
        refused(&server, "execute", json!({"sql": sql}));
        ensure!((count("users"), count("projects"), count("sqlite_schema")) == before, "{sql}");
    }
    let pasted = "x'; DROP TABLE users; --";
    let told = server.call("query", json!({"sql": "SELECT id FROM users WHERE name = ?", "params": [pasted]}));
    ensure!(told["structuredContent"]["rows"] == json!([]), "{told}");
    refused(&server, "describe_table", json!({"table": "users); DROP TABLE users; --"}));
    refused(&server, "describe_table", json!({"table": "users\"; DROP TABLE users; --"}));
    ensure!((count("users"), count("projects"), count("sqlite_schema")) == before);
    Ok(())
}
