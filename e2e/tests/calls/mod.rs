//! Random calls, most of them nearly right: only those get far.
//!
//! In: the tools as a server lists them. Out: requests without end, the same in every run.

use std::fmt;

use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::select,
    strategy::ValueTree,
    string::string_regex,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

const MODERN: &str = "2026-07-28";
const VERSIONS: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN, "2099-01-01", "", "x"];
const METHODS: &[&str] = &[
    "tools/call",
    "tools/list",
    "initialize",
    "ping",
    "server/discover",
    "prompts/get",
    "resources/read",
    "logging/setLevel",
    "completion/complete",
    "notifications/initialized",
    "notifications/cancelled",
    "subscriptions/listen",
    "tools\0",
    "",
];
const TYPES: &[&str] = &["application/json", "text/plain", "application/json; charset=utf-16", ""];
const ACCEPTED: &[&str] = &["application/json, text/event-stream", "application/json", "*/*", "text/html", ""];
/// What people send who mean no good, and what is easily read wrong.
const HOSTILE: &[&str] = &[
    "",
    " ",
    ".",
    "..",
    "/",
    "/data",
    "/data/a.txt",
    "/data/a/b",
    "/data/../secret.txt",
    "/data/./a.txt",
    "/data//a.txt",
    "/data/.env",
    "/data/..%2fsecret.txt",
    "/proc/self/environ",
    "../../secret.txt",
    "C:\\secret.txt",
    "\0",
    "a\0b",
    "\u{202e}",
    "\u{feff}",
    "é",
    "👩‍👩‍👧",
    "'; DROP TABLE users; --",
    "SELECT * FROM users",
    "SELECT 1; SELECT 2",
    "SELECT ?1",
    "ATTACH '/etc/passwd' AS x",
    "PRAGMA writable_schema=1",
    "INSERT INTO users DEFAULT VALUES",
    "users",
    "db://tables/users",
    "${jndi:ldap://x}",
    "$(id)",
    "`id`",
    "--help",
    "http://169.254.169.254/",
    "file:///etc/passwd",
    "all",
    "us-west-2",
    "us-west-2.evil.example",
    "i-0123456789abcdef0",
    "arn:aws:iam::123456789012:role/x",
    "*",
    "(a+)+$",
    "[",
    "**/**/**",
    "{a,b",
    "UTC",
    "Europe/Berlin",
    "../UTC",
    "2026-02-30",
    "2026-03-29T02:30",
    "9999-12-31T23:59:60Z",
    "-999999999",
    "P1Y",
    "1e309",
    "18446744073709551616",
    "NaN",
    "true",
    "null",
    "now",
    "0m",
    "1000000d",
];

/// One request.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Sent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {:?}", self.headers, String::from_utf8_lossy(&self.body))
    }
}

/// Requests without end.
pub(crate) struct Calls {
    runner: TestRunner,
    /// One for each tool: every tool gets as many.
    each: Vec<BoxedStrategy<Sent>>,
    next: usize,
}

impl Calls {
    pub(crate) fn new(tools: &[Value]) -> Self {
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), random),
            each: tools.iter().map(sent).collect(),
            next: 0,
        }
    }
}

impl Iterator for Calls {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        let strategy = &self.each[self.next % self.each.len()];
        self.next += 1;
        Some(strategy.new_tree(&mut self.runner).ok()?.current())
    }
}

fn text() -> BoxedStrategy<String> {
    let (any, word) = (string_regex(".{0,40}").unwrap(), string_regex("[a-z_]{1,8}").unwrap());
    let long = (0..20_000_usize).prop_map(|length| "x".repeat(length));
    prop_oneof![6 => select(HOSTILE).prop_map(str::to_owned), 4 => any, 2 => word, 1 => long].boxed()
}

fn number() -> BoxedStrategy<Value> {
    prop_oneof![
        (-2..100_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|it| json!(it))
    ]
    .boxed()
}

fn anything() -> BoxedStrategy<Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), text().prop_map(Value::from)];
    let nested = leaf.prop_recursive(4, 24, 4, |inner| {
        let object = hash_map(text(), inner.clone(), 0..4).prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![vec(inner, 0..4).prop_map(Value::Array), object]
    });
    // Deeper than any parser likes.
    let deep = (100..200_usize).prop_map(|depth| (0..depth).fold(json!(1), |inner, _| json!([inner])));
    prop_oneof![20 => nested, 1 => deep].boxed()
}

