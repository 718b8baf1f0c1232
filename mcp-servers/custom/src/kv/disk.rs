//! Entries on disk, in SQLite: one file, one process at a time, every write synced before it is answered.
//!
//! The file is locked for as long as the process lives, so counts kept beside it stay true, and a second server on the
//! same directory is told at its start.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Answer, Store,
    entry::{Bounds, Entry, Listed, Page, Place, Trouble, Write, added, agrees, next_version, now_ms, weight},
};

const FILE: &str = "entries.sqlite";
/// How long a start waits for the server before it to let go of the file.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL, expires_at INTEGER,
        PRIMARY KEY (namespace, key)
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS entries_by_age ON entries (version);
    CREATE INDEX IF NOT EXISTS entries_by_end ON entries (expires_at) WHERE expires_at IS NOT NULL;";

/// The store.
pub(crate) struct Disk {
    kept: Arc<Mutex<Shelf>>,
}

/// The file, and what would take a scan to know.
struct Shelf {
    connection: Connection,
    bounds: Bounds,
    totals: Totals,
}

/// Entries, bytes, and the last version that was given.
#[derive(Clone, Copy)]
struct Totals {
    entries: usize,
    bytes: usize,
    last: u64,
}

/// What went wrong inside a transaction.
enum Failure {
    Trouble(Trouble),
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Disk {
    /// Opens the file in a directory, or makes it.
    pub(crate) fn open(directory: &Path, bounds: Bounds) -> Result<Self, String> {
        let told = |error: rusqlite::Error| format!("{}: {error}", directory.display());
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let connection = Connection::open(directory.join(FILE)).map_err(told)?;
        connection.busy_timeout(PATIENCE).map_err(told)?;
        // Exclusive before WAL: then there is no shared memory beside the file, which network volumes do badly.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(told)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(told)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(told)?;
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;")).map_err(told)?;
        let totals = totals(&connection).map_err(told)?;
        Ok(Self { kept: Arc::new(Mutex::new(Shelf { connection, bounds, totals })) })
    }

    /// Runs one transaction away from the async threads.
    fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &mut Totals, i64) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<'_, T> {
        let kept = Arc::clone(&self.kept);
        let step = move || kept.lock().unwrap_or_else(PoisonError::into_inner).step(work);
        async move { tokio::task::spawn_blocking(step).await.unwrap_or(Err(Trouble::Away("is being shut down"))) }
            .boxed()
    }
}

impl Shelf {
    fn step<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Totals, i64) -> Result<T, Failure>,
    ) -> Result<T, Trouble> {
        let (mut totals, bounds, now) = (self.totals, self.bounds, now_ms());
        let run = || -> Result<T, Failure> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            while forget(&transaction, &mut totals, "expires_at <= ?1 ORDER BY expires_at LIMIT 1", now)? {}
            let value = work(&transaction, &mut totals, now)?;
            while bounds.exceeded(totals.entries, totals.bytes)
                && forget(&transaction, &mut totals, "version > ?1 ORDER BY version LIMIT 1", 0)?
            {}
            transaction.commit()?;
            Ok(value)
        };
        match run() {
            Ok(value) => {
                self.totals = totals;
                Ok(value)
            }
            Err(Failure::Trouble(trouble)) => Err(trouble),
            Err(Failure::Engine(error)) => {
                tracing::error!(%error, "the key-value store on disk failed");
                Err(Trouble::Away("on disk failed"))
            }
        }
    }
}

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let sql = "SELECT count(*), coalesce(sum(octet_length(namespace) + octet_length(key) + octet_length(value) + 200), 0), \
               coalesce(max(version), 0) FROM entries";
    connection.query_row(sql, [], |row| Ok(Totals { entries: row.get(0)?, bytes: row.get(1)?, last: row.get(2)? }))
}

/// Takes the one entry that a condition finds; tells whether there was one.
fn forget(transaction: &Transaction<'_>, totals: &mut Totals, which: &str, bound: i64) -> rusqlite::Result<bool> {
    let find = format!("SELECT namespace, key FROM entries WHERE {which}");
    let place = transaction
        .prepare_cached(&find)?
        .query_row([bound], |row| Ok(Place { namespace: row.get(0)?, key: row.get(1)? }));
    let Some(place) = place.optional()? else { return Ok(false) };
    take(transaction, totals, &place)
}

