//! The bundled Custom server: weather, a key-value store, time.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{choice::choice, pod::MountedKey, rule};

/// The bundled Custom server. The tools about time are always there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomServer {
    /// Turns on the tools about weather, which ask wttr.in and Open-Meteo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weather: Option<Weather>,
    /// Turns on the key-value store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<KeyValue>,
}

/// The tools about weather.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Weather {
    /// Seconds for which an answer is kept.
    #[serde(default = "cache")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cache_seconds: i32,
    /// Stands in for https://wttr.in, for example a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rule::matches("^https?://[^/]+.*$", "not a URL: write https://HOST/PATH"))]
    pub wttr_url: Option<String>,
    /// Stands in for https://api.open-meteo.com, for example a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rule::matches("^https?://[^/]+.*$", "not a URL: write https://HOST/PATH"))]
    pub open_meteo_url: Option<String>,
}

choice! {
    /// Where the key-value store keeps its entries.
    Backend {
        /// In the pod: they end with it.
        Memory,
        /// In Valkey or Redis, shared by all pods.
        Valkey,
        /// On a volume of the pod.
        Disk,
    }
}

/// The key-value store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.backend == 'Valkey') == has(self.valkey) && (self.backend == 'Disk') == has(self.disk)")
    .message("set valkey with backend Valkey, disk with backend Disk, and neither with backend Memory"))]
pub struct KeyValue {
    /// Where the entries are kept.
    #[serde(default)]
    #[schemars(transform = Backend::explain)]
    pub backend: Backend,
    /// The Valkey or Redis behind backend Valkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valkey: Option<Valkey>,
    /// The volume behind backend Disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// The most entries that are kept; the oldest go first.
    #[serde(default = "entries")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_entries: i32,
}

/// A Valkey or Redis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Valkey {
    /// Key of a Secret that holds the URL, rediss://USER:PASSWORD@HOST:6379/0; mounted as a file.
    pub secret_ref: MountedKey,
}

/// A volume for entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Disk {
    /// Name of a volume in spec.volumes.
    #[schemars(length(min = 1, max = 63))]
    pub volume: String,
}

fn cache() -> i32 {
    600
}

fn entries() -> i32 {
    100_000
}
