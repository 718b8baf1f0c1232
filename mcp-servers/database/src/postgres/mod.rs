//! PostgreSQL somewhere else.
//!
//! In: how connections are made, and limits. Out: answers to questions of tools. Every question is a transaction of its
//! own on a connection of a small pool: read-only, on a snapshot that was taken before the question came, by a role that
//! was looked at in that very transaction, with a time limit. It is rolled back, and the session forgotten, whatever it did.

mod catalog;
mod connect;
mod gate;
mod params;
mod read;
mod role;
mod trouble;

use std::time::{Duration, Instant};

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use futures::future::BoxFuture;
use mcp_kit::{Call, ToolError};
use tokio::sync::Semaphore;
use tokio_postgres::{CancelToken, IsolationLevel, Transaction};

pub(crate) use connect::{Source, Unusable};
pub(crate) use role::MEND;

use self::{gate::Kind, trouble::Trouble};
use crate::{
    answer::Page,
    store::{Description, Found, Plan, Statement, Table},
};

/// What its circuit breaker and its metrics are called.
const NAME: &str = "postgres";
/// How long a connection is waited for, and how long making one may take.
const WAIT: Duration = Duration::from_secs(5);
/// How long the first look at the role may take. Who does not answer by then is looked at later.
const FIRST: Duration = Duration::from_secs(3);

/// Limits of this server.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) schemas: Vec<String>,
    pub(crate) connections: usize,
    pub(crate) patience: Duration,
}

/// One PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: Pool,
    source: Source,
    free: Semaphore,
    limits: Limits,
}

/// A connection that is used. Unless it is given back in order it is given up, and what it runs is cancelled.
struct Lease {
    client: Option<Client>,
    source: Source,
    token: CancelToken,
}

impl Postgres {
    pub(crate) fn new(source: Source, limits: Limits) -> Result<Self, String> {
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(source.config(), source.clone(), manager);
        let pool = Pool::builder(manager)
            .max_size(limits.connections)
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| error.to_string())?;
        let free = Semaphore::new(limits.connections);
        Ok(Self { pool, source, free, limits })
    }

    /// What the role can do that no role here may, if the database answers now.
    pub(crate) fn role_at_start(&self) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let look = async {
            use deadpool_postgres::Connect;
            // Not from the pool: its connections would end with this runtime.
            let (client, _connection) = self.source.connect(&self.source.config()).await.ok()?;
            role::reaches(&client).await.ok()
        };
        let reaches = runtime.block_on(async { tokio::time::timeout(FIRST, look).await.ok().flatten() })?;
        (!reaches.is_empty()).then(|| role::refusal(&reaches))
    }

    pub(crate) const fn patience(&self) -> Duration {
        self.limits.patience
    }

    pub(crate) async fn query(
        &self,
        call: &Call,
        statement: &Statement,
        seen: u64,
        limit: Option<u32>,
    ) -> Result<Page, ToolError> {
        gate::check(&statement.sql, Kind::Read, &self.limits.schemas)?;
        let (own, statement) = (call.clone(), statement.clone());
        let schemas = self.limits.schemas.clone();
        self.reading(call, move |within| {
            Box::pin(async move {
                let page = read::page(within, &own, &statement, seen, limit).await?;
                if !schemas.is_empty() {
                    let beyond = catalog::beyond(within, &schemas).await?;
                    if !beyond.is_empty() {
                        return Err(Trouble::Statement(ToolError::new(format!(
                            "the statement read from {}, which is not among the schemas of this server: {}",
                            beyond.join(", "),
                            schemas.join(", ")
                        ))));
                    }
                }
                Ok(page)
            })
        })
        .await
    }

    pub(crate) async fn explain(&self, call: &Call, statement: &Statement) -> Result<Plan, ToolError> {
        let read = gate::check(&statement.sql, Kind::Read, &self.limits.schemas);
        if read.is_err() && gate::check(&statement.sql, Kind::Write, &self.limits.schemas).is_err() {
            read?;
        }
        let statement = statement.clone();
        self.reading(call, move |within| Box::pin(async move { read::plan(within, &statement).await })).await
    }

    pub(crate) async fn tables(&self, call: &Call, schema: Option<&str>) -> Result<Vec<Table>, ToolError> {
        let (schema, limit) = (schema.map(str::to_owned), self.limits.schemas.clone());
        self.reading(call, move |within| {
            Box::pin(async move { catalog::tables(within, schema.as_deref(), &limit).await })
        })
        .await
    }

    pub(crate) async fn describe(
        &self,
        call: &Call,
        schema: Option<&str>,
        table: &str,
    ) -> Result<Description, ToolError> {
        let (schema, table, limit) = (schema.map(str::to_owned), table.to_owned(), self.limits.schemas.clone());
        self.reading(call, move |within| {
            Box::pin(async move { catalog::describe(within, schema.as_deref(), &table, &limit).await })
        })
        .await
    }

    pub(crate) async fn search(&self, call: &Call, text: &str) -> Result<Vec<Found>, ToolError> {
        let (text, limit) = (text.to_owned(), self.limits.schemas.clone());
        self.reading(call, move |within| Box::pin(async move { catalog::search(within, &text, &limit).await })).await
    }

    pub(crate) async fn execute(&self, call: &Call, statement: &Statement) -> Result<u64, ToolError> {
        gate::check(&statement.sql, Kind::Write, &self.limits.schemas)?;
        let statement = statement.clone();
        self.within(call, Kind::Write, move |within| Box::pin(async move { read::change(within, &statement).await }))
            .await
    }

    async fn reading<T, W>(&self, call: &Call, work: W) -> Result<T, ToolError>
    where
        T: Send,
        W: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Trouble>> + Send,
    {
        self.within(call, Kind::Read, work).await
    }

    /// Runs work in a transaction, on a connection that is waited for a bounded time, behind the circuit breaker.
    async fn within<T, W>(&self, call: &Call, kind: Kind, work: W) -> Result<T, ToolError>
    where
        T: Send,
        W: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Trouble>> + Send,
    {
        let (begun, waits) = (Instant::now(), self.free.available_permits() == 0);
        let permit = tokio::time::timeout(WAIT, self.free.acquire()).await;
        if waits {
            call.record_pool_wait(NAME, begun.elapsed());
        }
        let _permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let (all, seconds) = (self.limits.connections, WAIT.as_secs());
            ToolError::new(format!(
                "all {all} database connections have been busy for {seconds} s; try again in a moment"
            ))
        })?;
        call.upstream(NAME, async {
            let mut lease = self.lease().await?;
            let result = lease.run(kind, &self.limits, work).await;
            if !matches!(result, Err(Trouble::Upstream(_))) {
                lease.give_back().await;
            }
            result.map_err(ToolError::from)
        })
        .await
    }

    async fn lease(&self) -> Result<Lease, ToolError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => ToolError::from(Trouble::of(&error, false)),
            PoolError::Timeout(_) => ToolError::upstream("the database does not answer; try again in a moment"),
            _ => ToolError::upstream("no connection to the database could be made; try again in a moment"),
        })?;
        let token = client.cancel_token();
        Ok(Lease { client: Some(client), source: self.source.clone(), token })
    }
}

