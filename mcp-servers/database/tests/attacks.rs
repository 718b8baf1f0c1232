//! What a statement may not do to a SQLite database, its files and the process: a table of attacks on the real server.
//! After each, data and files are what they were, the server answers, and the refusal says why.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;
use sha2::{Digest, Sha256};
use world::{World, world};

/// What all files of a directory hold. SQLite's shared memory is how readers find each other, and no data.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| path.extension().is_none_or(|it| it != "db-shm"));
    let file = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, format!("{:x}", Sha256::digest(fs::read(path).unwrap())))
    };
    kept.map(file).collect()
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM projects), \
                      (SELECT count(*) FROM sqlite_schema), (SELECT group_concat(sql) FROM sqlite_schema)";

/// Runs attacks with a tool; `{dir}` is the directory of the database.
fn attack(world: &World, tool: &str, attacks: &[(&str, &str)]) {
    let before = (files(world.directory.path()), world.rows(COUNTS));
    let directory = world.directory.path().display().to_string();
    let mut surprises = Vec::new();
    for (sql, words) in attacks {
        let sql = sql.replace("{dir}", &directory);
        let error = world.fails(tool, json!({"sql": sql}));
        if !error.contains(words) {
            surprises.push(format!("{tool} {sql:.200}: expected {words:?} in {error:?}"));
        }
        assert!(!error.contains(&directory) || sql.contains(&directory), "{sql}: the error names a path: {error}");
        assert_eq!((files(world.directory.path()), world.rows(COUNTS)), before, "{tool} {sql}");
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}

#[test]
fn queries_do_nothing_but_read() {
    let world = world(&["--statement-timeout-seconds=3"]);
    attack(
        &world,
        "query",
        &[
            ("INSERT INTO users VALUES (9, 'Eve', 'eve@example.com', 'admin', 1, '')", "not authorized"),
            ("UPDATE users SET role = 'admin'", "not authorized"),
            ("DELETE FROM projects", "not authorized"),
            ("DROP TABLE projects", "not authorized"),
            ("CREATE TABLE loot (a)", "not authorized"),
            ("CREATE TEMP TABLE loot AS SELECT * FROM users", "not authorized"),
            ("CREATE TEMP TRIGGER evil AFTER INSERT ON users BEGIN DELETE FROM projects; END", "not authorized"),
            ("CREATE TEMP VIEW evil AS SELECT * FROM users", "not authorized"),
            ("CREATE VIRTUAL TABLE evil USING fts5(x)", "not authorized"),
            ("CREATE VIRTUAL TABLE temp.evil USING rtree(id, a, b)", "not authorized"),
            ("ALTER TABLE users ADD COLUMN evil", "not authorized"),
            ("REINDEX", "not authorized"),
            ("ANALYZE", "not authorized"),
            ("VACUUM", "takes one SELECT"),
            ("VACUUM INTO '{dir}/stolen.db'", "takes one SELECT"),
            ("ATTACH '{dir}/other.db' AS other", "not authorized"),
            ("ATTACH 'file:{dir}/sample.db?mode=rw' AS other", "not authorized"),
            ("DETACH main", "not authorized"),
            ("PRAGMA writable_schema = on", "not authorized"),
            ("PRAGMA query_only = off", "not authorized"),
            ("PRAGMA journal_mode = delete", "not authorized"),
            ("PRAGMA hard_heap_limit = 0", "not authorized"),
            ("PRAGMA temp_store_directory = '{dir}'", "not authorized"),
            ("SELECT * FROM pragma_database_list", "not authorized"),
            ("SELECT load_extension('{dir}/evil.so')", "not authorized"),
            ("SELECT readfile('/etc/passwd')", "no such function"),
            ("SELECT writefile('{dir}/evil', 'x')", "no such function"),
            ("SELECT edit('x', '/bin/sh')", "no such function"),
            ("SELECT fts3_tokenizer('simple')", "not authorized"),
            ("SELECT * FROM sqlite_dbpage", "no such table"),
            ("SELECT path FROM dbstat", "dbstat"),
            ("SELECT 1; SELECT 2", "one statement at a time"),
            ("SELECT 1; DELETE FROM users", "not authorized"),
            ("SELECT 1; -- and\n/* then */ DROP TABLE users", "not authorized"),
            ("BEGIN IMMEDIATE", "not authorized"),
            ("COMMIT", "not authorized"),
            ("ROLLBACK", "not authorized"),
            ("SAVEPOINT a", "not authorized"),
            ("WITH x AS (SELECT 1) DELETE FROM users WHERE id IN x RETURNING *", "not authorized"),
            ("REPLACE INTO users SELECT * FROM users", "not authorized"),
            ("INSERT INTO sqlite_schema VALUES ('table', 'a', 'a', 0, 'x')", "not"),
            ("EXPLAIN SELECT * FROM users", "explain_query"),
            ("", "column"),
            ("-- nothing", "column"),
        ],
    );
}

#[test]
fn a_statement_that_would_eat_memory_or_time_is_stopped() {
    let world = world(&["--statement-timeout-seconds=3"]);
    let nested = format!("SELECT {}1{}", "(".repeat(4000), ")".repeat(4000));
    let endless = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(800));
    attack(
        &world,
        "query",
        &[
            (
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
                "took too long",
            ),
            (
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
                "took too long",
            ),
            (
                "SELECT count(*) FROM users a, users b, users c, users d, users e, users f, users g, users h, users i, users j, \
                 users k, users l, users m, users n",
                "took",
            ),
            ("SELECT randomblob(1000000000)", "4 MiB"),
            ("SELECT zeroblob(2147483647)", "4 MiB"),
            ("SELECT hex(zeroblob(4000000))", "4 MiB"),
            ("SELECT printf('%2000000000d', 1)", "4 MiB"),
            ("SELECT replace(hex(zeroblob(1000000)), '0', 'xxxxxxxxxx')", "4 MiB"),
            (
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
                 SELECT group_concat(printf('%.2000c', 'x')) FROM n",
                "4 MiB",
            ),
            (
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                 SELECT i, printf('%.3000000c', 'x') AS b FROM n ORDER BY b, i",
                "more memory",
            ),
            ("SELECT * FROM users WHERE name LIKE printf('%.5000c', '%')", "pattern too complex"),
            (&nested, "Recursion limit"),
            (&endless, "too many terms"),
        ],
    );
    let long = world.fails("query", json!({"sql": format!("SELECT '{}'", "x".repeat(20_000))}));
    assert!(long.contains("at most 16384"), "{long}");
    let parameters = world.fails("query", json!({"sql": "SELECT 1", "params": vec![1; 501]}));
    assert!(parameters.contains("at most 500"), "{parameters}");
    let peak = world.server.kib("VmHWM");
    assert!(peak < 200 * 1024, "the process grew to {peak} KiB");
}

