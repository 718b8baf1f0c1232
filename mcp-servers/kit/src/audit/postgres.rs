//! Records in PostgreSQL: rows of an append-only table (see `schema.sql`), and checkpoints that anchor the chain.
//!
//! In: lines. Out: each of them once, however often it is sent. The address is read from its file at every connection, so that
//! a new password counts at the next one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use serde::Serialize;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    keep::{ATTEMPT, IDLE, Store},
    record::{GENESIS, Line, now, seal},
    verify::Checkpoint,
};

/// A checkpoint is due with the first record, after so many more, after so long, and at the end.
const CHECKPOINT: (u64, Duration) = (64, IDLE);
/// Holds for the length of a transaction that adds a checkpoint: their numbers have no gap.
const LOCK: i64 = 0x6d63_7061_7564_6974;

/// Where the table is.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// A file with a connection URI.
    pub(crate) uri: PathBuf,
    /// A file with the certificates to trust, as PEM; without one, those browsers trust.
    pub(crate) ca: Option<PathBuf>,
}

/// Why something cannot be stored or read, in words that hold no password.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: expected a connection URI such as postgres://user:password@host/database", .0.display())]
    Uri(PathBuf),
    #[error("{}: expected certificates as PEM", .0.display())]
    Certificates(PathBuf),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{}", told(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("PostgreSQL did not answer within {} s", ATTEMPT.as_secs())]
    Slow,
    #[error("row {sequence} of chain {chain} is there already with another record: somebody else writes this chain")]
    Taken { chain: String, sequence: u64 },
    #[error("the last checkpoint is no checkpoint")]
    Checkpoint,
}

/// What PostgreSQL said, and what to do about it where that is known.
fn told(error: &tokio_postgres::Error) -> String {
    let Some(database) = error.as_db_error() else {
        return std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    };
    let mend = match *database.code() {
        SqlState::UNDEFINED_TABLE => ": make the tables with the output of audit-schema",
        SqlState::INSUFFICIENT_PRIVILEGE => ": grant INSERT and SELECT on mcp_audit and mcp_audit_checkpoint",
        _ => "",
    };
    format!("{}{mend}", database.message())
}

/// A connection, and the task that drives it.
pub(super) struct Connection {
    pub(super) client: Client,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Settings {
    /// Connects, or says why not.
    pub(super) async fn connect(&self) -> Result<Connection, Trouble> {
        let uri = read(&self.uri).await?;
        let config: Config = uri.trim().parse().map_err(|_| Trouble::Uri(self.uri.clone()))?;
        let tls = MakeRustlsConnect::new(self.tls().await?);
        let (client, connection) = config.connect(tls).await?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { client, driver })
    }

    async fn tls(&self) -> Result<ClientConfig, Trouble> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            let pem = read(path).await?;
            let wrong = || Trouble::Certificates(path.clone());
            let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
            let (added, _) = roots.add_parsable_certificates(certificates.map_err(|_| wrong())?);
            if added == 0 {
                return Err(wrong());
            }
        } else {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

async fn read(path: &Path) -> Result<String, Trouble> {
    let read = tokio::fs::read_to_string(path).await;
    read.map_err(|error| Trouble::File { path: path.to_owned(), error })
}

/// The tables, through a connection that may come and go.
pub(super) struct Tables {
    settings: Settings,
    connection: Option<Connection>,
    /// The last line a checkpoint names, and when it was written; and the last line there is.
    anchored: Option<(u64, Instant, Line)>,
}

impl Tables {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, connection: None, anchored: None }
    }
}

impl Store for Tables {
    const NAME: &'static str = "PostgreSQL";
    type Trouble = Trouble;