impl Lease {
    async fn run<T, W>(&mut self, kind: Kind, limits: &Limits, work: W) -> Result<T, Trouble>
    where
        W: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Trouble>>,
    {
        let told = |error: tokio_postgres::Error| Trouble::of(&error, false);
        let gone = || Trouble::Upstream(ToolError::upstream("the database connection is gone; try again"));
        let client: &mut tokio_postgres::Client = self.client.as_mut().ok_or_else(gone)?;
        let (level, only) = match kind {
            Kind::Read => (IsolationLevel::RepeatableRead, true),
            Kind::Write => (IsolationLevel::ReadCommitted, false),
        };
        let transaction = client.build_transaction().isolation_level(level).read_only(only).start().await;
        let transaction = transaction.map_err(told)?;
        transaction.batch_execute(&settings(limits)).await.map_err(told)?;
        // The first SELECT: it fixes the snapshot, and with it that this transaction only reads.
        let reaches = role::reaches(transaction.client()).await.map_err(told)?;
        if !reaches.is_empty() {
            let message = format!("this server does not work as {}: {MEND}", role::refusal(&reaches));
            return Err(Trouble::Statement(ToolError::new(message)));
        }
        let result = work(&transaction).await;
        if kind == Kind::Write && result.is_ok() {
            transaction.commit().await.map_err(told)?;
        } else {
            transaction.rollback().await.map_err(told)?;
        }
        result
    }

    /// Gives the connection back with nothing left in it.
    async fn give_back(mut self) {
        let Some(client) = self.client.take() else { return };
        if client.batch_execute("DISCARD ALL").await.is_err() {
            drop(Client::take(client));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        drop(Client::take(client));
        let (source, token) = (self.source.clone(), self.token.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { source.cancel(token).await });
        }
    }
}

/// What holds for this transaction alone.
fn settings(limits: &Limits) -> String {
    let patience = limits.patience.as_millis();
    let mut settings = format!(
        "SET LOCAL statement_timeout = {patience}; SET LOCAL lock_timeout = {patience}; \
         SET LOCAL idle_in_transaction_session_timeout = {patience}; SET LOCAL TimeZone = 'UTC'; \
         SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL bytea_output = 'hex'"
    );
    if !limits.schemas.is_empty() {
        let quoted = limits.schemas.iter().map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")));
        settings.push_str("; SET LOCAL search_path = ");
        settings.push_str(&quoted.collect::<Vec<_>>().join(", "));
    }
    settings
}
