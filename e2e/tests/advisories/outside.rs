//! What leaves the server: requests to where a caller says, and commands.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    support::Server,
    world::{SECRET, World, binary, call, start},
};

/// A service on loopback that writes down the first line of each request, and knows no place.
struct Listener {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&asked);
        // It ends with the process.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or_default();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                kept.lock().unwrap().push(text.lines().next().unwrap_or_default().to_owned());
                let answer =
                    format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", SECRET.len());
                let _ = stream.write_all((answer + SECRET).as_bytes());
            }
        });
        Self { address, asked }
    }

    /// A server that asks it for the weather, and asks anew each time.
    fn behind(&self) -> Server {
        let wttr = format!("--wttr-url=http://{}/wttr", self.address);
        let meteo = format!("--open-meteo-url=http://{}/meteo", self.address);
        start("mcp-custom", &[&wttr, &meteo, "--weather-cache-seconds=0", "--writes=allow"])
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) async fn headers(_: &World) -> Result<()> {
    let (weather, inside) = (Listener::open(), Listener::open());
    let server = weather.behind();
    let url = format!("http://{}/latest/meta-data/", inside.address);
    for name in [
        "x-atlassian-jira-url",
        "x-atlassian-confluence-url",
        "x-wttr-url",
        "x-open-meteo-url",
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "x-upstream",
        "x-target-url",
        "forwarded",
        "referer",
        "location",
        "proxy",
        "http-proxy",
    ] {
        let answer = server.post(&[(name, &url)], &call("get_weather", &json!({"location": "Berlin"})));
        assert_eq!(answer.json()["result"]["isError"], true, "{name}: {answer:?}");
        assert!(!answer.body.contains(SECRET), "{name}: {answer:?}");
    }
    assert_eq!(inside.asked(), Vec::<String>::new());
    let asked = weather.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line.contains("/wttr/Berlin") || line.contains("/meteo/")),
        "{asked:?}"
    );
    Ok(())
}

pub(crate) async fn spelling(_: &World) -> Result<()> {
    // As a place that the weather is asked for: whatever it looks like, it is one name below the service.
    let (weather, inside) = (Listener::open(), Listener::open());
    let server = weather.behind();
    let port = inside.address.rsplit(':').next().unwrap();
    for host in
        ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "127.1", "①②⑦.0.0.1", "x@127.0.0.1"]
    {
        for place in [
            format!("http://{host}:{port}/"),
            format!("//{host}:{port}/"),
            format!("../../{host}:{port}/"),
            format!("@{host}:{port}/"),
            format!("Berlin@{host}:{port}"),
            format!("%2e%2e/%2e%2e/{host}:{port}"),
            format!("Berlin\r\nHost: {host}:{port}"),
        ] {
            let answer = server.post(&[], &call("get_weather", &json!({"location": place})));
            assert!(!answer.body.contains(SECRET), "{place}: {answer:?}");
        }
    }
    assert_eq!(inside.asked(), Vec::<String>::new());
    let below = |line: &String| line.starts_with("GET /wttr/") || line.starts_with("GET /meteo/");
    let asked = weather.asked();
    assert!(!asked.is_empty() && asked.iter().all(below), "{asked:?}");
    let climbs = |line: &String| line.split(['/', '?', ' ']).any(|part| matches!(part, ".." | "%2e%2e" | "%2E%2E"));
    assert!(!asked.iter().any(climbs), "{asked:?}");

    // In the settings: what is inside, under another name, starts nothing.
    for url in [
        "http://169.254.169.254",
        "http://[::ffff:169.254.169.254]",
        "http://0xa9fea9fe",
        "http://2852039166",
        "http://169.254.43518",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[fd00:ec2::254]",
        "http://0.0.0.0",
        "http://user@127.0.0.1",
        "file:///etc/passwd",
    ] {
        let output = Command::new(binary("mcp-custom"))
            .args(["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", &format!("--wttr-url={url}")])
            .output()?;
        assert_eq!(output.status.code(), Some(2), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

pub(crate) async fn shell(w: &World) -> Result<()> {
    let weather = Listener::open();
    let custom = weather.behind();
    let before = w.picture();
    let marker = w.place("made-by-a-shell");
    for command in [
        format!("$(touch {marker})"),
        format!("`touch {marker}`"),
        format!("x; touch {marker}"),
        format!("x | touch {marker}"),
        format!("x && touch {marker}"),
        format!("x\ntouch {marker}\n"),
        format!("' ; touch {marker} ; '"),
        format!("\" ; touch {marker} ; \""),
        format!("${{IFS}}touch${{IFS}}{marker}"),
        format!("-o {marker} file:///etc/passwd"),
    ] {
        let attempts: [(&str, &str, Value); 13] = [
            ("custom", "get_weather", json!({"location": command})),
            ("custom", "get_forecast", json!({"location": command})),
            ("custom", "geocode", json!({"name": command})),
            ("custom", "kv_set", json!({"key": command, "value": command})),
            ("custom", "get_current_time", json!({"timezone": command})),
            ("custom", "parse_timestamp", json!({"text": command})),
            ("files", "read_text_file", json!({"path": command})),
            ("files", "read_text_file", json!({"path": format!("/data/{command}")})),
            ("files", "search_files", json!({"path": "/data", "pattern": command})),
            ("files", "search_content", json!({"path": "/data", "pattern": command})),
            ("database", "query", json!({"sql": "SELECT $1::text", "params": [command]})),
            ("database", "query", json!({"sql": format!("SELECT 1 {command}")})),
            ("database", "describe_table", json!({"table": command})),
        ];
        for (server, tool, arguments) in attempts {
            let server = match server {
                "custom" => &custom,
                "files" => &w.files,
                _ => &w.database,
            };
            let answer = server.post(&[], &call(tool, &arguments));
            assert!(answer.status < 500 && !answer.body.contains("root:x:0"), "{tool} {arguments}: {answer:?}");
        }
        assert!(!fs::exists(&marker)?, "a shell ran {command}");
    }
    assert_eq!(w.picture(), before);
    Ok(())
}
