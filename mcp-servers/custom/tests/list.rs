//! The list of tools: what every client pays for in every conversation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod world;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use world::{world, wrong_settings};

/// The same JSON with sorted keys, however maps are ordered in this build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(name, value)| (name.clone(), sorted(value)));
            entries.collect::<BTreeMap<_, _>>().into_iter().collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_list_of_tools_is_stable_small_and_complete() {
    let world = world(&[]);
    assert!(world.names().is_sorted(), "{:?}", world.names());
    for tool in world.tools.as_array().unwrap() {
        assert!(tool["title"].is_string() && tool["outputSchema"]["type"] == "object", "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert!(!tool.to_string().contains("$ref"), "{tool}");
        assert!(tool["description"].as_str().unwrap().len() < 200, "{tool}");
        assert_eq!(tool["annotations"].as_object().unwrap().len(), 4, "all four hints: {tool}");
    }
    let tokens = world.tools.to_string().len() / 4;
    assert!(tokens <= 2500, "the tools cost {tokens} tokens");
    insta::assert_snapshot!(serde_json::to_string_pretty(&sorted(&world.tools)).unwrap());
}

#[test]
fn hints_say_what_a_tool_does() {
    let world = world(&[]);
    let hints = |name: &str| {
        let tool = world.tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        let hint = |name: &str| tool["annotations"][name].as_bool().unwrap();
        [hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint"), hint("openWorldHint")]
    };
    for name in ["get_weather", "get_forecast", "geocode"] {
        assert_eq!(hints(name), [true, false, true, true], "{name}");
    }
    for name in
        ["get_current_time", "convert_time", "parse_timestamp", "time_difference", "add_duration", "kv_get", "kv_list"]
    {
        assert_eq!(hints(name), [true, false, true, false], "{name}");
    }
    for name in ["kv_set", "kv_delete"] {
        assert_eq!(hints(name), [false, true, true, false], "{name}");
    }
    assert_eq!(hints("kv_increment"), [false, false, false, false]);
}

#[test]
fn families_are_turned_off_one_by_one() {
    let time = ["add_duration", "convert_time", "get_current_time", "parse_timestamp", "time_difference"];
    assert_eq!(world(&["--weather=off", "--kv=off"]).names(), time);
    let without_weather = world(&["--weather=off"]);
    assert!(!without_weather.names().contains(&"get_weather") && without_weather.names().contains(&"kv_set"));
    let without_kv = world(&["--kv=off"]);
    assert!(without_kv.names().contains(&"get_weather") && !without_kv.names().contains(&"kv_set"));
}

#[test]
fn settings_are_read_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.yaml");
    let disk = directory.path().join("entries");
    let text = format!("weather: off\nkv: disk\nkvDisk: {}\nkvMaxEntries: 10\n", disk.display());
    std::fs::write(&file, text).unwrap();
    let world = world(&[&format!("--config={}", file.display())]);
    assert_eq!(world.names().len(), 10);
    world.call("kv_set", json!({"key": "a", "value": "b"}));
    assert!(disk.join("entries.sqlite").is_file());
}

#[test]
fn wrong_settings_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("url");
    std::fs::write(&file, "secret-that-is-no-url").unwrap();
    let valkey = format!("--kv-valkey={}", file.display());
    for (arguments, expected) in [
        (vec!["--weather=maybe"], "one of on, off"),
        (vec!["--kv=etcd"], "one of memory, off, valkey, disk"),
        (vec!["--kv=valkey"], "a file with the URL, since --kv asks for it"),
        (vec!["--kv=disk"], "a directory, since --kv asks for it"),
        (vec!["--kv=disk", "--kv-disk=/proc/nowhere"], "a directory this user may write"),
        (vec!["--kv=valkey", "--kv-valkey=/no/such/file"], "/no/such/file"),
        (vec!["--kv=valkey", &valkey], "rediss://USER:PASSWORD@HOST:6379/0"),
        (vec!["--kv-max-entries=0"], "a whole number from 1 to 10000000"),
        (vec!["--weather-cache-seconds=86401"], "a whole number from 0 to 86400"),
        (vec!["--wttr-url=wttr.in"], "not a URL of the form"),
        (vec!["--wttr-url=http://169.254.169.254/"], "an address that requests never go to"),
        (vec!["--wttr-url=http://[::ffff:127.0.0.1]/"], "a host in an unusual spelling; it means [::ffff:7f00:1]"),
        (vec!["--wttr-url=http://[::ffff:7f00:1]/"], "an address that requests never go to"),
        (vec!["--open-meteo-url=http://2130706433/"], "a host in an unusual spelling; it means 127.0.0.1"),
        (vec!["--open-meteo-url=https://user:password@api.open-meteo.com"], "a URL with a user, password"),
    ] {
        let text = wrong_settings(&arguments);
        assert!(text.contains(expected), "{arguments:?}: no {expected:?} in\n{text}");
        assert!(!text.contains("secret-that-is-no-url"), "{text}");
    }
}
