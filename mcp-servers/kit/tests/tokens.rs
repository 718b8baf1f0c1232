//! Tokens: who gets in with one, who does not, and what both are told. The issuer is a real endpoint with real keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "clippy knows #[test] functions as tests, but not the functions beside them"
)]

mod issuer;
mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use issuer::{Issuer, Signer, now};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use support::{Answer, Server, get};

const DEMO: &str = env!("CARGO_BIN_EXE_mcp-demo");
const AUDIENCE: &str = "https://mcp.example.com/mcp";

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

fn call(tool: &str) -> Value {
    let params = json!({"name": tool, "arguments": {"number": 0}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

fn with(server: &Server, token: &str, body: &Value) -> Answer {
    server.post(&[("authorization", &format!("Bearer {token}"))], body)
}

/// A server that takes tokens of this issuer, for this audience.
fn trusting(issuer: &Issuer, more: &[&str]) -> Server {
    let (whose, audience) = (format!("--jwt-issuer={}", issuer.url()), format!("--resource-url={AUDIENCE}"));
    let arguments: Vec<&str> = [whose.as_str(), &audience].into_iter().chain(more.iter().copied()).collect();
    Server::start(DEMO, &arguments)
}

/// Claims that are good for everything, with these members changed; `null` takes one out.
fn claims(issuer: &Issuer, changes: Value) -> Value {
    let mut claims = json!({
        "iss": issuer.url(), "sub": "alice", "aud": AUDIENCE, "exp": now() + 300, "iat": now(), "scope": "read write",
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn a_token_opens_under_every_kind_of_key() {
    let issuer = Issuer::new(vec![Signer::rsa("rsa"), Signer::ec("ec"), Signer::ed("ed")]);
    let server = trusting(&issuer, &[]);
    for id in ["rsa", "ec", "ed"] {
        let answer = with(&server, &issuer.sign(id, claims(&issuer, json!({}))), &call("whoami"));
        let said = &answer.json()["result"]["structuredContent"]["said"];
        assert_eq!(*said, json!(format!("{}#alice", issuer.url())), "{id}: {answer:?}");
    }
    assert_eq!(issuer.count("/jwks"), 1, "the keys are fetched once");
}

#[test]
fn every_other_token_is_refused_and_told_why() {
    let issuer = Issuer::new(vec![Signer::rsa("rsa"), Signer::ec("ec"), Signer::ed("ed")]);
    let server = trusting(&issuer, &["--jwt-scopes=mcp"]);
    let good = claims(&issuer, json!({"scope": "mcp read"}));
    assert_eq!(with(&server, &issuer.sign("ec", good.clone()), &list()).status, 200);
    let changed = |changes: Value| {
        let mut all = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        issuer.sign("ec", all)
    };
    let without = |name: &str| {
        let mut all = good.clone();
        all.as_object_mut().unwrap().remove(name);
        issuer.sign("ec", all)
    };
    let stranger = Signer::ec("ec");
    let signed = issuer.sign("ec", good.clone());
    let (head, rest) = signed.split_once('.').unwrap();
    let other = issuer.sign("ec", claims(&issuer, json!({"sub": "mallory", "scope": "mcp read"})));
    let swapped = format!("{head}.{}.{}", other.split('.').nth(1).unwrap(), rest.split_once('.').unwrap().1);
    let wrong = "error=\"invalid_token\"";
    for (what, token, status, told, challenge) in [
        ("expired", changed(json!({"exp": now() - 60})), 401, "has expired", wrong),
        ("not yet", changed(json!({"nbf": now() + 120})), 401, "not valid yet", wrong),
        ("wrong audience", changed(json!({"aud": "https://other.example"})), 401, "another audience", wrong),
        ("wrong issuer", changed(json!({"iss": "https://other.example"})), 401, "another issuer", wrong),
        ("a list of issuers", changed(json!({"iss": [issuer.url()]})), 401, "wrong form", wrong),
        ("no expiry", without("exp"), 401, "lacks one of the claims", wrong),
        ("no audience", without("aud"), 401, "lacks one of the claims", wrong),
        ("no issuer", without("iss"), 401, "lacks one of the claims", wrong),
        ("no subject", without("sub"), 401, "lacks one of the claims", wrong),
        ("empty subject", changed(json!({"sub": ""})), 401, "subject", wrong),
        ("long subject", changed(json!({"sub": "x".repeat(257)})), 401, "subject", wrong),
        ("control characters", changed(json!({"sub": "a\nb"})), 401, "subject", wrong),
        ("alg none", issuer::unsigned(&good), 401, "algorithm is not supported", wrong),
        ("HS256 with the public key", issuer.signer("rsa").confused(&good), 401, "not one of the issuer's", wrong),
        ("another algorithm", issuer.signer("ec").renamed("rsa").sign(&good), 401, "not one of the issuer's", wrong),
        ("unknown key", Signer::ec("unknown").sign(&good), 401, "not one of the issuer's", wrong),
        ("another's key", stranger.sign(&good), 401, "signature is wrong", wrong),
        ("other claims", swapped, 401, "signature is wrong", wrong),
        ("critical extension", issuer.signer("ec").critical(&good), 401, "critical extensions", wrong),
        ("huge", changed(json!({"pad": "x".repeat(9000)})), 401, "larger than 8 KiB", wrong),
        ("no token", "a.b.c".to_owned(), 401, "malformed", wrong),
        ("no form", "opaque".to_owned(), 401, "expected a token", wrong),
        ("missing scope", changed(json!({"scope": "read"})), 403, "lacks a scope", "error=\"insufficient_scope\""),
    ] {
        let answer = with(&server, &token, &list());
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(told), "{what}: {message}");
        assert!(answer.head.contains(challenge), "{what}: {}", answer.head);
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
        assert!(answer.head.contains(&format!("resource_metadata=\"{metadata}\"")), "{what}: {}", answer.head);
        assert!(answer.head.contains("scope=\"mcp\""), "{what}: {}", answer.head);
    }
    assert_eq!(server.post(&[("x-api-key", signed.as_str())], &list()).status, 401, "a token is no API key");
    let missing = server.post(&[], &list());
    assert_eq!(missing.status, 401);
    assert!(missing.head.contains("resource_metadata=") && !missing.head.contains("error="), "{}", missing.head);
    assert!(issuer.count("/jwks") <= 2, "unknown keys led to {} looks", issuer.count("/jwks"));
}

#[test]
fn a_key_that_left_the_set_opens_nothing_and_a_new_one_does_at_once() {
    let issuer = Issuer::new(vec![Signer::ed("old")]);
    let server = trusting(&issuer, &[]);
    let old = issuer.sign("old", claims(&issuer, json!({})));
    assert_eq!(with(&server, &old, &list()).status, 200);
    issuer.rotate(vec![Signer::ed("new")]);
    assert_eq!(with(&server, &old, &list()).status, 200, "known keys are not looked up at every request");
    assert_eq!(with(&server, &issuer.sign("new", claims(&issuer, json!({}))), &list()).status, 200);
    assert_eq!(with(&server, &old, &list()).status, 401, "the look for the new key saw that the old one left");
    let before = issuer.count("/jwks");
    for id in 0..20 {
        let unknown = Signer::ed(&format!("unknown-{id}")).sign(&claims(&issuer, json!({})));
        assert_eq!(with(&server, &unknown, &list()).status, 401);
    }
    assert_eq!(issuer.count("/jwks"), before, "one look in ten seconds, however many ask");
}

#[test]
fn keys_stay_good_while_the_issuer_is_away_and_without_any_nobody_is_refused_for_good() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let server = trusting(&issuer, &[]);
    let token = issuer.sign("key", claims(&issuer, json!({})));
    assert_eq!(with(&server, &token, &list()).status, 200);
    issuer.fail(true);
    let unknown = Signer::ed("other").sign(&claims(&issuer, json!({})));
    assert_eq!(with(&server, &unknown, &list()).status, 401, "this makes it look again, in vain");
    assert_eq!(with(&server, &token, &list()).status, 200);

    let late = trusting(&issuer, &[]);
    let answer = with(&late, &token, &list());
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after: 10"), "{}", answer.head);
    issuer.fail(false);
    let start = Instant::now();
    while with(&late, &token, &list()).status != 200 {
        assert!(start.elapsed() < Duration::from_mins(1), "the keys were not fetched again");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_scopes_of_a_token_hide_and_refuse_tools() {
    let issuer = Issuer::new(vec![Signer::ec("key")]);
    let server = trusting(&issuer, &[]);
    let token = |changes: Value| issuer.sign("key", claims(&issuer, changes));
    for (scopes, lists, calls, changes) in [
        (json!({"scope": "read write"}), true, 200, 200),
        (json!({"scope": "read"}), false, 200, 403),
        (json!({"scope": null, "scp": ["read", "other"]}), false, 200, 403),
        (json!({"scope": null, "scp": "write"}), true, 403, 200),
        (json!({"scope": null}), false, 403, 403),
    ] {
        let token = token(scopes.clone());
        let names = with(&server, &token, &list()).body;
        assert_eq!(names.contains("\"change\""), lists, "{scopes}: {names}");
        assert_eq!(with(&server, &token, &call("wait")).status, calls, "{scopes}");
        let answer = with(&server, &token, &call("change"));
        assert_eq!(answer.status, changes, "{scopes}");
        let told = answer.head.contains("error=\"insufficient_scope\", scope=\"write\", resource_metadata=");
        assert_eq!(told, changes == 403, "{scopes}: {}", answer.head);
    }
}

#[test]
fn clients_find_the_issuer_by_the_metadata_of_the_resource() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let server = trusting(&issuer, &["--jwt-scopes=mcp"]);
    for suffix in ["", "/mcp"] {
        let answer = get(server.address, &format!("/.well-known/oauth-protected-resource{suffix}"));
        assert_eq!(answer.status, 200, "{suffix}: {answer:?}");
        assert!(answer.head.contains("access-control-allow-origin: *"), "{}", answer.head);
        let expected = json!({
            "resource": AUDIENCE,
            "resource_name": "Demo",
            "authorization_servers": [issuer.url()],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["read", "write", "mcp"],
        });
        assert_eq!(answer.json(), expected);
    }
    assert_eq!(get(server.address, "/.well-known/oauth-protected-resource/other").status, 404);
    assert_eq!(get(Server::start(DEMO, &[]).address, "/.well-known/oauth-protected-resource").status, 404);
}

#[test]
fn an_issuer_that_says_it_is_another_is_not_believed() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let token = issuer.sign("key", claims(&issuer, json!({})));
    issuer.pretend("https://id.example.com");
    assert_eq!(with(&trusting(&issuer, &[]), &token, &list()).status, 503);
    let direct = trusting(&issuer, &[&format!("--jwt-jwks-uri={}/jwks", issuer.url())]);
    assert_eq!(with(&direct, &token, &list()).status, 200, "where the keys are given, metadata is not asked for");
}

#[test]
fn keys_and_tokens_may_be_good_side_by_side() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    let key = "a-key-for-the-cron-job-0123";
    std::fs::write(&file, format!("# one a line\n{key}\n")).unwrap();
    let server = trusting(&issuer, &[&format!("--api-keys={}", file.display())]);
    let token = issuer.sign("key", claims(&issuer, json!({})));
    assert_eq!(with(&server, &token, &list()).status, 200);
    let answer = server.post(&[("x-api-key", key)], &call("whoami")).json();
    let said = answer["result"]["structuredContent"]["said"].as_str().unwrap();
    assert!(said.starts_with("key-") && said.len() == 12, "{said}");
    assert_eq!(with(&server, "some-other-key-0123456789", &list()).status, 401);
}

#[test]
fn each_subject_has_a_rate_of_its_own() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let server = trusting(&issuer, &["--rate-limit=1", "--rate-burst=3"]);
    let token = |sub: &str| issuer.sign("key", claims(&issuer, json!({"sub": sub})));
    let alice = token("alice");
    let refused = (0..8).filter(|_| with(&server, &alice, &list()).status == 429).count();
    assert!(refused > 0);
    assert_eq!(with(&server, &token("bob"), &list()).status, 200, "another subject is not slowed down");
}

#[test]
fn the_operators_probe_may_list_and_never_call() {
    let issuer = Issuer::new(vec![Signer::ed("key")]);
    let probe = Signer::ed("probe");
    let server = trusting(&issuer, &[&format!("--probe-key={}", probe.public())]);
    let token = |changes: Value| {
        let mut claims = json!({"iss": "mcp-eks-operator", "sub": "probe", "aud": "localhost", "exp": now() + 60});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let good = probe.sign(&token(json!({})));
    let names = with(&server, &good, &list());
    assert!(names.body.contains("\"wait\"") && names.body.contains("\"change\""), "{names:?}");
    assert_eq!(with(&server, &good, &call("wait")).status, 403);
    let read = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "demo://greeting"}});
    assert_eq!(with(&server, &good, &read).status, 403);
    for (what, refused) in [
        ("another key", Signer::ed("probe").sign(&token(json!({})))),
        ("another server", probe.sign(&token(json!({"aud": "other.team.svc"})))),
        ("too long a life", probe.sign(&token(json!({"exp": now() + 3600})))),
        ("expired", probe.sign(&token(json!({"exp": now() - 60})))),
        ("another kind of key", Signer::ec("probe").sign(&token(json!({})))),
        ("the issuer's key", issuer.sign("key", token(json!({})))),
    ] {
        assert_eq!(with(&server, &refused, &list()).status, 401, "{what}");
    }
    let closed = trusting(&issuer, &[]);
    assert_eq!(with(&closed, &good, &list()).status, 401, "without its key the probe is nobody");
}

