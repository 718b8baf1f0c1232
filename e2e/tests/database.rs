//! The Database server on a real PostgreSQL: what roles it refuses, what statements cannot do, what values become, and what
//! happens when the database is busy, slow or gone. Every attack is judged by its effect: data, files and sessions are the
//! same afterwards, as the superuser sees them.

#![allow(clippy::indexing_slicing, reason = "a test")]

mod shop;
#[path = "database/trouble.rs"]
mod trouble;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use futures::FutureExt;
use mcp_e2e::suite::{self, Test, loopback::Server};
use serde_json::json;
use shop::{SECRET, Shop};
use tokio::sync::Mutex;

type Fixture = Mutex<Shop>;

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("roles that reach beyond the data are refused at the start", |f| roles(f).boxed_local()),
        ("a role that becomes powerful while the server runs is refused by the next call", |f| grown(f).boxed_local()),
        ("no statement does anything but read", |f| statements(f).boxed_local()),
        ("functions and views that hide what they do still only read", |f| hidden(f).boxed_local()),
        ("writes change rows in one statement, all or nothing, and nothing else", |f| writes(f).boxed_local()),
        ("every type has a value", |f| types(f).boxed_local()),
        ("parameters are values of the type their place asks for", |f| parameters(f).boxed_local()),
        ("pages join without loss, and large cells are cut", |f| pages(f).boxed_local()),
        ("the schema is listed, described, searched and explained", |f| schema(f).boxed_local()),
        ("a limit on schemas holds for names, views and functions", |f| limited(f).boxed_local()),
        ("a statement that takes too long is stopped, and one nobody waits for is cancelled", |f| {
            trouble::slow(f).boxed_local()
        }),
        ("when all connections are busy, others wait a bounded time and are told", |f| trouble::busy(f).boxed_local()),
        ("TLS is checked against the given certificates", |f| trouble::tls(f).boxed_local()),
        ("a changed password is read from the file, and no error tells it", |f| trouble::rotated(f).boxed_local()),
        ("a database that does not answer is left alone after five failures", |f| trouble::silent(f).boxed_local()),
        ("a database that is gone is told fast, and found again when it is back", |f| trouble::gone(f).boxed_local()),
    ];
    suite::run_alone("suite-database", async || Ok(Mutex::new(Shop::open().await?)), tests)
}

fn contains(words: &str, expected: &str, about: &str) -> Result<()> {
    ensure!(words.contains(expected), "{about}: expected {expected:?} in {words:?}");
    Ok(())
}

async fn roles(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    for (role, words) in [
        ("boss", "is a superuser"),
        ("heir", "is a member of the superuser boss"),
        ("filer", "is a member of pg_read_server_files"),
        ("scribe", "is a member of pg_write_server_files"),
        ("runner", "is a member of pg_execute_server_program"),
        ("killer", "is a member of pg_signal_backend"),
        ("copier", "has REPLICATION"),
        ("maker", "has CREATEROLE"),
        ("lister", "may execute pg_ls_dir"),
        ("caller", "may execute dblink"),
    ] {
        let output = shop.refused(role).await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2), "{role}: {told}");
        contains(&told, words, role)?;
        ensure!(!told.contains(SECRET), "{told}");
    }
    Ok(())
}

async fn grown(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    ensure!(shop.rows(&server, "SELECT 1").await? == json!([[1]]));
    shop.postgres.run("shop", "ALTER ROLE reader SUPERUSER").await?;
    let words = shop.bad(&server, "query", json!({"sql": "SELECT 1"})).await;
    shop.postgres.run("shop", "ALTER ROLE reader NOSUPERUSER").await?;
    contains(&words?, "is a superuser", "the next call")?;
    ensure!(shop.rows(&server, "SELECT 1").await? == json!([[1]]));
    Ok(())
}

