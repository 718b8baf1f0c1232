//! The key-value store: small texts that outlive a conversation, each caller's own.
//!
//! In: keys and values of a caller. Out: entries with a version. Three places keep them: `memory`, `disk`, `valkey`; all
//! behave alike, and one table of tests says so.

mod disk;
mod entry;
mod memory;
mod tools;
mod valkey;

use std::sync::Arc;

use futures::future::BoxFuture;
use mcp_kit::Tool;

pub(crate) use disk::Disk;
pub(crate) use entry::Bounds;
use entry::{Entry, Page, Place, Trouble, Write};
pub(crate) use memory::Memory;
pub(crate) use valkey::Valkey;

type Answer<'a, T> = BoxFuture<'a, Result<T, Trouble>>;

/// A place that keeps entries. Every operation is one step: it has happened wholly or not at all, whoever else writes.
pub(crate) trait Store: Send + Sync {
    /// The entry at a place, unless its time is over.
    fn get(&self, place: Place) -> Answer<'_, Option<Entry>>;
    /// Puts an entry at a place, over the one that was there.
    fn set(&self, place: Place, write: Write) -> Answer<'_, Entry>;
    /// Takes an entry away; tells whether there was one.
    fn delete(&self, place: Place, if_version: Option<u64>) -> Answer<'_, bool>;
    /// Adds to a whole number; an entry that is not there counts as 0. `ttl_ms` is for a new entry.
    fn increment(&self, place: Place, by: i64, ttl_ms: Option<i64>) -> Answer<'_, Entry>;
    /// The keys of a namespace that begin with `prefix`, in order, after the key `after`, at most `limit`.
    fn list(&self, namespace: String, prefix: String, after: Option<String>, limit: usize) -> Answer<'_, Page>;
}

/// All tools of this family.
pub(crate) fn tools(store: &Arc<dyn Store>) -> Vec<Tool> {
    vec![
        tools::kv_get(store),
        tools::kv_set(store),
        tools::kv_delete(store),
        tools::kv_increment(store),
        tools::kv_list(store),
    ]
}
