//! The tools about time, through the real server: zones, gaps and folds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod world;

use serde_json::{Value, json};
use world::{World, world};

fn clock() -> World {
    world(&["--weather=off", "--kv=off"])
}

#[test]
fn the_time_now_is_told_in_a_zone() {
    let world = clock();
    let utc = world.call("get_current_time", json!({}));
    let tokyo = world.call("get_current_time", json!({"timezone": "Asia/Tokyo"}));
    assert_eq!((&utc["timezone"], &tokyo["timezone"]), (&json!("UTC"), &json!("Asia/Tokyo")));
    assert!(tokyo["time"].as_str().unwrap().ends_with("+09:00"), "{tokyo}");
    let apart = tokyo["unix_seconds"].as_i64().unwrap() - utc["unix_seconds"].as_i64().unwrap();
    assert!((0..60).contains(&apart), "{apart}");
    let error = world.fails("get_current_time", json!({"timezone": "Europe/Atlantis"}));
    assert_eq!(error, "unknown time zone \"Europe/Atlantis\"; expected an IANA name such as Europe/Berlin or UTC");
}

#[test]
fn a_time_is_converted_between_zones() {
    let world = clock();
    let convert = |time: &str, from: &str, to: &str| {
        let arguments = json!({"time": time, "source_timezone": from, "target_timezone": to});
        world.call("convert_time", arguments)["time"].as_str().unwrap().to_owned()
    };
    for (time, from, to, expected) in [
        ("2026-07-01T14:30", "Europe/Berlin", "America/New_York", "2026-07-01T08:30:00-04:00"),
        ("2026-01-01T14:30", "Europe/Berlin", "America/New_York", "2026-01-01T08:30:00-05:00"),
        // Between the changes of the two, they are an hour nearer.
        ("2026-03-15T14:30", "Europe/Berlin", "America/New_York", "2026-03-15T09:30:00-04:00"),
        ("2026-07-01T14:30", "Europe/Berlin", "Asia/Kathmandu", "2026-07-01T18:15:00+05:45"),
        ("2026-07-01T14:30", "Pacific/Auckland", "Pacific/Honolulu", "2026-06-30T16:30:00-10:00"),
        ("2026-07-01T14:30+02:00", "Asia/Tokyo", "UTC", "2026-07-01T12:30:00+00:00"),
        ("1782909000", "UTC", "Europe/Berlin", "2026-07-01T14:30:00+02:00"),
        // Half an hour of daylight saving, and a country that skipped a day.
        ("2026-10-04T02:15", "Australia/Lord_Howe", "UTC", "2026-10-03T15:45:00+00:00"),
        ("2011-12-30T12:00", "Pacific/Apia", "UTC", "2011-12-30T22:00:00+00:00"),
    ] {
        assert_eq!(convert(time, from, to), expected, "{time} {from}");
    }
    let today = convert("00:30", "UTC", "UTC");
    assert!(today.ends_with("T00:30:00+00:00"), "{today}");
}

#[test]
fn a_clock_time_that_does_not_exist_or_comes_twice_is_named() {
    let world = clock();
    let note = |time: &str, zone: &str| {
        let converted =
            world.call("convert_time", json!({"time": time, "source_timezone": zone, "target_timezone": "UTC"}));
        (converted["time"].as_str().unwrap().to_owned(), converted["note"].clone())
    };
    let (time, gap) = note("2026-03-29T02:30", "Europe/Berlin");
    assert_eq!(time, "2026-03-29T01:30:00+00:00");
    let expected = "gap: 02:30:00 on 2026-03-29 does not exist in Europe/Berlin, clocks go forward there from +01 to +02; taken \
                    as 2026-03-29T03:30:00+02:00";
    assert_eq!(gap, expected);
    let (time, fold) = note("2026-11-01T01:30", "America/New_York");
    assert_eq!(time, "2026-11-01T05:30:00+00:00");
    let expected = "fold: 01:30:00 on 2026-11-01 comes twice in America/New_York, at -04 and again at -05; the first is taken, \
                    write the offset to choose";
    assert_eq!(fold, expected);
    let (time, chosen) = note("2026-11-01T01:30-05:00", "America/New_York");
    assert_eq!((time.as_str(), chosen), ("2026-11-01T06:30:00+00:00", Value::Null));
}

#[test]
fn a_timestamp_is_read_and_its_form_named() {
    let world = clock();
    let parsed =
        world.call("parse_timestamp", json!({"text": "Wed, 01 Jul 2026 14:30:00 +0200", "timezone": "Europe/Berlin"}));
    assert_eq!(
        parsed,
        json!({"format": "rfc2822", "moment": {
            "time": "2026-07-01T14:30:00+02:00", "timezone": "Europe/Berlin",
            "unix_seconds": 1_782_909_000, "weekday": "Wednesday", "is_dst": true,
        }})
    );
    assert!(world.fails("parse_timestamp", json!({"text": "next tuesday"})).contains("is not a time; expected"));
}

#[test]
fn differences_and_sums_know_the_calendar() {
    let world = clock();
    let apart =
        world.call("time_difference", json!({"from": "2026-03-28", "to": "2026-03-30", "timezone": "Europe/Berlin"}));
    assert_eq!(apart, json!({"seconds": 47 * 3600, "iso8601": "P2D", "text": "2d"}));
    let sum = world.call("add_duration", json!({"time": "2024-01-31T10:00Z", "duration": "1 month"}));
    assert_eq!(sum["time"], "2024-02-29T10:00:00+00:00");
    let late = json!({"time": "2026-03-28T02:30", "duration": "P1D", "timezone": "Europe/Berlin"});
    assert!(world.call("add_duration", late)["note"].as_str().unwrap().starts_with("gap: "));
    assert!(world.fails("add_duration", json!({"time": "2026-01-01", "duration": "P99999Y"})).contains("expected"));
}
