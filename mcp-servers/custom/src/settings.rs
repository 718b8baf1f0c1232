//! The settings of this server: which families of tools are on, and what stands behind them.

use std::{ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use clap::Arg;
use mcp_egress::{Egress, Origin, WrongOrigin};
use mcp_kit::settings::{Sources, flag};

use crate::{
    kv::{Bounds, Disk, Memory, Store, Valkey},
    weather::{OpenMeteo, Weather, Wttr},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  All tools on this machine, entries in memory:
    mcp-custom
  For a client that starts the server itself, entries on disk:
    mcp-custom --stdio --kv disk --kv-disk ~/.local/share/mcp-custom
  In a cluster, entries in Valkey, from a file (--config):
    listen: 0.0.0.0:8080
    allowedHosts: [custom.team.svc]
    kv: valkey
    kvValkey: /etc/mcp/valkey-url

A flag wins over its variable, the variable over the file. Exit codes: 0 ended in order, 1 could not start, 2 wrong settings.";

const WTTR: &str = "https://wttr.in";
const OPEN_METEO: &str = "https://api.open-meteo.com";
/// Open-Meteo finds places under another name than it tells the weather.
const OPEN_METEO_GEOCODING: &str = "https://geocoding-api.open-meteo.com";

/// What is on.
pub(crate) struct Settings {
    pub(crate) weather: Option<Weather>,
    pub(crate) kv: Option<Arc<dyn Store>>,
}

pub(crate) fn flags() -> Vec<Arg> {
    vec![
        flag("weather", "on|off", "The tools about weather [default: on]"),
        flag(
            "weather-cache-seconds",
            "SECONDS",
            "How long an answer about weather is kept, 0 for not at all [default: 600]",
        ),
        flag("wttr-url", "URL", "Stands in for https://wttr.in, for example a mirror"),
        flag("open-meteo-url", "URL", "Stands in for https://api.open-meteo.com and its geocoding service"),
        flag("kv", "off|memory|valkey|disk", "Where the key-value store keeps its entries [default: memory]"),
        flag(
            "kv-valkey",
            "FILE",
            "A file with the URL of Valkey or Redis: rediss://USER:PASSWORD@HOST:6379/0. Changes are picked up",
        ),
        flag("kv-disk", "DIR", "A directory for entries on disk; one server at a time"),
        flag("kv-max-entries", "N", "The most entries of all callers together; the oldest go first [default: 100000]"),
    ]
}

/// What is wrong is among the problems already.
struct Told;

/// Reads all of them. `None` exactly when there were problems.
pub(crate) fn read(sources: &mut Sources) -> Option<Settings> {
    let (weather, kv) = (weather(sources), kv(sources));
    Some(Settings { weather: weather.ok()?, kv: kv.ok()? })
}

fn weather(sources: &mut Sources) -> Result<Option<Weather>, Told> {
    let on = choice(sources, "weather", &["on", "off"]);
    let cache = number(sources, "weather-cache-seconds", 0..=86_400, 600);
    let wttr = origin(sources, "wttr-url", WTTR);
    let open_meteo = origin(sources, "open-meteo-url", OPEN_METEO);
    let (on, cache, (wttr, _), (open_meteo, is_mirror)) = (on?, cache?, wttr?, open_meteo?);
    if on == "off" {
        return Ok(None);
    }
    // A mirror has both parts of the service.
    let geocoding = if is_mirror { Ok(open_meteo.clone()) } else { OPEN_METEO_GEOCODING.parse() };
    let geocoding = geocoding.map_err(|_| Told)?;
    let egress = Egress::new(vec![wttr.clone(), open_meteo.clone(), geocoding.clone()]).map_err(|error| {
        let mend = "install CA certificates (ca-certificates), or turn the tools off: --weather off";
        sources.problems.add("--weather", "trusted certificates for https", error, mend);
        Told
    })?;
    let providers = [Wttr::new(egress.clone(), wttr).boxed(), OpenMeteo::new(egress, open_meteo, geocoding).boxed()];
    Ok(Some(Weather::new(providers.into(), Duration::from_secs(cache))))
}

fn kv(sources: &mut Sources) -> Result<Option<Arc<dyn Store>>, Told> {
    let backend = choice(sources, "kv", &["memory", "off", "valkey", "disk"]);
    let entries = number(sources, "kv-max-entries", 1..=10_000_000, 100_000);
    let url = sources.one("kv-valkey").map(|given| PathBuf::from(given.text));
    let directory = sources.one("kv-disk").map(|given| PathBuf::from(given.text));
    let (backend, entries) = (backend?, usize::try_from(entries?).map_err(|_| Told)?);
    Ok(match backend {
        "off" => None,
        "valkey" => {
            let store = Valkey::new(named(sources, "--kv-valkey", "a file with the URL", url)?, entries);
            Some(Arc::new(opened(sources, "--kv-valkey", "a file with one URL such as rediss://HOST:6379/0", store)?))
        }
        "disk" => {
            let directory = named(sources, "--kv-disk", "a directory", directory)?;
            let store = Disk::open(&directory, Bounds::on_disk(entries));
            let expected = "a directory this user may write, and no other server uses";
            Some(Arc::new(opened(sources, "--kv-disk", expected, store)?))
        }
        _ => Some(Arc::new(Memory::new(Bounds::in_memory(entries)))),
    })
}

/// What a backend cannot be without.
fn named(sources: &mut Sources, at: &str, what: &str, path: Option<PathBuf>) -> Result<PathBuf, Told> {
    path.ok_or_else(|| {
        let expected = format!("{what}, since --kv asks for it");
        sources.problems.add(at, expected, "none", format!("give it: {at} PATH"));
        Told
    })
}

fn opened<T>(sources: &mut Sources, at: &str, expected: &str, store: Result<T, String>) -> Result<T, Told> {
    store.map_err(|error| {
        sources.problems.add(at, expected, error, "correct the path or what is there");
        Told
    })
}

/// One of a few words; the first is the default.
fn choice(sources: &mut Sources, name: &str, words: &[&'static str]) -> Result<&'static str, Told> {
    let Some(given) = sources.one(name) else { return words.first().copied().ok_or(Told) };
    // `on` and `off` are words here, and some writers of YAML make them true and false.
    let text = match given.text.as_str() {
        "true" => "on",
        "false" => "off",
        text => text,
    };
    words.iter().copied().find(|word| *word == text).ok_or_else(|| {
        let expected = format!("one of {}", words.join(", "));
        sources.problems.add(given.at, expected, format!("{:?}", given.text), "write one of them");
        Told
    })
}

fn number(sources: &mut Sources, name: &str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Told> {
    let Some(given) = sources.one(name) else { return Ok(default) };
    given.text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        sources.problems.add(given.at, expected, format!("{:?}", given.text), "correct the number");
        Told
    })
}

/// A base URL, and whether it was given.
fn origin(sources: &mut Sources, name: &str, default: &str) -> Result<(Origin, bool), Told> {
    let given = sources.one(name);
    let text = given.as_ref().map_or(default, |given| given.text.as_str());
    text.parse().map(|origin| (origin, given.is_some())).map_err(|error: WrongOrigin| {
        let at = given.as_ref().map_or_else(|| name.to_owned(), |given| given.at.clone());
        sources.problems.add(at, "a URL such as https://HOST/PATH", error.to_string(), "correct the URL");
        Told
    })
}
