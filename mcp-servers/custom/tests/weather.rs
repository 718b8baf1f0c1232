//! The tools about weather, through the real server, against doubles of the two services.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod sky;
mod world;

use std::thread;

use serde_json::json;
use sky::{Mood, Sky, sky};
use world::{World, world};

fn under(sky: &Sky, more: &[&str]) -> World {
    let arguments: Vec<&str> = sky.arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    world(&arguments)
}

#[test]
fn the_weather_is_told_by_the_first_service_and_kept() {
    let sky = sky();
    let world = under(&sky, &[]);
    let first = world.call("get_weather", json!({"location": "Berlin"}));
    assert_eq!(
        first,
        json!({
            "location": "Berlin, Germany", "latitude": 52.517, "longitude": 13.4,
            "observed_at": "2026-11-25T14:45", "condition": "Partly cloudy", "temperature": 2.0, "feels_like": -2.0,
            "humidity": 86.0, "precipitation": 0.3, "pressure": 1016.0, "wind_speed": 17.0, "wind_direction": 250.0,
            "units": "metric", "provider": "wttr.in", "cached": false,
        })
    );
    let again = world.call("get_weather", json!({"location": " BERLIN ", "units": "imperial"}));
    assert_eq!(
        (&again["cached"], &again["temperature"], &again["wind_speed"]),
        (&json!(true), &json!(35.6), &json!(10.6))
    );
    assert_eq!((sky.wttr.asked(), sky.open_meteo.asked()), (1, 0));
}

#[test]
fn nothing_is_kept_when_the_settings_say_so() {
    let sky = sky();
    let world = under(&sky, &["--weather-cache-seconds=0"]);
    for _ in 0..2 {
        assert_eq!(world.call("get_weather", json!({"location": "Berlin"}))["cached"], false);
    }
    assert_eq!(sky.wttr.asked(), 2);
}

#[test]
fn one_question_of_many_callers_is_asked_once() {
    let sky = sky();
    sky.wttr.becomes(Mood::Slow(500));
    let world = under(&sky, &[]);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| world.call("get_weather", json!({"location": "Berlin"})));
        }
    });
    assert_eq!(sky.wttr.asked(), 1);
}