#[test]
fn a_huge_result_is_a_page_and_not_a_memory() {
    let world = world(&[]);
    let sql =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, printf('%.4000c', 'x') FROM n";
    let page = world.call("query", json!({"sql": sql, "limit": 1000}));
    assert_eq!(page["truncated"], true);
    assert!(page["row_count"].as_u64().unwrap() > 5, "{}", page["row_count"]);
}

#[test]
fn writes_change_rows_and_nothing_else() {
    let world = world(&["--writes=allow"]);
    // The first write opens what writes.
    world.call("execute", json!({"sql": "UPDATE users SET active = active WHERE id = 1"}));
    attack(
        &world,
        "execute",
        &[
            ("DROP TABLE users", "not authorized"),
            ("CREATE TABLE loot (a)", "not authorized"),
            ("CREATE TRIGGER evil AFTER INSERT ON users BEGIN DELETE FROM projects; END", "not authorized"),
            ("ALTER TABLE users RENAME TO others", "not authorized"),
            ("ATTACH '{dir}/other.db' AS other", "not authorized"),
            ("VACUUM INTO '{dir}/stolen.db'", "authorization denied"),
            ("PRAGMA writable_schema = on", "not authorized"),
            ("PRAGMA user_version = 7", "not authorized"),
            ("UPDATE sqlite_schema SET sql = 'x'", "may not be modified"),
            ("DELETE FROM sqlite_schema", "may not be modified"),
            ("DELETE FROM projects; DELETE FROM users", "one statement at a time"),
            ("UPDATE users SET name = load_extension('{dir}/evil.so')", "not authorized"),
            ("UPDATE users SET name = zeroblob(1000000000)", "4 MiB"),
            ("COMMIT", "not authorized"),
        ],
    );
}

#[test]
fn a_schema_that_was_prepared_by_somebody_else_gains_nothing() {
    let world = world(&[]);
    let prepared = world.directory.path().join("prepared.db");
    let connection = rusqlite::Connection::open(&prepared).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE a (x); INSERT INTO a VALUES (1);
             CREATE VIEW loads AS SELECT load_extension('evil') AS x;
             CREATE VIEW lists AS SELECT * FROM pragma_database_list;
             CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('hello world');",
        )
        .unwrap();
    drop(connection);
    let file = format!("--sqlite={}", prepared.display());
    let server = world::Server::start(world::BINARY, &[&file]);
    let ask = |sql: &str| server.call("query", json!({"sql": sql}));
    assert_eq!(ask("SELECT x FROM a")["structuredContent"]["rows"], json!([[1]]));
    let found = ask("SELECT body FROM words WHERE words MATCH 'hello'");
    assert_eq!(found["structuredContent"]["rows"], json!([["hello world"]]), "{found}");
    for sql in ["SELECT * FROM loads", "SELECT * FROM lists"] {
        let error = world::support::error_of(&ask(sql)).to_owned();
        assert!(error.contains("not authorized") || error.contains("unsafe use"), "{sql}: {error}");
    }
}
