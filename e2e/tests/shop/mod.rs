//! A shop in a real PostgreSQL, its roles, and the Database server on it.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use mcp_e2e::{
    cache::Cache,
    postgres::Postgres,
    suite::{self, loopback::Server},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// The password of every role but the superuser.
pub(crate) const SECRET: &str = "hunter2-of-the-shop";

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-e2e");

/// Roles, data, and functions that hide what they do from anybody who only looks at the text of a statement.
const SETUP: &str = "
CREATE ROLE reader LOGIN PASSWORD 'hunter2-of-the-shop';
CREATE ROLE writer LOGIN PASSWORD 'hunter2-of-the-shop';
CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'hunter2-of-the-shop';
CREATE ROLE heir LOGIN PASSWORD 'hunter2-of-the-shop' IN ROLE boss;
CREATE ROLE filer LOGIN PASSWORD 'hunter2-of-the-shop' IN ROLE pg_read_server_files;
CREATE ROLE scribe LOGIN NOINHERIT PASSWORD 'hunter2-of-the-shop' IN ROLE pg_write_server_files;
CREATE ROLE runner LOGIN PASSWORD 'hunter2-of-the-shop' IN ROLE pg_execute_server_program;
CREATE ROLE killer LOGIN PASSWORD 'hunter2-of-the-shop' IN ROLE pg_signal_backend;
CREATE ROLE copier LOGIN REPLICATION PASSWORD 'hunter2-of-the-shop';
CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'hunter2-of-the-shop';
CREATE ROLE lister LOGIN PASSWORD 'hunter2-of-the-shop';
CREATE ROLE caller LOGIN PASSWORD 'hunter2-of-the-shop';
GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO lister;
CREATE EXTENSION dblink;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dblink(text) TO caller;
CREATE SCHEMA shop;
CREATE SCHEMA hr;
CREATE TABLE shop.items (id int PRIMARY KEY, name text NOT NULL UNIQUE, price numeric(12, 2) NOT NULL DEFAULT 1.50);
COMMENT ON TABLE shop.items IS 'What is sold';
CREATE TABLE shop.orders (id int PRIMARY KEY, item int NOT NULL REFERENCES shop.items, at timestamptz);
CREATE INDEX orders_by_item ON shop.orders (item);
CREATE TABLE hr.pay (name text, amount int);
CREATE TABLE hr.reviews (name text, grade int);
INSERT INTO shop.items VALUES (1, 'lamp', 19.90), (2, 'chair', 120), (3, 'table', 349.5);
INSERT INTO shop.orders VALUES (1, 1, '2026-01-02 03:04:05+01'), (2, 3, NULL);
INSERT INTO hr.pay VALUES ('ada', 4711);
CREATE VIEW shop.best_paid AS SELECT max(amount) AS amount FROM hr.pay;
CREATE SEQUENCE shop.counter;
CREATE FUNCTION shop.sneak() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN DELETE FROM shop.orders; RETURN 1; END $$;
CREATE FUNCTION shop.flip() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN PERFORM set_config('transaction_read_only', 'off', false); DELETE FROM shop.orders; RETURN 1; END $$;
CREATE FUNCTION shop.flop() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM shop.orders; RETURN 1; END $$;
CREATE FUNCTION shop.count() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT nextval('shop.counter') $$;
CREATE FUNCTION shop.make() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN CREATE TABLE shop.loot AS SELECT * FROM hr.pay; RETURN 1; END $$;
CREATE FUNCTION shop.shout() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('shop', 'loot'); RETURN 1; END $$;
CREATE FUNCTION shop.hold() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(42); RETURN 1; END $$;
CREATE FUNCTION shop.forget() RETURNS text LANGUAGE sql AS $$ SELECT set_config('statement_timeout', '0', false) $$;
CREATE FUNCTION shop.wait(seconds int) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(seconds); RETURN 1; END $$;
CREATE FUNCTION shop.blob() RETURNS oid LANGUAGE sql AS $$ SELECT lo_create(4242) $$;
CREATE FUNCTION shop.peek() RETURNS bigint LANGUAGE plpgsql AS
    $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || 'hr.' || 'reviews' INTO n; RETURN n; END $$;
GRANT USAGE ON SCHEMA shop, hr TO reader, writer;
GRANT SELECT ON ALL TABLES IN SCHEMA shop, hr TO reader, writer;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO writer;
";