/// Runs attacks with a tool. `{dir}` is a directory that PostgreSQL may write to.
async fn attack(shop: &Shop, server: &Server, tool: &str, attacks: &[(&str, &str)]) -> Result<()> {
    let directory = shop.postgres.data().join("loot");
    let before = shop.state().await?;
    for (sql, words) in attacks {
        let sql = sql
            .replace("{dir}", &directory.display().to_string())
            .replace("{uri}", &shop.postgres.superuser_uri("shop"));
        let told = shop.bad(server, tool, json!({"sql": sql})).await?;
        contains(&told, words, &sql)?;
        let after = shop.state().await?;
        ensure!(after == before, "{sql} changed {before:?} to {after:?}");
        ensure!(!directory.exists(), "{sql} made {}", directory.display());
    }
    Ok(())
}

async fn statements(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &["--statement-timeout-seconds=5"])?;
    let attacks = [
        ("INSERT INTO shop.orders VALUES (9, 1)", "only reads"),
        ("DELETE FROM shop.orders", "only reads"),
        ("WITH gone AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM gone", "changes data"),
        ("SELECT * INTO shop.loot FROM hr.pay", "changes data"),
        ("CREATE TEMP TABLE loot AS SELECT 1", "only reads"),
        ("TRUNCATE shop.orders", "only reads"),
        ("SET TRANSACTION READ WRITE", "only reads"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "only reads"),
        ("SET ROLE boss", "only reads"),
        ("RESET ALL", "only reads"),
        ("SET SESSION AUTHORIZATION boss", "only reads"),
        ("COMMIT", "only reads"),
        ("ROLLBACK", "only reads"),
        ("COMMIT AND CHAIN", ""),
        ("SELECT 1; DELETE FROM shop.orders", "one statement"),
        ("SELECT 1 -- \n; /* x */ DELETE FROM shop.orders", "one statement"),
        ("SELECT 1; COMMIT; DELETE FROM shop.orders; --", "one statement"),
        ("SELECT 1) AS q; DELETE FROM shop.orders; --", ""),
        ("SELECT 1) AS q (c0), (SELECT 2", ""),
        ("COPY shop.items TO '{dir}'", "only reads"),
        ("COPY (SELECT 1) TO PROGRAM 'touch {dir}'", "only reads"),
        ("DO $$ BEGIN DELETE FROM shop.orders; END $$", ""),
        ("CALL shop.sneak()", "only reads"),
        ("PREPARE p AS DELETE FROM shop.orders", "only reads"),
        ("EXECUTE p", "only reads"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "only reads"),
        ("LISTEN shop", "only reads"),
        ("NOTIFY shop, 'loot'", "only reads"),
        ("LOCK TABLE shop.items", ""),
        ("VACUUM", "only reads"),
        ("CREATE FUNCTION shop.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'", "only reads"),
        ("EXPLAIN ANALYZE DELETE FROM shop.orders", "only reads"),
        ("SELECT pg_read_file('/etc/passwd')", "not called here"),
        ("SELECT * FROM pg_ls_dir('/')", "not called here"),
        ("SELECT lo_import('/etc/passwd')", "not called here"),
        ("SELECT lo_export(1, '{dir}')", "not called here"),
        ("SELECT * FROM dblink('{uri}', 'DELETE FROM shop.orders') AS t (a text)", "not called here"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "not called here"),
        ("SELECT pg_catalog.SET_CONFIG('role', 'boss', false)", "not called here"),
        ("SELECT pg_advisory_lock(1)", "not called here"),
        ("SELECT pg_sleep(600)", "not called here"),
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "not called here"),
        ("SELECT pg_reload_conf()", "not called here"),
        ("SELECT nextval('shop.counter')", "not called here"),
        ("SELECT setval('shop.counter', 99)", "not called here"),
        ("SELECT pg_notify('shop', 'loot')", "not called here"),
        ("SELECT pg_logical_emit_message(false, 'a', 'b')", "not called here"),
        ("SELECT * FROM shop.items FOR UPDATE", "read-only transaction"),
        ("SELECT query_to_xml('DELETE FROM shop.orders', true, true, '')", ""),
        ("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b", "longer than it may"),
        ("SELECT repeat('x', 2000000000)", ""),
        ("SELECT 1/0", "division by zero"),
        ("SELECT * FROM nowhere", "does not exist"),
    ];
    attack(&shop, &server, "query", &attacks).await?;
    attack(&shop, &server, "explain_query", &attacks[4..20]).await?;
    ensure!(shop.rows(&server, "SELECT count(*) FROM shop.orders").await? == json!([[2]]), "the server still answers");
    Ok(())
}