fn take(transaction: &Transaction<'_>, totals: &mut Totals, place: &Place) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM entries WHERE namespace = ?1 AND key = ?2 RETURNING octet_length(value)";
    let bytes = transaction.prepare_cached(sql)?.query_row(params![place.namespace, place.key], |row| row.get(0));
    let Some(bytes) = bytes.optional()? else { return Ok(false) };
    totals.entries -= 1;
    totals.bytes = totals.bytes.saturating_sub(weight(place, bytes));
    Ok(true)
}

fn look(transaction: &Transaction<'_>, place: &Place) -> rusqlite::Result<Option<Entry>> {
    let sql = "SELECT value, version, expires_at FROM entries WHERE namespace = ?1 AND key = ?2";
    let entry = transaction.prepare_cached(sql)?.query_row(params![place.namespace, place.key], |row| {
        Ok(Entry { value: row.get(0)?, version: row.get(1)?, expires_at: row.get(2)? })
    });
    entry.optional()
}

fn put(
    transaction: &Transaction<'_>,
    totals: &mut Totals,
    place: &Place,
    value: String,
    expires_at: Option<i64>,
    now: i64,
) -> rusqlite::Result<Entry> {
    take(transaction, totals, place)?;
    totals.last = next_version(totals.last, now);
    let sql = "INSERT INTO entries (namespace, key, value, version, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![place.namespace, place.key, value, totals.last, expires_at];
    transaction.prepare_cached(sql)?.execute(row)?;
    totals.entries += 1;
    totals.bytes += weight(place, value.len());
    Ok(Entry { value, version: totals.last, expires_at })
}

impl Store for Disk {
    fn get(&self, place: Place) -> Answer<'_, Option<Entry>> {
        self.step(move |transaction, _, _| Ok(look(transaction, &place)?))
    }

    fn set(&self, place: Place, write: Write) -> Answer<'_, Entry> {
        self.step(move |transaction, totals, now| {
            let found = look(transaction, &place)?.map_or(0, |entry| entry.version);
            agrees(write.if_version, found)?;
            let end = write.ttl_ms.map(|ttl| now.saturating_add(ttl));
            Ok(put(transaction, totals, &place, write.value, end, now)?)
        })
    }

    fn delete(&self, place: Place, if_version: Option<u64>) -> Answer<'_, bool> {
        self.step(move |transaction, totals, _| {
            let found = look(transaction, &place)?.map_or(0, |entry| entry.version);
            agrees(if_version, found)?;
            Ok(take(transaction, totals, &place)?)
        })
    }

    fn increment(&self, place: Place, by: i64, ttl_ms: Option<i64>) -> Answer<'_, Entry> {
        self.step(move |transaction, totals, now| {
            let before = look(transaction, &place)?;
            let sum = added(before.as_ref().map(|entry| entry.value.as_str()), by)?;
            let end = before.map_or(ttl_ms.map(|ttl| now.saturating_add(ttl)), |entry| entry.expires_at);
            Ok(put(transaction, totals, &place, sum.to_string(), end, now)?)
        })
    }

    fn list(&self, namespace: String, prefix: String, after: Option<String>, limit: usize) -> Answer<'_, Page> {
        self.step(move |transaction, _, _| {
            let sql = "SELECT key, version, expires_at FROM entries WHERE namespace = ?1 AND key >= ?2 AND key > ?3 ORDER BY key";
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map(params![namespace, prefix, after.unwrap_or_default()], |row| {
                Ok(Listed { key: row.get(0)?, version: row.get(1)?, expires_at: row.get(2)? })
            })?;
            let mut keys = Vec::new();
            for listed in rows.take(limit + 1) {
                let listed = listed?;
                if !listed.key.starts_with(&prefix) {
                    break;
                }
                keys.push(listed);
            }
            let more = keys.len() > limit;
            keys.truncate(limit);
            Ok(Page { keys, more })
        })
    }
}