/// A value for a property, mostly of its type.
fn value(schema: &Value) -> BoxedStrategy<Value> {
    let fitting = match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("string") => match schema["enum"].as_array() {
            Some(words) if !words.is_empty() => select(words.clone()).boxed(),
            _ => text().prop_map(Value::from).boxed(),
        },
        Some("integer" | "number") => number(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("array") => vec(value(&schema["items"]), 0..4).prop_map(Value::Array).boxed(),
        Some("object") => {
            hash_map(text(), anything(), 0..4).prop_map(|map| Value::Object(map.into_iter().collect())).boxed()
        }
        _ => anything(),
    };
    prop_oneof![8 => fitting, 1 => anything()].boxed()
}

/// Arguments of a tool: what it needs, and by chance what it may have or does not know.
fn arguments(tool: &Value) -> BoxedStrategy<Value> {
    let schema = &tool["inputSchema"];
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let each: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
        .iter()
        .map(|(name, schema)| {
            let likely = if required.contains(&json!(name)) { 0.95 } else { 0.3 };
            let name = name.clone();
            prop::option::weighted(likely, value(schema).prop_map(move |value| (name.clone(), value))).boxed()
        })
        .collect();
    let strange = prop::option::weighted(0.05, (text(), anything()));
    let known = (each, strange).prop_map(|(known, strange)| {
        Value::Object(known.into_iter().flatten().chain(strange).collect::<Map<String, Value>>())
    });
    prop_oneof![20 => known, 1 => anything()].boxed()
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn id() -> BoxedStrategy<Value> {
    prop_oneof![8 => (0..1000_i64).prop_map(Value::from), 2 => text().prop_map(Value::from), 1 => anything()].boxed()
}

fn sent(tool: &Value) -> BoxedStrategy<Sent> {
    let name = tool["name"].as_str().unwrap().to_owned();
    let call = |name: &str, arguments: Value, id: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}});
    let usual = || vec![("content-type", TYPES[0].to_owned()), ("accept", ACCEPTED[0].to_owned())];
    let legacy = {
        let name = name.clone();
        (arguments(tool), id()).prop_map(move |(arguments, id)| Sent {
            headers: usual(),
            body: call(&name, arguments, id).to_string().into_bytes(),
        })
    }
    .boxed();
    let modern = {
        let name = name.clone();
        (arguments(tool), id()).prop_map(move |(arguments, id)| {
            let mut request = call(&name, arguments, id);
            request["params"]["_meta"] = meta();
            let mut headers = usual();
            headers.push(("mcp-protocol-version", MODERN.to_owned()));
            headers.extend([("mcp-method", "tools/call".to_owned()), ("mcp-name", name.clone())]);
            Sent { headers, body: request.to_string().into_bytes() }
        })
    };
    let method = (select(METHODS), anything(), id()).prop_map(move |(method, params, id)| Sent {
        headers: usual(),
        body: json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string().into_bytes(),
    });
    let bent =
        (legacy.clone(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(sent, at, byte, cut)| {
            let mut body = sent.body;
            let at = at.index(body.len());
            if cut {
                body.truncate(at);
            } else {
                body[at] = byte;
            }
            Sent { body, ..sent }
        });
    let strange = (
        (select(TYPES), select(ACCEPTED), select(VERSIONS), select(METHODS)),
        prop_oneof![
            anything().prop_map(|it| it.to_string().into_bytes()),
            vec(any::<u8>(), 0..200),
            legacy.clone().prop_map(|it| it.body)
        ],
    );
    let strange = strange.prop_map(|((kind, accept, version, method), body)| {
        let headers =
            [("content-type", kind), ("accept", accept), ("mcp-protocol-version", version), ("mcp-method", method)];
        let headers = headers.into_iter().filter(|(_, value)| !value.contains('\0'));
        Sent { headers: headers.map(|(name, value)| (name, value.to_owned())).collect(), body }
    });
    prop_oneof![6 => legacy, 4 => modern, 1 => method, 2 => bent, 2 => strange].boxed()
}
