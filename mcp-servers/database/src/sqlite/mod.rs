//! SQLite inside this process: a file, or memory that ends with the process.
//!
//! In: where the database is and how long a statement may take. Out: answers to questions of tools. Connections that read
//! are opened read-only and each carries every lock there is (`guard`); the one that writes exists apart from them.

mod catalog;
mod guard;
mod read;
mod sample;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mcp_kit::{Call, ToolError};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::{
    answer::Page,
    store::{Description, Found, Plan, Statement, Table},
};
use guard::Right;

/// Connections that read at once. More calls than that wait: each may sort and join in memory.
const READERS: usize = 4;
/// How long somebody else's lock is waited for.
const LOCKED: Duration = Duration::from_secs(5);

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process, and gone with it.
    Memory,
    /// In a file.
    File(PathBuf),
}

/// What a new database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// Users and projects.
    Sample,
    /// Nothing.
    Nothing,
}

/// One SQLite database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    uri: String,
    patience: Duration,
    idle: Mutex<Vec<Connection>>,
    readers: Semaphore,
    /// Writes, one after the other; opened by the first write. Keeps a database in memory alive.
    writer: Mutex<Option<Connection>>,
}

impl Sqlite {
    /// Opens the database; a new one is made and seeded.
    pub(crate) fn open(place: &Place, seed: Seed, patience: Duration) -> Result<Self, String> {
        let uri = uri(place);
        let there = matches!(place, Place::File(path) if path.exists());
        let writer = if there { None } else { Some(create(&uri, place, seed).map_err(|error| error.to_string())?) };
        // What is in a file outlives this connection. Until somebody writes there is none that could.
        let writer = writer.filter(|_| *place == Place::Memory);
        let (idle, readers) = (Mutex::default(), Semaphore::new(READERS));
        let sqlite = Self { uri, patience, idle, readers, writer: Mutex::new(writer) };
        let reader = sqlite.reader().map_err(|error| error.to_string())?;
        // Opening reads nothing: a file that is no database, or cannot be read, shows only now.
        let looked = reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        looked.map_err(|error| error.to_string())?;
        sqlite.give_back(reader);
        Ok(sqlite)
    }

    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) async fn query(
        self: &Arc<Self>,
        call: Call,
        statement: Statement,
        seen: u64,
        limit: Option<u32>,
    ) -> Result<Page, ToolError> {
        self.reading(call, move |connection, call| read::page(connection, call, &statement, seen, limit)).await
    }

    pub(crate) async fn explain(self: &Arc<Self>, call: Call, statement: Statement) -> Result<Plan, ToolError> {
        self.reading(call, move |connection, _| read::plan(connection, &statement)).await
    }

    pub(crate) async fn tables(self: &Arc<Self>, call: Call, schema: Option<String>) -> Result<Vec<Table>, ToolError> {
        catalog::known(schema.as_deref())?;
        self.reading(call, |connection, _| catalog::tables(connection)).await
    }

    pub(crate) async fn describe(
        self: &Arc<Self>,
        call: Call,
        schema: Option<String>,
        table: String,
    ) -> Result<Description, ToolError> {
        catalog::known(schema.as_deref())?;
        self.reading(call, move |connection, _| catalog::describe(connection, &table)).await
    }

    pub(crate) async fn search(self: &Arc<Self>, call: Call, text: String) -> Result<Vec<Found>, ToolError> {
        self.reading(call, move |connection, _| catalog::search(connection, &text)).await
    }

    pub(crate) async fn execute(self: &Arc<Self>, call: Call, statement: Statement) -> Result<u64, ToolError> {
        let sqlite = Arc::clone(self);
        call.blocking(move |call| {
            let mut writer = sqlite.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = match writer.take() {
                Some(connection) => connection,
                None => sqlite.to_write().map_err(|error| read::told(&error))?,
            };
            let connection = writer.insert(connection);
            guard::watch(connection, call, sqlite.patience)?;
            read::change(connection, &statement)
        })
        .await
    }

    /// Runs a question on a connection that reads.
    async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        call: Call,
        work: impl FnOnce(&Connection, &Call) -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let waited = Instant::now();
        let permit = tokio::time::timeout(LOCKED, self.readers.acquire()).await;
        let _permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let found = waited.elapsed().as_secs();
            ToolError::new(format!("all {READERS} readers have been busy for {found} s; try again in a moment"))
        })?;
        let sqlite = Arc::clone(self);
        call.blocking(move |call| {
            let mut connection = sqlite.reader().map_err(|error| read::told(&error))?;
            guard::watch(&mut connection, call, sqlite.patience)?;
            let result = work(&connection, call);
            sqlite.give_back(connection);
            result
        })
        .await
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let mut connection = connect(&self.uri, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        guard::lock(&mut connection, Right::Read)?;
        Ok(connection)
    }

    fn to_write(&self) -> rusqlite::Result<Connection> {
        let mut connection = connect(&self.uri, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        guard::lock(&mut connection, Right::Write)?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn connect(uri: &str, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread at a time has a connection.
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(LOCKED)?;
    Ok(connection)
}

fn create(uri: &str, place: &Place, seed: Seed) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(uri, flags)?;
    if *place != Place::Memory {
        // Readers do not wait for writers, nor writers for readers.
        connection.pragma_update(None, "journal_mode", "wal")?;
    }
    if seed == Seed::Sample {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sample::STATEMENTS)?;
        transaction.commit()?;
    }
    guard::lock(&mut connection, Right::Write)?;
    Ok(connection)
}

/// The address as a URI, which alone can name the file system of memory that connections share.
fn uri(place: &Place) -> String {
    match place {
        Place::Memory => "file:/mcp?vfs=memdb".to_owned(),
        Place::File(path) => {
            let text = path.to_string_lossy();
            let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            format!("file:{escaped}")
        }
    }
}
