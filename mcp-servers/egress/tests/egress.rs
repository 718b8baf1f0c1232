//! Requests that must not leave, against real listeners and a resolver that tries its tricks.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use mcp_egress::{ANSWER_LIMIT, Egress, EgressError, Lookup, Origin};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

/// Answers each lookup with the next of its answers; counts by what is left.
#[derive(Debug)]
struct Script(Mutex<VecDeque<Vec<&'static str>>>);

impl Lookup for Script {
    fn addresses(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let next = self.0.lock().unwrap().pop_front().unwrap();
        Box::pin(async move { Ok(next.into_iter().map(|text| text.parse().unwrap()).collect()) })
    }
}

/// A client of one origin, whose names resolve as told, one answer a connection.
fn egress(origin: &str, answers: &[&[&'static str]]) -> (Egress, Arc<Script>) {
    let script = Arc::new(Script(Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect())));
    let origin: Origin = origin.parse().unwrap();
    (Egress::through(vec![origin], Arc::clone(&script) as Arc<dyn Lookup>).unwrap(), script)
}

/// Answers every connection with the same bytes and closes it; tells its port.
async fn listener(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

fn ok(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_listed_origin_is_asked_at_the_address_that_was_checked() {
    let port = listener(ok("{}")).await;
    let (egress, script) = egress(&format!("http://localhost:{port}"), &[&["127.0.0.1"], &["127.0.0.1"]]);
    let answer = egress.get(url(&format!("http://localhost:{port}/a?b=c"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    assert_eq!(answer.content_type, "application/json");
    assert_eq!(script.0.lock().unwrap().len(), 1, "one connection, one lookup: nothing is resolved after the check");
}

#[tokio::test]
async fn an_address_written_into_the_settings_needs_no_name() {
    let port = listener(ok("{}")).await;
    let (egress, _) = egress(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(egress.get(url(&format!("http://127.0.0.1:{port}/"))).await.unwrap().status, 200);
    // The same address in other spellings is the same address; another one is not listed.
    for other in ["http://127.0.0.2", "http://[::1]", "http://[::ffff:127.0.0.1]", "http://localhost", "http://0.0.0.0"]
    {
        let refused = egress.get(url(&format!("{other}:{port}/"))).await.unwrap_err();
        assert!(matches!(refused, EgressError::NotListed(_)), "{other}: {refused}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.5.5",
        "192.168.0.1",
        "169.254.169.254",
        "169.254.170.23",
        "100.64.0.1",
        "0.0.0.0",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "fe80::1",
        "fd00:ec2::254",
        "fd12::1",
        "224.0.0.1",
    ] {
        let (egress, _) = egress("http://weather.example", &[&[address]]);
        let refused = egress.get(url("http://weather.example/latest/meta-data/")).await.unwrap_err();
        assert!(
            matches!(&refused, EgressError::Refused(it) if it.address.to_string() == address),
            "{address}: {refused}"
        );
        assert!(!refused.to_string().contains("meta-data"), "{refused}");
    }
}

#[tokio::test]
async fn one_inside_address_among_public_ones_spoils_the_answer() {
    for answer in [["93.184.216.34", "169.254.169.254"], ["169.254.169.254", "93.184.216.34"], ["2606:2800::1", "::1"]]
    {
        let (egress, _) = egress("http://weather.example", &[&answer]);
        let refused = egress.get(url("http://weather.example/")).await.unwrap_err();
        assert!(matches!(refused, EgressError::Refused(_)), "{answer:?}: {refused}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_differently_the_second_time_is_refused_then() {
    let port = listener(ok("{}")).await;
    let (egress, _) =
        egress(&format!("http://localhost:{port}"), &[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1"]]);
    let page = url(&format!("http://localhost:{port}/"));
    assert_eq!(egress.get(page.clone()).await.unwrap().status, 200);
    for _ in 0..2 {
        let refused = egress.get(page.clone()).await.unwrap_err();
        assert!(matches!(refused, EgressError::Refused(_)), "{refused}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = listener(ok("secret")).await;
    for (status, location) in [
        (301, "http://169.254.169.254/latest/meta-data/".to_owned()),
        (302, format!("http://127.0.0.1:{target}/")),
        (303, "file:///etc/passwd".to_owned()),
        (307, "//169.254.169.254/".to_owned()),
        (308, "/elsewhere".to_owned()),
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let port = listener(answer.into_bytes()).await;
        let (egress, _) = egress(&format!("http://127.0.0.1:{port}"), &[]);
        let refused = egress.get(url(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
        assert!(
            matches!(refused, EgressError::Redirect { status: found, .. } if found == status),
            "{location}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_answer_has_a_largest_size_also_when_it_does_not_say_it() {
    let body = "x".repeat(ANSWER_LIMIT + 1);
    let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}").into_bytes();
    for answer in [ok(&body), endless] {
        let port = listener(answer).await;
        let (egress, _) = egress(&format!("http://127.0.0.1:{port}"), &[]);
        let refused = egress.get(url(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
        assert!(matches!(refused, EgressError::TooLarge(_)), "{refused}");
    }
}

#[tokio::test]
async fn who_is_not_there_is_told_without_the_path() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (egress, _) = egress(&format!("http://127.0.0.1:{port}"), &[]);
    let failed = egress.get(url(&format!("http://127.0.0.1:{port}/private?token=1"))).await.unwrap_err();
    assert_eq!(failed.to_string(), "127.0.0.1 cannot be reached");
}