async fn hidden(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &["--statement-timeout-seconds=3", "--max-connections=1"])?;
    let attacks = [
        ("SELECT shop.sneak()", "read-only transaction"),
        ("SELECT shop.flip()", "transaction read-write mode must be set before any query"),
        ("SELECT shop.flop()", "transaction read-write mode must be set before any query"),
        ("SELECT shop.count()", "read-only transaction"),
        ("SELECT shop.make()", "read-only transaction"),
        ("SELECT shop.wait(60)", "longer than it may"),
        ("SELECT shop.sneak() FROM generate_series(1, 3) WHERE shop.forget() = '0'", "read-only transaction"),
    ];
    attack(&shop, &server, "query", &attacks).await?;
    // What PostgreSQL lets a read-only transaction do ends with it: the transaction is rolled back, the session forgotten.
    let mut heard = listen(&shop).await?;
    let before = shop.state().await?;
    for sql in ["SELECT shop.shout()", "SELECT shop.hold()", "SELECT shop.forget()", "SELECT shop.blob()"] {
        let _ = shop.call(&server, "query", json!({"sql": sql})).await?;
        ensure!(shop.state().await? == before, "{sql} left something behind");
    }
    shop.postgres.run("shop", "NOTIFY shop, 'end'").await?;
    ensure!(heard.recv().await.as_deref() == Some("end"), "what a query shouted was heard");
    let settings = shop.rows(&server, "SELECT current_setting('statement_timeout'), current_setting('role')").await?;
    ensure!(settings == json!([["3s", "none"]]), "{settings}");
    Ok(())
}

/// What is notified on the channel `shop`.
async fn listen(shop: &Shop) -> Result<tokio::sync::mpsc::UnboundedReceiver<String>> {
    let (client, mut connection) =
        tokio_postgres::connect(&shop.postgres.superuser_uri("shop"), tokio_postgres::NoTls).await?;
    let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notification(it) = message {
                let _ = tell.send(it.payload().to_owned());
            }
        }
    });
    client.batch_execute("LISTEN shop").await?;
    // It listens for as long as the suite runs.
    std::mem::forget(client);
    Ok(heard)
}

