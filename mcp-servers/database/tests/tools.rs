//! The list of tools, and each of them on the sample database.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use world::{memory, world};

/// The same JSON with sorted keys, however maps are ordered in this build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), sorted(value)))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect(),
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_list_of_tools_is_stable_small_and_complete() {
    let world = memory(&["--writes=allow"]);
    let tools = world.tools.as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["describe_table", "execute", "explain_query", "list_tables", "query", "search_schema"]);
    for tool in tools {
        assert!(tool["title"].is_string() && tool["outputSchema"]["type"] == "object", "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(!tool.to_string().contains("$ref"), "{tool}");
        assert!(tool["description"].as_str().unwrap().len() < 200, "{tool}");
        let writes = tool["name"] == "execute";
        let hints = json!({
            "readOnlyHint": !writes, "destructiveHint": writes, "idempotentHint": !writes, "openWorldHint": false,
        });
        assert_eq!(tool["annotations"], hints);
    }
    let tokens = world.tools.to_string().len() / 4;
    assert!(tokens <= 2500, "the tools cost {tokens} tokens");
    insta::assert_snapshot!(serde_json::to_string_pretty(&sorted(&world.tools)).unwrap());
}

#[test]
fn without_writes_there_is_no_tool_that_writes() {
    let world = memory(&[]);
    assert!(world.tools.as_array().unwrap().iter().all(|tool| tool["name"] != "execute"));
    let call = json!({"name": "execute", "arguments": {"sql": "DELETE FROM users"}});
    let answer = world.server.post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}));
    assert_eq!(answer.json()["error"]["code"], -32602, "{answer:?}");
    assert_eq!(world.rows("SELECT count(*) FROM users"), json!([[8]]));
}

#[test]
fn rows_come_with_the_types_of_their_columns() {
    let world = memory(&[]);
    let page =
        world.call("query", json!({"sql": "SELECT id, name, active, NULL AS n, 1.5 AS r FROM users ORDER BY id"}));
    let columns = json!([
        {"name": "id", "type": "integer"}, {"name": "name", "type": "text"}, {"name": "active", "type": "boolean"},
        {"name": "n", "type": "null"}, {"name": "r", "type": "real"},
    ]);
    assert_eq!(page["columns"], columns);
    assert_eq!(page["rows"][0], json!([1, "Ada Byron", 1, null, 1.5]));
    assert_eq!((&page["row_count"], &page["truncated"]), (&json!(8), &json!(false)));
    assert!(page.get("next_cursor").is_none());
}

#[test]
fn numbers_blobs_and_json_keep_their_value() {
    let world = memory(&[]);
    for (sql, expected) in [
        ("SELECT 9007199254740991", json!(9_007_199_254_740_991_i64)),
        ("SELECT 9007199254740992", json!("9007199254740992")),
        ("SELECT -9223372036854775808", json!("-9223372036854775808")),
        ("SELECT 0.1", json!(0.1)),
        ("SELECT 9e999", json!("inf")),
        ("SELECT x'00ff'", json!("X'00FF'")),
        ("SELECT json('{\"a\": [1]}')", json!("{\"a\":[1]}")),
        ("SELECT 'ü \"x\" ' || char(0)", json!("ü \"x\" \u{0}")),
        ("SELECT count(*) FROM users", json!(8)),
    ] {
        assert_eq!(world.rows(sql), json!([[expected]]), "{sql}");
    }
}

#[test]
fn parameters_are_values_and_never_text() {
    let world = memory(&[]);
    let ask = |sql: &str, params: Value| world.call("query", json!({"sql": sql, "params": params}))["rows"].clone();
    let given = json!([1, "x'; DROP TABLE users; --", null, true, 1.5, [1, 2]]);
    assert_eq!(
        ask("SELECT ?1, ?2, ?3, ?4, ?5, ?6", given),
        json!([[1, "x'; DROP TABLE users; --", null, 1, 1.5, "[1,2]"]])
    );
    assert_eq!(ask("SELECT name FROM users WHERE email = ?", json!(["ada@example.com"])), json!([["Ada Byron"]]));
    let error = world.fails("query", json!({"sql": "SELECT ?1, ?2", "params": [1]}));
    assert!(error.contains("has 2 parameters, params has 1"), "{error}");
}

#[test]
fn pages_join_without_loss_and_without_repetition() {
    let world = memory(&[]);
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
               SELECT i, printf('%.300c', 'x') FROM n ORDER BY i";
    let (mut cursor, mut seen, mut pages) = (Value::Null, Vec::new(), 0);
    loop {
        let mut arguments = json!({"sql": sql, "limit": 1000});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = world.call("query", arguments);
        seen.extend(page["rows"].as_array().unwrap().iter().map(|row| row[0].as_i64().unwrap()));
        pages += 1;
        cursor = page.get("next_cursor").cloned().unwrap_or_default();
        assert_eq!(page["truncated"], !cursor.is_null());
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, (1..=5000).collect::<Vec<i64>>());
    assert!(pages > 20, "{pages}");
    let first = world.call("query", json!({"sql": "SELECT id FROM users ORDER BY id", "limit": 3}));
    let foreign = json!({"sql": "SELECT id FROM projects", "cursor": first["next_cursor"]});
    assert!(world.fails("query", foreign).contains("another question"));
}