    async fn attempt(&mut self, chain: &str, lines: &[Line], last: bool) -> Result<(), Trouble> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.client.is_closed() => connection,
            _ => {
                let connection = self.settings.connect().await?;
                check(&connection.client).await?;
                connection
            }
        };
        let connection = self.connection.insert(connection);
        let newest = lines.last().or(self.anchored.as_ref().map(|(.., line)| line)).cloned();
        let due = match (&self.anchored, &newest) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((at, when, _)), Some(newest)) => {
                newest.sequence > *at
                    && (last || newest.sequence - at >= CHECKPOINT.0 || when.elapsed() >= CHECKPOINT.1)
            }
        };
        if lines.is_empty() && !due {
            return Ok(());
        }
        let transaction = connection.client.transaction().await?;
        insert(&transaction, chain, lines).await?;
        if let Some(newest) = newest.as_ref().filter(|_| due) {
            checkpoint(&transaction, chain, newest).await?;
        }
        transaction.commit().await?;
        if let Some(newest) = newest {
            self.anchored = match self.anchored.take() {
                Some((at, when, _)) if !due => Some((at, when, newest)),
                _ => Some((newest.sequence, Instant::now(), newest)),
            };
        }
        Ok(())
    }

    fn slow() -> Trouble {
        Trouble::Slow
    }

    fn forget(&mut self) {
        self.connection = None;
    }

    /// When the connection is gone.
    async fn broken(&mut self) {
        match &mut self.connection {
            Some(connection) => {
                let _ = (&mut connection.driver).await;
                self.connection = None;
            }
            None => std::future::pending().await,
        }
    }
}

/// Looks whether the tables are there, and says so when this role may do more than it should.
async fn check(client: &Client) -> Result<(), Trouble> {
    let question = "SELECT bool_or(has_table_privilege(t::regclass, p)) FROM unnest(ARRAY['mcp_audit', 'mcp_audit_checkpoint']) t, \
                    unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p";
    let row = client.query_one(question, &[]).await?;
    if row.try_get::<_, Option<bool>>(0)? == Some(true) {
        tracing::warn!(
            "the role of the audit may change or delete records: give the server one that may INSERT and SELECT"
        );
    }
    Ok(())
}

async fn insert(transaction: &tokio_postgres::Transaction<'_>, chain: &str, lines: &[Line]) -> Result<(), Trouble> {
    if lines.is_empty() {
        return Ok(());
    }
    let sequences: Vec<i64> = lines.iter().map(|line| line.sequence.cast_signed()).collect();
    let records: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let statement = "INSERT INTO mcp_audit (chain, sequence, record) SELECT $1, * FROM unnest($2::bigint[], $3::text[]) \
                     ON CONFLICT DO NOTHING";
    let inserted = transaction.execute(statement, &[&chain, &sequences, &records]).await?;
    if inserted == lines.len() as u64 {
        return Ok(());
    }
    // Some were there: ours, if the answer to an earlier attempt was lost.
    let there = "SELECT sequence, record FROM mcp_audit WHERE chain = $1 AND sequence = ANY($2)";
    for row in transaction.query(there, &[&chain, &sequences]).await? {
        let (sequence, record): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        if lines.iter().any(|line| line.sequence.cast_signed() == sequence && line.text != record) {
            return Err(Trouble::Taken { chain: chain.to_owned(), sequence: sequence.cast_unsigned() });
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct CheckpointHead {
    kind: &'static str,
    number: u64,
}

#[derive(Serialize)]
struct CheckpointBody<'a> {
    time: String,
    chain: &'a str,
    sequence: u64,
    head: &'a str,
}

async fn checkpoint(transaction: &tokio_postgres::Transaction<'_>, chain: &str, newest: &Line) -> Result<(), Trouble> {
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let before = "SELECT record FROM mcp_audit_checkpoint ORDER BY number DESC LIMIT 1";
    let before = match transaction.query_opt(before, &[]).await? {
        Some(row) => Some(Checkpoint::parse(row.try_get(0)?).ok_or(Trouble::Checkpoint)?),
        None => None,
    };
    let number = before.as_ref().map_or(0, |before| before.number + 1);
    let previous = before.as_ref().map_or(GENESIS, |before| &before.hash);
    let body = CheckpointBody { time: now(), chain, sequence: newest.sequence, head: &newest.hash };
    let line = seal(&CheckpointHead { kind: "checkpoint", number }, &body, "", previous);
    let statement = "INSERT INTO mcp_audit_checkpoint (number, record) VALUES ($1, $2)";
    transaction.execute(statement, &[&number.cast_signed(), &line.text]).await?;
    Ok(())
}