/// Everything an attack could have changed, as the superuser sees it.
const STATE: &str = "SELECT
    (SELECT string_agg(i::text, ' ' ORDER BY id) FROM shop.items AS i),
    (SELECT string_agg(o::text, ' ' ORDER BY id) FROM shop.orders AS o),
    (SELECT string_agg(p::text, ' ') FROM hr.pay AS p),
    (SELECT last_value || ' ' || is_called FROM shop.counter),
    (SELECT count(*) FROM pg_class WHERE relnamespace > 16000),
    (SELECT string_agg(rolname || rolsuper, ' ' ORDER BY 1) FROM pg_roles),
    (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_prepared_xacts),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
    (SELECT string_agg(setting, ' ') FROM pg_db_role_setting, unnest(setconfig) AS setting)";

pub(crate) struct Shop {
    pub(crate) postgres: Postgres,
    pub(crate) directory: TempDir,
    pub(crate) http: reqwest::Client,
}

impl Shop {
    pub(crate) async fn open() -> Result<Self> {
        let postgres = Postgres::start(&Cache::from_env()?).await?;
        postgres.run("postgres", "CREATE DATABASE shop").await?;
        postgres.run("shop", SETUP).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { postgres, directory: tempfile::tempdir()?, http })
    }

    /// A file with the connection URI of a role, as a Secret mounts it.
    pub(crate) fn uri(&self, role: &str) -> Result<PathBuf> {
        self.file(role, &self.postgres.uri(role, SECRET, "shop"))
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// The server as this role.
    pub(crate) fn server(&self, role: &str, arguments: &[&str]) -> Result<Server> {
        Self::start(&self.uri(role)?, arguments)
    }

    pub(crate) fn start(uri: &Path, arguments: &[&str]) -> Result<Server> {
        let postgres = format!("--postgres={}", uri.display());
        let arguments: Vec<String> =
            [postgres].into_iter().chain(arguments.iter().map(|it| (*it).to_owned())).collect();
        Server::start(&binary(), &arguments, &[])
    }

    /// What the server says when it is started as this role and does not start.
    pub(crate) async fn refused(&self, role: &str) -> Result<Output> {
        let postgres = format!("--postgres={}", self.uri(role)?.display());
        let mut command = Command::new(binary());
        command.args([&postgres, "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"]).stdin(Stdio::null());
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), command.kill_on_drop(true).output()).await;
        Ok(ended.with_context(|| format!("the server runs as {role}"))??)
    }

    pub(crate) async fn state(&self) -> Result<Vec<Vec<String>>> {
        self.postgres.rows("shop", STATE).await
    }

    /// The result of a call.
    pub(crate) async fn call(&self, server: &Server, tool: &str, arguments: Value) -> Result<Value> {
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let request = self.http.post(server.url()).header("accept", "application/json").json(&body);
        let mut answer: Value = request.send().await?.json().await?;
        let result = answer.get_mut("result").map(Value::take);
        result.with_context(|| format!("{tool} was not called: {answer}"))
    }

    /// The structured result of a call that succeeds.
    pub(crate) async fn good(&self, server: &Server, tool: &str, arguments: Value) -> Result<Value> {
        let mut result = self.call(server, tool, arguments).await?;
        ensure!(result.get("isError") == Some(&json!(false)), "{tool}: {result}");
        result.get_mut("structuredContent").map(Value::take).context("no structured content")
    }

    /// The words of a call that fails. They hold no secret.
    pub(crate) async fn bad(&self, server: &Server, tool: &str, arguments: Value) -> Result<String> {
        let result = self.call(server, tool, arguments.clone()).await?;
        ensure!(result.get("isError") == Some(&json!(true)), "{tool} {arguments} succeeded: {result}");
        let words = result.pointer("/content/0/text").and_then(Value::as_str).context("no text")?;
        let port = self.postgres.port().to_string();
        for secret in [SECRET, "postgres://", port.as_str()] {
            ensure!(!words.contains(secret), "{tool} {arguments} tells {secret}: {words}");
        }
        Ok(words.to_owned())
    }

    /// The rows of a statement.
    pub(crate) async fn rows(&self, server: &Server, sql: &str) -> Result<Value> {
        Ok(self.good(server, "query", json!({"sql": sql})).await?.get_mut("rows").map(Value::take).unwrap_or_default())
    }
}

pub(crate) fn binary() -> PathBuf {
    suite::bin_dir(BINARY).join("mcp-database")
}
