//! The two bundled sample servers: a catalogue, and orders from it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Writes, database::Persistence};
use crate::{pod::MountedKey, rule};

/// The bundled Product server: a sample catalogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&["sqlite", "postgres"], "set exactly one of sqlite and postgres: the server has one database"))]
pub struct ProductServer {
    /// A SQLite database inside the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<SampleSqlite>,
    /// A PostgreSQL database elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SamplePostgres>,
    /// Whether tools that change the catalogue are there.
    #[serde(default)]
    #[schemars(transform = Writes::explain)]
    pub writes: Writes,
}

/// The bundled Order server: sample orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&["sqlite", "postgres"], "set exactly one of sqlite and postgres: the server has one database"))]
pub struct OrderServer {
    /// A SQLite database inside the pod. Orders are state: one replica then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<SampleSqlite>,
    /// A PostgreSQL database elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<SamplePostgres>,
    /// Whether tools that cancel orders or move them on are there; placing an order always is.
    #[serde(default)]
    #[schemars(transform = Writes::explain)]
    pub writes: Writes,
    /// Name of the McpServer with the catalogue, in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub product_server: String,
}

/// A SQLite database inside the pod, with the sample data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct SampleSqlite {
    /// Keeps the database on a volume; without it, the data ends with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
}

/// A PostgreSQL database elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamplePostgres {
    /// Key of a Secret that holds the connection URI; mounted as a file.
    pub secret_ref: MountedKey,
}
