//! Doubles of the two weather services on real sockets: they answer in the form of the real ones, or as they are told.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

/// How a service answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    /// As the real one.
    Well,
    /// This status with this body as text.
    Says(u16, &'static str),
    /// A redirect.
    Redirects(String),
    /// As the real one, but only after so many milliseconds.
    Slow(u64),
}

#[derive(Debug)]
pub struct Service {
    pub mood: Mutex<Mood>,
    asked: AtomicUsize,
    /// The last place or query it was asked for.
    pub last: Mutex<String>,
}

impl Service {
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn answer(&self, what: String, usual: &'static str) -> Response {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.last.lock().unwrap() = what;
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Well => ([(header::CONTENT_TYPE, "application/json")], usual).into_response(),
            Mood::Says(status, text) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
            Mood::Redirects(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Mood::Slow(milliseconds) => {
                sleep(std::time::Duration::from_millis(milliseconds)).await;
                ([(header::CONTENT_TYPE, "application/json")], usual).into_response()
            }
        }
    }
}

/// Both services. They end with it.
pub struct Sky {
    pub wttr: Arc<Service>,
    pub open_meteo: Arc<Service>,
    /// How often a page was asked for that nobody may be redirected to.
    pub secret: Arc<Service>,
    pub arguments: Vec<String>,
    pub address: String,
    _runtime: Runtime,
}

fn service() -> Arc<Service> {
    Arc::new(Service { mood: Mutex::new(Mood::Well), asked: AtomicUsize::new(0), last: Mutex::default() })
}

pub fn sky() -> Sky {
    let (wttr, open_meteo, secret) = (service(), service(), service());
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/wttr/{place}", get(report).with_state(Arc::clone(&wttr)))
        .route("/meteo/v1/search", get(search).with_state(Arc::clone(&open_meteo)))
        .route("/meteo/v1/forecast", get(forecast).with_state(Arc::clone(&open_meteo)))
        .fallback(get(elsewhere).with_state(Arc::clone(&secret)));
    runtime.spawn(async move { axum::serve(listener, routes).await });
    let arguments =
        vec!["--kv=off".to_owned(), format!("--wttr-url={address}/wttr"), format!("--open-meteo-url={address}/meteo/")];
    Sky { wttr, open_meteo, secret, arguments, address, _runtime: runtime }
}

fn pairs(query: Option<String>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

async fn report(State(service): State<Arc<Service>>, Path(place): Path<String>, RawQuery(query): RawQuery) -> Response {
    assert_eq!(query.as_deref(), Some("format=j1"));
    service.answer(place, include_str!("wttr.json")).await
}

async fn search(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let pairs = pairs(query);
    let name = pairs.iter().find(|(key, _)| key == "name").map(|(_, name)| name.clone()).unwrap_or_default();
    let nothing = r#"{"generationtime_ms": 0.3}"#;
    let usual = if name.starts_with("Berlin") { include_str!("search.json") } else { nothing };
    service.answer(name, usual).await
}

async fn forecast(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    let pairs = pairs(query);
    let usual =
        if pairs.iter().any(|(key, _)| key == "daily") { include_str!("days.json") } else { include_str!("now.json") };
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    service.answer(pairs.join("&"), usual).await
}

async fn elsewhere(State(service): State<Arc<Service>>) -> Response {
    service.answer(String::new(), "secret").await
}