#[test]
fn wrong_settings_of_tokens_are_told_and_nothing_starts() {
    for (arguments, told) in [
        (&["--jwt-issuer=http://id.example.com", "--jwt-audience=a"][..], "use https"),
        (&["--jwt-issuer=id.example.com", "--jwt-audience=a"], "use https"),
        (&["--jwt-issuer=https://id.example.com"], "--jwt-audience or --resource-url"),
        (&["--jwt-audience=a"], "--jwt-issuer that it belongs to"),
        (&["--jwt-scopes=a\"b"], "without blanks, quotes"),
        (&["--jwt-scopes=a"], "--jwt-issuer that it belongs to"),
        (&["--jwt-issuer=https://id.example.com", "--jwt-audience=a", "--jwt-jwks-uri=http://1.2.3.4/"], "use https"),
        (&["--resource-url=/mcp"], "use https"),
        (&["--probe-key=abc"], "Ed25519"),
    ] {
        let output = Command::new(DEMO).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn algorithms_are_those_of_the_key_whatever_the_set_says() {
    let issuer = Issuer::new(vec![Signer::ec("key")]);
    let wrong = issuer.signer("key").under(Algorithm::ES384, &claims(&issuer, json!({})));
    let server = trusting(&issuer, &[]);
    let answer = with(&server, &wrong, &list());
    assert_eq!(answer.status, 401, "{answer:?}");
}
