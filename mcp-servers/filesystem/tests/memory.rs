//! Clients that ask for much and read nothing: the memory of a pod is bounded, and the others are served.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows #[test] functions as tests, but not those beside them"
)]

mod world;

use std::{
    io::Write,
    net::TcpStream,
    thread::{JoinHandle, sleep, spawn},
    time::Duration,
};

use serde_json::{Value, json};
use world::world;

/// What the operator gives a Filesystem server unless the spec says otherwise, in KiB.
const POD: u64 = 256 * 1024;

fn request(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn call(tool: &str, path: &str) -> Value {
    let params = json!({"name": tool, "arguments": {"path": path}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

#[test]
fn clients_that_never_read_their_media_cannot_fill_the_pod() {
    let world = world(|root| std::fs::write(root.join("film.mp4"), vec![7; 4 * 1024 * 1024]).unwrap());
    let clients: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(world.server.address).unwrap();
            stream.write_all(&request(&call("read_media_file", "/data/film.mp4"))).unwrap();
            stream
        })
        .collect();
    sleep(Duration::from_secs(4));
    let taken = world.metric(r#"mcp_call_places_taken{class="large"}"#);
    assert_eq!(taken, 3, "as many as there are places");
    let entries = world.call("list_directory", json!({"path": "/data"}));
    assert_eq!(entries["entries"][0]["name"], "film.mp4", "small calls are served beside them");
    let peak = world.server.kib("VmHWM");
    assert!(peak < POD * 3 / 4, "{peak} KiB of a pod of {POD} KiB");
    drop(clients);
    let media = world.call("read_media_file", json!({"path": "/data/film.mp4"}));
    assert_eq!(media["size"], 4 * 1024 * 1024, "places are free again when their clients have gone");
}

#[test]
fn large_requests_that_wait_cannot_fill_the_pod() {
    let world = world(|root| std::fs::write(root.join("film.mp4"), vec![7; 4 * 1024 * 1024]).unwrap());
    let address = world.server.address;
    let ask = |body: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.to_vec();
        // What is not let in yet waits in the kernel, and some of it in the client.
        stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        spawn(move || {
            let _ = stream.write_all(&body);
            stream
        })
    };
    let media = request(&call("read_media_file", "/data/film.mp4"));
    let mut clients: Vec<JoinHandle<TcpStream>> = (0..3).map(|_| ask(&media)).collect();
    sleep(Duration::from_secs(2));
    // Calls that wait for those three, with arguments that grow when they are parsed.
    let mut waiting = call("read_media_file", "/data/film.mp4");
    waiting["params"]["arguments"]["more"] = json!(vec![0; 120_000]);
    let waiting = request(&waiting);
    clients.extend((0..100).map(|_| ask(&waiting)));
    sleep(Duration::from_secs(4));
    let peak = world.server.kib("VmHWM");
    assert!(peak < POD * 3 / 4, "{peak} KiB of a pod of {POD} KiB");
    world.call("list_allowed_directories", json!({}));
    drop(clients);
}