async fn writes(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("writer", &["--writes=allow"])?;
    let insert =
        json!({"sql": "INSERT INTO shop.items (id, name) VALUES ($1, $2), (5, 'shelf')", "params": [4, "x'; --"]});
    ensure!(shop.good(&server, "execute", insert).await? == json!({"rows_affected": 2}));
    let update = json!({"sql": "UPDATE shop.items SET price = $1 WHERE id > $2", "params": ["2.25", 3]});
    ensure!(shop.good(&server, "execute", update).await? == json!({"rows_affected": 2}));
    ensure!(
        shop.postgres.rows("shop", "SELECT name, price FROM shop.items WHERE id = 4").await? == [["x'; --", "2.25"]]
    );
    let delete =
        json!({"sql": "WITH gone AS (SELECT 4 AS id) DELETE FROM shop.items USING gone WHERE items.id >= gone.id"});
    ensure!(shop.good(&server, "execute", delete).await? == json!({"rows_affected": 2}));
    let attacks = [
        ("DELETE FROM shop.items", "foreign key"),
        ("UPDATE shop.items SET name = 'same'", "duplicate key"),
        ("DELETE FROM hr.pay", "permission denied"),
        ("DELETE FROM shop.orders; DELETE FROM shop.orders", "one statement"),
        ("DELETE FROM shop.orders RETURNING *", "leave RETURNING out"),
        ("UPDATE shop.items SET name = pg_read_file('/etc/passwd')", "not called here"),
        (
            "INSERT INTO shop.orders SELECT 9, 1, now() FROM (SELECT set_config('role', 'boss', false)) AS x",
            "not called",
        ),
        ("COPY shop.items FROM PROGRAM 'touch {dir}'", "expected one INSERT"),
        ("DROP TABLE shop.orders", "expected one INSERT"),
        ("TRUNCATE shop.orders", "expected one INSERT"),
        ("CREATE TABLE shop.loot (a int)", "expected one INSERT"),
        ("GRANT ALL ON shop.items TO PUBLIC", "expected one INSERT"),
        ("COMMIT", "expected one INSERT"),
        ("SELECT 1", "query reads"),
    ];
    attack(&shop, &server, "execute", &attacks).await?;
    let reader = shop.server("reader", &["--writes=allow"])?;
    attack(&shop, &reader, "execute", &[("DELETE FROM shop.orders", "permission denied")]).await
}

async fn types(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    shop.postgres
        .run("shop", "CREATE TYPE shop.mood AS ENUM ('fine'); CREATE DOMAIN shop.small AS int CHECK (VALUE < 9)")
        .await?;
    for (expression, kind, value) in [
        ("true", "bool", json!(true)),
        ("1::int2", "int2", json!(1)),
        ("-2147483648", "int4", json!(-2_147_483_648_i64)),
        ("9007199254740991", "int8", json!(9_007_199_254_740_991_i64)),
        ("9223372036854775807", "int8", json!("9223372036854775807")),
        ("0.1::float4", "float4", json!(0.1)),
        ("'NaN'::float8", "float8", json!("NaN")),
        ("'-Infinity'::float8", "float8", json!("-inf")),
        ("1.10::numeric", "numeric", json!("1.10")),
        ("123456789012345678901234567890.123456789", "numeric", json!("123456789012345678901234567890.123456789")),
        ("'NaN'::numeric", "numeric", json!("NaN")),
        ("'12.50'::money", "money", json!("$12.50")),
        ("'ü \"x\"'::text", "text", json!("ü \"x\"")),
        ("'ab'::char(4)", "bpchar", json!("ab")),
        ("'\\x00ff'::bytea", "bytea", json!("\\x00ff")),
        ("date '2026-02-28'", "date", json!("2026-02-28")),
        ("time '01:02:03.5'", "time", json!("01:02:03.5")),
        ("timestamp '2026-02-28 01:02:03'", "timestamp", json!("2026-02-28T01:02:03")),
        ("timestamptz '2026-02-28 01:02:03+02'", "timestamptz", json!("2026-02-27T23:02:03+00:00")),
        ("timestamptz 'infinity'", "timestamptz", json!("infinity")),
        ("interval '1 year 2 days 03:04:05'", "interval", json!("P1Y2DT3H4M5S")),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'{\"a\": [1, 9007199254740993]}'::jsonb", "jsonb", json!({"a": [1, "9007199254740993"]})),
        ("'null'::json", "json", json!(null)),
        ("ARRAY[1, NULL]", "_int4", json!([1, null])),
        ("ARRAY[[1], [9223372036854775807]]", "_int8", json!([[1], ["9223372036854775807"]])),
        ("ARRAY[1.10, 2]::numeric[]", "_numeric", json!(["1.10", "2"])),
        ("ARRAY['a,b', 'NULL']", "_text", json!(["a,b", "NULL"])),
        ("ARRAY[timestamptz '2026-02-28 00:00:00+00']", "_timestamptz", json!(["2026-02-28T00:00:00+00:00"])),
        ("'10.0.0.0/8'::cidr", "cidr", json!("10.0.0.0/8")),
        ("int4range(1, 5)", "int4range", json!("[1,5)")),
        ("point(1, 2)", "point", json!("(1,2)")),
        ("B'101'", "bit", json!("101")),
        ("'a b'::tsvector", "tsvector", json!("'a' 'b'")),
        ("'<a/>'::xml", "xml", json!("<a/>")),
        ("'fine'::shop.mood", "mood", json!("fine")),
        // PostgreSQL tells of a domain only what it is made of.
        ("7::shop.small", "int4", json!(7)),
        ("ROW(1, 'a')", "record", json!("(1,a)")),
        ("'shop.items'::regclass", "regclass", json!("shop.items")),
        ("NULL::int", "int4", json!(null)),
        ("NULL", "text", json!(null)),
    ] {
        let page = shop.good(&server, "query", json!({"sql": format!("SELECT {expression} AS it")})).await?;
        ensure!(page["columns"] == json!([{"name": "it", "type": kind}]), "{expression}: {page}");
        ensure!(page["rows"] == json!([[value]]), "{expression}: {}", page["rows"]);
    }
    let twice = shop.good(&server, "query", json!({"sql": "SELECT 1 AS a, 2 AS a, 3 AS \"x\"\"y\"; -- end"})).await?;
    ensure!(twice["rows"] == json!([[1, 2, 3]]) && twice["columns"][2]["name"] == "x\"y", "{twice}");
    shop.postgres.run("shop", "DROP TYPE shop.mood; DROP DOMAIN shop.small").await
}