#[test]
fn whatever_the_first_service_does_wrong_the_second_answers() {
    let sky = sky();
    let world = under(&sky, &["--weather-cache-seconds=0"]);
    let elsewhere = format!("{}/secret", sky.address);
    let moods = [
        Mood::Says(200, "Unknown location; please try ~52.52,13.41"),
        Mood::Says(200, "<html>Sorry, we are running out of queries to the weather service</html>"),
        Mood::Says(200, "{\"current_condition\": []}"),
        Mood::Says(200, "{\"current_condition\": [{\"temp_C\": \"warm\"}]}"),
    ];
    let others = [Mood::Says(404, ""), Mood::Says(429, ""), Mood::Says(503, "{}"), Mood::Redirects(elsewhere)];
    for mood in moods.into_iter().chain([Mood::Well]).chain(others) {
        sky.wttr.becomes(mood.clone());
        let told = world.call("get_weather", json!({"location": "Berlin, Germany"}));
        let expected = if mood == Mood::Well { "wttr.in" } else { "open-meteo" };
        assert_eq!(told["provider"], expected, "{mood:?}");
    }
    assert_eq!(sky.secret.asked(), 0, "a redirect is not followed");
    let told = world.call("get_weather", json!({"location": "Berlin"}));
    assert_eq!(told["location"], "Berlin, State of Berlin, Germany");
    assert_eq!((&told["condition"], &told["temperature"]), (&json!("Slight rain"), &json!(2.4)));
    let metrics = world.metrics();
    assert!(metrics.contains(r#"mcp_tool_calls_total{tool="get_weather",outcome="ok"} 10"#), "{metrics}");
}

#[test]
fn a_service_that_fails_five_times_is_left_alone() {
    let sky = sky();
    let world = under(&sky, &["--weather-cache-seconds=0"]);
    sky.wttr.becomes(Mood::Says(500, ""));
    for _ in 0..8 {
        assert_eq!(world.call("get_weather", json!({"location": "Berlin"}))["provider"], "open-meteo");
    }
    assert_eq!(sky.wttr.asked(), 5);
    let metrics = world.metrics();
    assert!(metrics.contains(r#"mcp_breaker_state{upstream="wttr.in",state="open"} 1"#), "{metrics}");
    assert!(!metrics.contains(r#"mcp_breaker_state{upstream="open-meteo",state="open"} 1"#), "{metrics}");
}

#[test]
fn when_no_service_answers_each_of_them_is_named() {
    let sky = sky();
    let world = under(&sky, &[]);
    sky.wttr.becomes(Mood::Says(200, "Unknown"));
    sky.open_meteo.becomes(Mood::Says(502, "Bad gateway"));
    let error = world.fails("get_weather", json!({"location": "Berlin"}));
    assert_eq!(
        error,
        "no weather service gave an answer: wttr.in answered with something that is not JSON; open-meteo answered with HTTP 502"
    );
    sky.open_meteo.becomes(Mood::Well);
    assert_eq!(
        world.call("get_weather", json!({"location": "Berlin"}))["provider"],
        "open-meteo",
        "failures are not kept"
    );
}

#[test]
fn a_place_nobody_knows_is_no_failure_of_a_service() {
    let sky = sky();
    let world = under(&sky, &[]);
    sky.wttr.becomes(Mood::Says(404, "Unknown location"));
    for _ in 0..6 {
        let error = world.fails("get_weather", json!({"location": "Atlantis"}));
        assert!(error.starts_with("no place is known as \"Atlantis\"; try"), "{error}");
    }
    assert_eq!(sky.wttr.asked(), 6, "its breaker stays closed");
}

#[test]
fn a_forecast_is_told_by_who_looks_far_enough() {
    let sky = sky();
    let world = under(&sky, &[]);
    let near = world.call("get_forecast", json!({"location": "52.52,13.41"}));
    assert_eq!((&near["provider"], near["days"].as_array().unwrap().len()), (&json!("wttr.in"), 3));
    let today = json!({"date": "2026-11-25", "condition": "Light rain", "low": -1.0, "high": 3.0, "precipitation": 0.6,
        "precipitation_chance": 71.0, "wind_speed": 18.0});
    assert_eq!(near["days"][0], today);
    assert_eq!(*sky.wttr.last.lock().unwrap(), "52.5200,13.4100");

    let far = world.call("get_forecast", json!({"location": "Berlin", "days": 7, "units": "imperial"}));
    assert_eq!(far["provider"], "open-meteo");
    // The last day is not known yet.
    assert_eq!(far["days"].as_array().unwrap().len(), 6);
    assert_eq!((&far["days"][0]["high"], &far["days"][3]["condition"]), (&json!(37.2), &json!("Slight snow fall")));
    assert!(sky.open_meteo.last.lock().unwrap().contains("forecast_days=7"));
    for days in [0, 8, 255] {
        let error = world.fails("get_forecast", json!({"location": "Berlin", "days": days}));
        assert!(error.contains("expected days from 1 to 7"), "{error}");
    }
}

#[test]
fn places_are_found_with_their_time_zones() {
    let sky = sky();
    let world = under(&sky, &[]);
    let found = world.call("geocode", json!({"name": "Berlin"}));
    assert_eq!(found["provider"], "open-meteo");
    assert_eq!(found["places"][0]["timezone"], "Europe/Berlin");
    assert_eq!(found["places"][1]["region"], "New Hampshire");
    sky.open_meteo.becomes(Mood::Says(200, "maintenance"));
    let other = world.call("geocode", json!({"name": "Berlin Mitte"}));
    assert_eq!((&other["provider"], &other["places"][0]["country"]), (&json!("wttr.in"), &json!("Germany")));
}

#[test]
fn the_place_that_is_meant_is_chosen_by_region_or_country() {
    let sky = sky();
    sky.wttr.becomes(Mood::Says(404, ""));
    let world = under(&sky, &[]);
    for (location, region) in [
        ("Berlin", "State of Berlin"),
        ("Berlin, Germany", "State of Berlin"),
        ("Berlin, New Hampshire", "New Hampshire"),
        ("Berlin, New Hampshire, United States", "New Hampshire"),
        ("Berlin, united states", "New Hampshire"),
    ] {
        let told = world.call("get_weather", json!({"location": location}));
        assert!(told["location"].as_str().unwrap().contains(region), "{location}: {told}");
    }
}

#[test]
fn names_that_mean_something_else_to_a_service_are_not_asked() {
    let sky = sky();
    let world = under(&sky, &[]);
    for location in ["", "@github.com", "~x", ":help", "../secret", "/secret", "91,0", "?format=1", "a\nb\u{0}"] {
        let error = world.fails("get_weather", json!({"location": location}));
        assert!(error.starts_with("expected "), "{location}: {error}");
    }
    assert!(world.fails("get_weather", json!({"location": "x".repeat(101)})).contains("up to 100 characters"));
    assert_eq!((sky.wttr.asked(), sky.open_meteo.asked(), sky.secret.asked()), (0, 0, 0));
    // A name stays one name, whatever is in it.
    world.call("get_weather", json!({"location": "a/../../secret?x=1#y"}));
    assert_eq!(*sky.wttr.last.lock().unwrap(), "a/../../secret?x=1#y");
    assert_eq!(sky.secret.asked(), 0);
}

#[test]
fn a_mirror_that_is_not_there_is_told_without_what_was_asked() {
    let world = world(&["--kv=off", "--wttr-url=http://127.0.0.1:1", "--open-meteo-url=http://127.0.0.1:1"]);
    let error = world.fails("get_weather", json!({"location": "Berlin"}));
    assert_eq!(
        error,
        "no weather service gave an answer: wttr.in: 127.0.0.1 cannot be reached; open-meteo: 127.0.0.1 cannot be reached"
    );
}
