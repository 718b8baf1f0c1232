//! The bundled Database server, and the stores that the sample servers share with it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Writes;
use crate::{choice::choice, pod::MountedKey, rule};

/// The bundled Database server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule::exactly_one(&["sqlite", "postgres"], "set exactly one of sqlite and postgres: the server has one database"))]
pub struct DatabaseServer {
    /// A SQLite database inside the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
    /// A PostgreSQL database elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// Whether statements that change data run.
    #[serde(default)]
    #[schemars(transform = Writes::explain)]
    pub writes: Writes,
}

choice! {
    /// What a new SQLite database holds.
    Seed {
        /// The sample tables users and projects.
        Sample,
        /// Nothing.
        None,
    }
}

/// A SQLite database inside the pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sqlite {
    /// What a new database holds.
    #[serde(default)]
    #[schemars(transform = Seed::explain)]
    pub seed: Seed,
    /// Keeps the database on a volume; without it, the data ends with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
}

/// Where data outlives the pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Persistence {
    /// Name of a volume in spec.volumes, on a block device: SQLite on NFS or EFS loses data.
    #[schemars(length(min = 1, max = 63))]
    pub volume: String,
}

/// A PostgreSQL database elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// Key of a Secret that holds the connection URI, postgres://USER:PASSWORD@HOST:5432/DATABASE; mounted as a file.
    pub secret_ref: MountedKey,
    /// Key of a ConfigMap that holds the certificates to trust, for example the bundle of RDS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<MountedKey>,
    /// Schemas that tools may see; all that the database user may see, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub schemas: Vec<String>,
    /// The most connections that one pod keeps.
    #[serde(default = "connections")]
    #[schemars(range(min = 1, max = 100))]
    pub max_connections: i32,
    /// Seconds after which a statement is cancelled.
    #[serde(default = "statement_timeout")]
    #[schemars(range(min = 1, max = 600))]
    pub statement_timeout_seconds: i32,
}

fn connections() -> i32 {
    5
}

fn statement_timeout() -> i32 {
    30
}
