//! The Database server: SQLite in the pod, or PostgreSQL wherever its Secret says.

use mcp_crds::{
    McpServerSpec,
    kinds::{
        DatabaseServer,
        database::{Postgres, Seed, Sqlite},
    },
};

use super::{super::Problems, upstream};
use crate::desired::bundled::{Amounts, Bundled, DATA_DIR, From, Place};

/// Where PostgreSQL listens unless told otherwise.
pub(super) const POSTGRES_PORT: i32 = 5432;

pub(super) fn server(server: &DatabaseServer, spec: &McpServerSpec, problems: &mut Problems) -> Bundled {
    let mut bundled = Bundled {
        binary: "mcp-database",
        resources: Amounts { cpu: "50m", memory: "64Mi", most_memory: "256Mi" },
        ..Bundled::default()
    };
    match (&server.sqlite, &server.postgres) {
        (Some(it), None) => sqlite(&mut bundled, it),
        (None, Some(it)) => postgres(&mut bundled, it, spec),
        _ => {
            problems.add("spec.server.database", "set exactly one of sqlite and postgres: the server has one database");
        }
    }
    bundled
}

fn sqlite(bundled: &mut Bundled, sqlite: &Sqlite) {
    let path = match &sqlite.persistence {
        None => ":memory:".to_owned(),
        Some(persistence) => {
            let volume = persistence.volume.clone();
            // Whoever only reads still has to make the database once, and SQLite its journal.
            bundled.places.push(Place { volume, path: DATA_DIR.to_owned(), writable: true });
            format!("{DATA_DIR}/database.sqlite")
        }
    };
    bundled.set("sqlite", path);
    bundled.set(
        "seed",
        match sqlite.seed {
            Seed::Sample => "sample",
            Seed::None => "none",
        },
    );
}

fn postgres(bundled: &mut Bundled, postgres: &Postgres, spec: &McpServerSpec) {
    bundled.read("postgres", "postgres", From::Secret, &postgres.secret_ref);
    if let Some(ca) = &postgres.ca_config_map_ref {
        bundled.read("postgresCa", "postgres-ca", From::ConfigMap, ca);
    }
    if !postgres.schemas.is_empty() {
        bundled.set("schemas", postgres.schemas.clone());
    }
    bundled.set("maxConnections", postgres.max_connections);
    bundled.set("statementTimeoutSeconds", postgres.statement_timeout_seconds);
    upstream::guess(bundled, POSTGRES_PORT, spec);
}
