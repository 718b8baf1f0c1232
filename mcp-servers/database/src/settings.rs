//! The settings of this server: which database, and how much of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Arg;
use mcp_kit::settings::{Given, Sources, flag, repeated};

use crate::{
    postgres::{Limits, MEND, Postgres, Source, Unusable},
    sqlite::{Place, Seed, Sqlite},
    store::Store,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  A sample database in memory, over HTTP on this machine:
    mcp-database --sqlite :memory:
  For a client that starts the server itself:
    mcp-database --stdio --sqlite ./shop.db
  PostgreSQL; the file holds postgres://USER:PASSWORD@HOST:5432/DATABASE:
    mcp-database --postgres ./uri --schemas shop,billing
  The same from a file (--config):
    postgres: /var/run/secrets/database/uri
    postgresCa: /etc/database-ca/bundle.pem
    schemas: [shop, billing]
    maxConnections: 5
    statementTimeoutSeconds: 30

A flag wins over its variable, the variable over the file. Exit codes: 0 ended in order, 1 could not start, 2 wrong settings.";

pub(crate) fn flags() -> Vec<Arg> {
    vec![
        flag("sqlite", "PATH", "A SQLite database, made when it is not there; :memory: ends with the process"),
        flag(
            "seed",
            "WHICH",
            "What a new SQLite database holds: sample (users and projects) or none [default: sample]",
        ),
        flag(
            "postgres",
            "FILE",
            "File with the connection URI of a PostgreSQL database, read again for new connections",
        ),
        flag("postgres-ca", "FILE", "Certificates (PEM) to trust for PostgreSQL instead of the public ones"),
        repeated("schemas", "NAME,...", "PostgreSQL schemas that tools may see [default: all that the user may]"),
        flag("max-connections", "N", "The most PostgreSQL connections, 1 to 100 [default: 5]"),
        flag("statement-timeout-seconds", "N", "Seconds after which a statement is stopped, 1 to 600 [default: 30]"),
    ]
}

/// Opens the database. `None` exactly when there were problems.
pub(crate) fn store(sources: &mut Sources) -> Option<Store> {
    let sqlite = sources.one("sqlite");
    let seed = sources.one("seed");
    let postgres = sources.one("postgres");
    let ca = sources.one("postgres-ca");
    let schemas = sources.many("schemas");
    let connections = number(sources, "max-connections", 5, 100);
    let patience = number(sources, "statement-timeout-seconds", 30, 600).map(Duration::from_secs);
    let seed = seed_of(sources, seed, sqlite.as_ref());
    if sqlite.is_some() {
        let stray = [ca.as_ref(), schemas.first()];
        for given in stray.into_iter().flatten() {
            let mend = "remove it: SQLite has neither certificates nor schemas";
            sources.problems.add(&given.at, "only together with --postgres", format!("{:?}", given.text), mend);
        }
    }
    match (sqlite, postgres) {
        (Some(given), None) => of_sqlite(sources, &given, seed?, patience?),
        (None, Some(given)) => {
            let schemas = schemas.into_iter().map(|given| given.text).collect();
            let limits = Limits { schemas, connections: usize::try_from(connections?).ok()?, patience: patience? };
            of_postgres(sources, &given, ca.as_ref(), limits)
        }
        (Some(_), Some(given)) => {
            let mend = "a server has one database: remove one of the two, or start a second server";
            sources.problems.add(given.at, "exactly one of --sqlite and --postgres", "both", mend);
            None
        }
        (None, None) => {
            let mend = "try --sqlite :memory:, MCP_SQLITE=:memory: or `sqlite: \":memory:\"` in the file for a sample \
                        database; --postgres FILE for one that is there";
            sources.problems.add("--sqlite", "exactly one of --sqlite and --postgres", "neither", mend);
            None
        }
    }
}

fn of_sqlite(sources: &mut Sources, given: &Given, seed: Seed, patience: Duration) -> Option<Store> {
    let place = if given.text == ":memory:" { Place::Memory } else { Place::File(PathBuf::from(&given.text)) };
    match Sqlite::open(&place, seed, patience) {
        Ok(sqlite) => Some(Store::Sqlite(Arc::new(sqlite))),
        Err(error) => {
            let found = format!("{}: {error}", given.text);
            let mend =
                "give :memory:, a SQLite database, or the path of a new one in a directory this user may write to";
            sources.problems.add(&given.at, "a SQLite database", found, mend);
            None
        }
    }
}

fn of_postgres(sources: &mut Sources, given: &Given, ca: Option<&Given>, limits: Limits) -> Option<Store> {
    let ca_path = ca.map(|given| PathBuf::from(&given.text));
    let source = match Source::read(PathBuf::from(&given.text), ca_path.as_ref()) {
        Ok(source) => source,
        Err(Unusable::Uri(found)) => {
            let expected =
                "a file with postgres://USER:PASSWORD@HOST:5432/DATABASE, sslmode disable, prefer or require";
            let mend = "mount the Secret that holds it, or correct its content (percent-encode what is special in it)";
            sources.problems.add(&given.at, expected, found, mend);
            return None;
        }
        Err(Unusable::Ca(found)) => {
            let at = ca.map_or("--postgres-ca", |given| &given.at);
            sources.problems.add(at, "a PEM file with certificates", found, "mount the ConfigMap that holds them");
            return None;
        }
    };
    let postgres = match Postgres::new(source, limits) {
        Ok(postgres) => postgres,
        Err(error) => {
            sources.problems.add(&given.at, "a pool of connections", error, "report this defect");
            return None;
        }
    };
    if let Some(found) = postgres.role_at_start() {
        let expected = "a role that reaches the data and nothing else";
        sources.problems.add(&given.at, expected, found, MEND);
        return None;
    }
    Some(Store::Postgres(Arc::new(postgres)))
}

fn seed_of(sources: &mut Sources, seed: Option<Given>, sqlite: Option<&Given>) -> Option<Seed> {
    let Some(given) = seed else { return Some(Seed::Sample) };
    let known = match given.text.as_str() {
        "sample" => Some(Seed::Sample),
        "none" => Some(Seed::Nothing),
        _ => None,
    };
    if known.is_none() {
        sources.problems.add(&given.at, "sample or none", format!("{:?}", given.text), "use one of the two");
    } else if sqlite.is_none() {
        let mend = "remove it: only a new SQLite database is seeded";
        sources.problems.add(&given.at, "only together with --sqlite", format!("{:?}", given.text), mend);
    }
    known
}

fn number(sources: &mut Sources, name: &str, default: u64, most: u64) -> Option<u64> {
    let Some(given) = sources.one(name) else { return Some(default) };
    let parsed = given.text.parse().ok().filter(|number| (1..=most).contains(number));
    if parsed.is_none() {
        let expected = format!("a whole number from 1 to {most}");
        sources.problems.add(given.at, expected, format!("{:?}", given.text), format!("{default} is the default"));
    }
    parsed
}
