//! `kv_get`, `kv_set`, `kv_delete`, `kv_increment`, `kv_list`. The namespace of a call is its principal: no argument
//! leads to the entries of another caller.

use std::sync::Arc;

use jiff::Timestamp;
use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Store,
    entry::{Entry, Place, Trouble, Write},
};

/// The longest key, in bytes.
const LONGEST_KEY: usize = 256;
/// The largest value, in bytes as JSON: one entry always fits an answer.
const LARGEST_VALUE: usize = 48 * 1024;
/// The longest time to live: ten years.
const LONGEST_TTL: u64 = 10 * 366 * 24 * 3600;
/// The most keys of one page.
const KEYS: usize = 200;
/// Kept free in an answer for the fields around the keys, and around one of them.
const FRAME: usize = 1024;
const AROUND_KEY: usize = 96;
/// The breaker behind which the place of the entries is.
const UPSTREAM: &str = "key-value store";

/// Changes the entries of the caller, and nothing else: a store whose writes are off would be of no use, so these tools
/// are there whatever `writes` says.
const WRITES: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Get {
    key: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    key: String,
    value: String,
    /// Default for ever
    ttl_seconds: Option<u64>,
    /// Only over this version; 0: only if absent
    if_version: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    key: String,
    if_version: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Increment {
    key: String,
    /// Default 1
    by: Option<i64>,
    /// For a new key
    ttl_seconds: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    prefix: Option<String>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = KEYS))]
    limit: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Got {
    found: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Written {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Deleted {
    deleted: bool,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    value: i64,
    version: u64,
}

#[derive(Serialize, JsonSchema)]
struct Key {
    key: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Keys {
    keys: Vec<Key>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

pub(super) fn kv_get(store: &Arc<dyn Store>) -> Tool {
    let work = async |store: Arc<dyn Store>, arguments: Get, call: Call| {
        let place = place(&call, &arguments.key)?;
        let entry = asked(&call, &arguments.key, store.get(place)).await?;
        Ok(entry.map_or(Got { found: false, value: None, version: None, expires_at: None }, |entry| Got {
            found: true,
            expires_at: end(entry.expires_at),
            version: Some(entry.version),
            value: Some(entry.value),
        }))
    };
    tool(store, "kv_get", "Get value", "Read a value you stored under a key.", Hints::READ, work)
}

pub(super) fn kv_set(store: &Arc<dyn Store>) -> Tool {
    let description = "Store text of up to 48 KiB under a key. if_version refuses to overwrite a change.";
    let work = async |store: Arc<dyn Store>, arguments: Set, call: Call| {
        let place = place(&call, &arguments.key)?;
        let bytes = serde_json::to_string(&arguments.value).map_or(usize::MAX, |json| json.len());
        if bytes > LARGEST_VALUE {
            let message = format!("the value has {bytes} bytes as JSON; expected at most {LARGEST_VALUE}");
            return Err(ToolError::new(message));
        }
        let (ttl_ms, if_version) = (ttl(arguments.ttl_seconds)?, arguments.if_version);
        let write = Write { value: arguments.value, ttl_ms, if_version };
        let entry = asked(&call, &arguments.key, store.set(place, write)).await?;
        Ok(Written { version: entry.version, expires_at: end(entry.expires_at) })
    };
    tool(store, "kv_set", "Set value", description, WRITES, work).always()
}

pub(super) fn kv_delete(store: &Arc<dyn Store>) -> Tool {
    let work = async |store: Arc<dyn Store>, arguments: Delete, call: Call| {
        let place = place(&call, &arguments.key)?;
        let deleted = asked(&call, &arguments.key, store.delete(place, arguments.if_version)).await?;
        Ok(Deleted { deleted })
    };
    tool(store, "kv_delete", "Delete value", "Delete the value under a key.", WRITES, work).always()
}

pub(super) fn kv_increment(store: &Arc<dyn Store>) -> Tool {
    let description = "Add to a whole number under a key, in one step. A new key starts at 0.";
    let work = async |store: Arc<dyn Store>, arguments: Increment, call: Call| {
        let place = place(&call, &arguments.key)?;
        let ttl_ms = ttl(arguments.ttl_seconds)?;
        let counted = store.increment(place, arguments.by.unwrap_or(1), ttl_ms);
        let Entry { value, version, .. } = asked(&call, &arguments.key, counted).await?;
        let value = value.parse().map_err(|_| Trouble::NoNumber.told(&arguments.key))?;
        Ok(Counted { value, version })
    };
    let hints = Hints { destructive: false, idempotent: false, ..WRITES };
    tool(store, "kv_increment", "Increment number", description, hints, work).always()
}

pub(super) fn kv_list(store: &Arc<dyn Store>) -> Tool {
    let work = async |store: Arc<dyn Store>, arguments: List, call: Call| {
        let prefix = arguments.prefix.unwrap_or_default();
        for text in [Some(&prefix), arguments.cursor.as_ref()].into_iter().flatten().filter(|text| !text.is_empty()) {
            sound(text)?;
        }
        let limit = arguments.limit.unwrap_or(KEYS).clamp(1, KEYS);
        let listed = store.list(call.principal().to_owned(), prefix, arguments.cursor, limit);
        let page = asked(&call, "the list", listed).await?;
        let (mut keys, mut left, mut truncated) = (Vec::new(), call.budget().saturating_sub(FRAME), page.more);
        for listed in page.keys {
            let bytes = AROUND_KEY + serde_json::to_string(&listed.key).map_or(0, |json| json.len());
            if bytes > left {
                truncated = true;
                break;
            }
            left -= bytes;
            keys.push(Key { key: listed.key, version: listed.version, expires_at: end(listed.expires_at) });
        }
        let next_cursor = keys.last().filter(|_| truncated).map(|last| last.key.clone());
        Ok(Keys { keys, truncated, next_cursor })
    };
    tool(store, "kv_list", "List keys", "List your keys by prefix; go on with next_cursor.", Hints::READ, work)
}

/// A tool over the store. Its `key` is the name of an entry, which audit records keep.
fn tool<A, O, F, Fut>(
    store: &Arc<dyn Store>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    hints: Hints,
    work: F,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(Arc<dyn Store>, A, Call) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    let store = Arc::clone(store);
    let handler = move |arguments: A, call: Call| {
        let answer = work(Arc::clone(&store), arguments, call);
        async move { answer.await.map(Reply::new) }
    };
    Tool::new(name, title, description, hints, handler).with_plain(&["key"])
}

/// Asks the store behind its circuit breaker.
async fn asked<T>(call: &Call, key: &str, answer: impl Future<Output = Result<T, Trouble>>) -> Result<T, ToolError> {
    call.upstream(UPSTREAM, async { answer.await.map_err(|trouble| trouble.told(key)) }).await
}

fn place(call: &Call, key: &str) -> Result<Place, ToolError> {
    if key.is_empty() {
        return Err(ToolError::new("expected a key, found an empty one"));
    }
    sound(key)?;
    Ok(Place { namespace: call.principal().to_owned(), key: key.to_owned() })
}

fn sound(key: &str) -> Result<(), ToolError> {
    if key.len() > LONGEST_KEY || key.contains(char::is_control) {
        let message = format!("expected a key of up to {LONGEST_KEY} bytes without control characters");
        return Err(ToolError::new(message));
    }
    Ok(())
}

fn ttl(seconds: Option<u64>) -> Result<Option<i64>, ToolError> {
    let Some(seconds) = seconds else { return Ok(None) };
    if !(1..=LONGEST_TTL).contains(&seconds) {
        let message = format!("expected ttl_seconds from 1 to {LONGEST_TTL}, found {seconds}; leave it out for ever");
        return Err(ToolError::new(message));
    }
    Ok(i64::try_from(seconds * 1000).ok())
}

fn end(milliseconds: Option<i64>) -> Option<String> {
    Timestamp::from_millisecond(milliseconds?).ok().map(|end| end.to_string())
}
