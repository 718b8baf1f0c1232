//! With `--writes=consent` a person is asked before rows change, in both eras; until then they are as they were.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod world;

use serde_json::{Value, json};
use world::{World, memory};

const DELETE: &str = "DELETE FROM projects WHERE status = 'done'";

fn projects(world: &World) -> Value {
    world.rows("SELECT count(*) FROM projects")
}

/// A call of 2026-07-28 by a client that shows forms.
fn modern(world: &World, more: Value) -> Value {
    let mut params = json!({"name": "execute", "arguments": {"sql": DELETE}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    }});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "execute")];
    world.server.post(&headers, &body).json()
}

fn answer(state: &Value, action: &str) -> Value {
    let content = if action == "accept" { json!({"agree": true}) } else { Value::Null };
    json!({"requestState": state, "inputResponses": {"consent": {"action": action, "content": content}}})
}

#[test]
fn a_person_with_a_form_agrees_or_does_not() {
    let world = memory(&["--writes=consent"]);
    let asked = modern(&world, json!({}));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let question = asked["result"]["inputRequests"]["consent"]["params"]["message"].as_str().unwrap();
    assert!(question.contains(DELETE), "{question}");
    let refused = modern(&world, answer(&asked["result"]["requestState"], "decline"));
    assert_ne!(refused["result"]["structuredContent"]["rows_affected"], 2, "{refused}");
    assert_eq!(projects(&world), json!([[7]]));
    let asked = modern(&world, json!({}));
    let done = modern(&world, answer(&asked["result"]["requestState"], "accept"));
    assert_eq!(done["result"]["structuredContent"], json!({"rows_affected": 2}), "{done}");
    assert_eq!(projects(&world), json!([[5]]));
}

#[test]
fn a_client_without_forms_repeats_the_call_with_what_it_was_given() {
    let world = memory(&["--writes=consent"]);
    let asked = world.server.call("execute", json!({"sql": DELETE}));
    let token = asked["structuredContent"]["consent_needed"]["consent_token"].clone();
    assert!(token.is_string(), "{asked}");
    assert_eq!(projects(&world), json!([[7]]));
    let other = world.server.call("execute", json!({"sql": "DELETE FROM projects", "consent_token": token}));
    assert_ne!(other["structuredContent"]["rows_affected"], 7, "{other}");
    assert_eq!(projects(&world), json!([[7]]), "what was agreed to is one statement");
    let done = world.server.call("execute", json!({"sql": DELETE, "consent_token": token}));
    assert_eq!(done["structuredContent"], json!({"rows_affected": 2}), "{done}");
    assert_eq!(projects(&world), json!([[5]]));
}