async fn parameters(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    let sql = "SELECT $1::int8, $2::numeric, $3::timestamptz, $4::jsonb, $5::text[], $6::bool, $7::uuid, $8, $9::bytea";
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let params =
        json!(["9223372036854775807", "0.10", "2026-01-01", {"a": 1}, ["x", null, "a\"b"], true, id, "'; --", "\\xff"]);
    let rows = shop.good(&server, "query", json!({"sql": sql, "params": params})).await?["rows"].clone();
    let expected = json!([[
        "9223372036854775807", "0.10", "2026-01-01T00:00:00+00:00", {"a": 1}, ["x", null, "a\"b"], true, id, "'; --", "\\xff"
    ]]);
    ensure!(rows == expected, "{rows}");
    for (sql, params, words) in [
        ("SELECT $1::int", json!(["many"]), "invalid input syntax"),
        ("SELECT $1, $2", json!([1]), "has 2 parameters, params has 1"),
        ("SELECT 1", json!([1]), "has 0 parameters, params has 1"),
        ("SELEC 1", json!([]), "cannot be read"),
        ("SELECT missing FROM shop.items", json!([]), "at character 8"),
    ] {
        let told = shop.bad(&server, "query", json!({"sql": sql, "params": params})).await?;
        contains(&told, words, sql)?;
    }
    Ok(())
}

async fn pages(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    let sql = "SELECT i, repeat('x', 300) FROM generate_series(1, 3000) AS i ORDER BY i";
    let (mut arguments, mut seen, mut pages) = (json!({"sql": sql, "limit": 1000}), Vec::new(), 0);
    loop {
        let page = shop.good(&server, "query", arguments.clone()).await?;
        ensure!(page.to_string().len() <= 64 * 1024);
        seen.extend(page["rows"].as_array().into_iter().flatten().filter_map(|row| row[0].as_i64()));
        pages += 1;
        if page["truncated"] == false {
            break;
        }
        arguments["cursor"] = page["next_cursor"].clone();
    }
    ensure!(seen == (1..=3000).collect::<Vec<i64>>() && pages > 10, "{pages} pages, {} rows", seen.len());
    let sql =
        "SELECT repeat('ü', 50000000) AS a, (SELECT jsonb_agg(i) FROM generate_series(1, 99999) AS i) AS b, 1 AS c";
    let page = shop.good(&server, "query", json!({"sql": sql})).await?;
    ensure!(page["cut_cells"] == 2 && page["rows"][0][2] == 1, "{}", page["cut_cells"]);
    let wide = (0..1600).map(|it| format!("{it} AS a_column_with_a_long_name_{it}")).collect::<Vec<_>>().join(",");
    let told = shop
        .bad(
            &server,
            "query",
            json!({"sql": format!("SELECT {}", &wide[..15_000].rsplit_once(',').map_or("", |it| it.0))}),
        )
        .await;
    ensure!(told.is_err() || told.is_ok_and(|told| told.contains("name the columns")), "a wide row");
    Ok(())
}

