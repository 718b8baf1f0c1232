//! The Custom server: time always, weather and the key-value store when the spec has them.

use mcp_crds::{
    McpServerSpec,
    kinds::{
        CustomServer,
        custom::{Backend, KeyValue, Weather},
    },
};

use super::{super::Problems, upstream};
use crate::desired::bundled::{Amounts, Bundled, DATA_DIR, From, Place};

/// Where Valkey listens unless told otherwise.
const VALKEY_PORT: i32 = 6379;
/// Where the weather services listen.
const HTTPS_PORT: i32 = 443;

pub(super) fn server(server: &CustomServer, spec: &McpServerSpec, problems: &mut Problems) -> Bundled {
    let mut bundled = Bundled {
        binary: "mcp-custom",
        resources: Amounts { cpu: "50m", memory: "32Mi", most_memory: "256Mi" },
        ..Bundled::default()
    };
    // Said aloud: started by hand, the server has both.
    bundled.set("weather", if server.weather.is_some() { "on" } else { "off" });
    if let Some(it) = &server.weather {
        weather(&mut bundled, it, problems);
    }
    match &server.kv {
        None => bundled.set("kv", "off"),
        Some(it) => key_value(&mut bundled, it, spec, problems),
    }
    bundled
}

fn weather(bundled: &mut Bundled, weather: &Weather, problems: &mut Problems) {
    bundled.set("weatherCacheSeconds", weather.cache_seconds);
    for (field, key, url) in
        [("wttrUrl", "wttrUrl", &weather.wttr_url), ("openMeteoUrl", "openMeteoUrl", &weather.open_meteo_url)]
    {
        match url {
            None => upstream::call(bundled, HTTPS_PORT),
            Some(url) => {
                bundled.set(key, url.clone());
                upstream::call_url(bundled, &format!("spec.server.custom.weather.{field}"), url, problems);
            }
        }
    }
}

fn key_value(bundled: &mut Bundled, kv: &KeyValue, spec: &McpServerSpec, problems: &mut Problems) {
    match (kv.backend, &kv.valkey, &kv.disk) {
        (Backend::Memory, None, None) => bundled.set("kv", "memory"),
        (Backend::Valkey, Some(valkey), None) => {
            bundled.set("kv", "valkey");
            bundled.read("kvValkey", "valkey", From::Secret, &valkey.secret_ref);
            upstream::guess(bundled, VALKEY_PORT, spec);
        }
        (Backend::Disk, None, Some(disk)) => {
            bundled.set("kv", "disk");
            bundled.set("kvDisk", DATA_DIR);
            bundled.places.push(Place { volume: disk.volume.clone(), path: DATA_DIR.to_owned(), writable: true });
        }
        _ => {
            let message = "set valkey with backend Valkey, disk with backend Disk, and neither with backend Memory";
            problems.add("spec.server.custom.kv", message);
        }
    }
    bundled.set("kvMaxEntries", kv.max_entries);
}