#[test]
fn a_long_cell_is_cut_and_told() {
    let world = memory(&[]);
    let page = world.call("query", json!({"sql": "SELECT printf('%.1000000c', 'x') AS long, 1 AS one"}));
    assert_eq!((&page["cut_cells"], &page["rows"][0][1]), (&json!(1), &json!(1)));
    assert!(page["rows"][0][0].as_str().unwrap().ends_with("x…"));
}

#[test]
fn the_schema_is_listed_described_and_searched() {
    let world = memory(&[]);
    let tables = world.call("list_tables", json!({}));
    let names: Vec<&str> = tables["tables"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["active_projects", "projects", "users"]);
    assert_eq!(tables["tables"][0], json!({"schema": "main", "name": "active_projects", "kind": "view"}));
    let projects = world.call("describe_table", json!({"table": "projects"}));
    assert_eq!(projects["columns"][0], json!({"name": "id", "type": "integer", "nullable": true, "primary_key": true}));
    let key = json!([{"columns": ["owner_id"], "table": "users", "references": ["id"]}]);
    assert_eq!(projects["foreign_keys"], key);
    assert!(projects["indexes"].to_string().contains("projects_by_owner"), "{projects}");
    let found = world.call("search_schema", json!({"text": "OWNER"}));
    let expected = json!([
        {"schema": "main", "table": "active_projects", "column": "owner", "type": "text"},
        {"schema": "main", "table": "projects", "column": "owner_id", "type": "integer"},
    ]);
    assert_eq!(found["matches"], expected);
    assert!(world.fails("describe_table", json!({"table": "nobody"})).contains("list_tables names them"));
    assert!(world.fails("list_tables", json!({"schema": "temp"})).contains("SQLite has one, main"));
}

#[test]
fn a_plan_is_shown_and_nothing_is_run() {
    let world = memory(&["--writes=allow"]);
    let plan = world.call("explain_query", json!({"sql": "SELECT * FROM projects WHERE owner_id = ?1", "params": [1]}));
    assert!(plan["plan"].as_str().unwrap().contains("projects_by_owner"), "{plan}");
    let error = world.fails("explain_query", json!({"sql": "EXPLAIN SELECT 1"}));
    assert!(error.contains("syntax error") || error.contains("without EXPLAIN"), "{error}");
    world.fails("explain_query", json!({"sql": "DELETE FROM users"}));
    assert_eq!(world.rows("SELECT count(*) FROM users"), json!([[8]]));
}

#[test]
fn rows_are_changed_where_writes_are_on_and_survive_a_kill() {
    let mut world = world(&["--writes=allow"]);
    let insert = json!({"sql": "INSERT INTO projects VALUES (8, ?1, 1, 'planned', 1, NULL)", "params": ["Difference"]});
    assert_eq!(world.call("execute", insert), json!({"rows_affected": 1}));
    assert_eq!(
        world.call("execute", json!({"sql": "UPDATE projects SET budget = 2 WHERE owner_id = 1"}))["rows_affected"],
        2
    );
    assert_eq!(world.call("execute", json!({"sql": "DELETE FROM projects WHERE status = 'done'"}))["rows_affected"], 2);
    world.restart(&[]);
    assert_eq!(world.rows("SELECT count(*), sum(budget = 2) FROM projects"), json!([[6, 2]]));
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let world = world(&["--writes=allow"]);
    for (sql, words) in [
        ("UPDATE projects SET name = 'same'", "UNIQUE"),
        ("DELETE FROM users", "FOREIGN KEY"),
        ("SELECT 1", "query reads"),
        ("DELETE FROM projects RETURNING id", "leave RETURNING out"),
    ] {
        let error = world.fails("execute", json!({"sql": sql}));
        assert!(error.contains(words), "{sql}: {error}");
    }
    assert_eq!(world.rows("SELECT count(*), count(DISTINCT name) FROM projects"), json!([[7, 7]]));
    assert_eq!(world.rows("SELECT count(*) FROM users"), json!([[8]]));
}

#[test]
fn resources_and_prompts_are_offered() {
    let world = memory(&[]);
    let ask = |method: &str, params: Value| {
        let answer = world.server.post(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        answer.json()["result"].clone()
    };
    assert_eq!(ask("resources/list", json!({}))["resources"][0]["uri"], "db://tables");
    let templates = ask("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "db://tables/{schema}/{name}");
    let users = ask("resources/read", json!({"uri": "db://tables/main/users"}));
    let users: Value = serde_json::from_str(users["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(users, world.call("describe_table", json!({"table": "users"})));
    let prompt = ask("prompts/get", json!({"name": "analyze_table", "arguments": {"table": "users"}}));
    assert!(prompt["messages"][0]["content"]["text"].as_str().unwrap().contains("describe_table users"), "{prompt}");
    let prompts = ask("prompts/list", json!({}));
    let names: Vec<&str> =
        prompts["prompts"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["analyze_table", "write_query"]);
}