async fn schema(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    let listed = shop.good(&server, "list_tables", json!({})).await?;
    let names: Vec<_> = listed["tables"].as_array().into_iter().flatten().map(|it| it["name"].as_str()).collect();
    ensure!(names == [Some("pay"), Some("reviews"), Some("best_paid"), Some("items"), Some("orders")], "{listed}");
    ensure!(listed["tables"][3]["comment"] == "What is sold" && listed["tables"][2]["kind"] == "view", "{listed}");
    let items = shop.good(&server, "describe_table", json!({"table": "shop.items"})).await?;
    let price =
        json!({"name": "price", "type": "numeric(12,2)", "nullable": false, "primary_key": false, "default": "1.50"});
    ensure!(items["columns"][2] == price && items["columns"][0]["primary_key"] == true, "{items}");
    let orders = shop.good(&server, "describe_table", json!({"schema": "shop", "table": "orders"})).await?;
    let keys = json!([{"columns": ["item"], "table": "shop.items", "references": ["id"]}]);
    ensure!(orders["foreign_keys"] == keys, "{orders}");
    ensure!(
        orders["indexes"][0] == json!({"name": "orders_by_item", "unique": false, "columns": ["item"]}),
        "{orders}"
    );
    let found = shop.good(&server, "search_schema", json!({"text": "PAID"})).await?;
    ensure!(found["matches"] == json!([{"schema": "shop", "table": "best_paid", "type": "view"}]), "{found}");
    let found = shop.good(&server, "search_schema", json!({"text": "price"})).await?;
    ensure!(found["matches"][0]["type"] == "numeric(12,2)", "{found}");
    let plan = json!({"sql": "SELECT * FROM shop.items WHERE id = $1", "params": [1]});
    let plan = shop.good(&server, "explain_query", plan).await?;
    ensure!(plan["plan"].as_str().is_some_and(|plan| plan.contains("on items")), "{plan}");
    contains(&shop.bad(&server, "describe_table", json!({"table": "nobody"})).await?, "list_tables", "no table")
}

async fn limited(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &["--schemas=shop"])?;
    ensure!(shop.rows(&server, "SELECT count(*) FROM items").await? == json!([[3]]), "found without its schema");
    ensure!(shop.rows(&server, "SELECT amount FROM best_paid").await? == json!([[4711]]), "a view is what it is for");
    let attacks = [
        ("SELECT * FROM hr.pay", "not among those of this server"),
        ("SELECT (SELECT max(amount) FROM \"hr\".pay)", "not among those of this server"),
        ("SELECT relname FROM pg_class", "not among those of this server"),
        ("SELECT table_name FROM information_schema.tables", "not among those of this server"),
        ("SELECT query_to_xml('SELECT * FROM hr.pay', true, true, '')", "not called here"),
        // Its text names nothing: the engine's locks tell.
        ("SELECT shop.peek()", "read from hr"),
    ];
    attack(&shop, &server, "query", &attacks).await?;
    let listed = shop.good(&server, "list_tables", json!({})).await?;
    ensure!(!listed.to_string().contains("pay\""), "{listed}");
    contains(&shop.bad(&server, "describe_table", json!({"table": "hr.pay"})).await?, "no table", "hr.pay")
}
