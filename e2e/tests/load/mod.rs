//! Calls at a server, as many as keep some pods busy and no more: bounded in number at once, in rate, and in time.
//!
//! In: the address of a Service. Out: how many calls there were, and what became of those that failed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

/// Callers, and the pause each makes after a call: at most 800 calls a second.
const CALLERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(10);
/// It ends by itself after this time.
const LONGEST: Duration = Duration::from_mins(5);

/// Callers at work.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    /// Begins to call a tool of the server at `url`, which is reached at `address`, each time by a new connection: those are
    /// what a Service distributes.
    pub(crate) fn start(url: &str, address: SocketAddr) -> Result<Self> {
        let host = url.parse::<http::Uri>()?.host().context("the URL names no host")?.to_owned();
        let builder = reqwest::Client::builder().no_proxy().resolve(&host, address).pool_max_idle_per_host(0);
        let http = builder.timeout(Duration::from_secs(10)).build()?;
        let over = Arc::new(AtomicBool::new(false));
        let caller = |_| tokio::spawn(calls(http.clone(), url.to_owned(), over.clone()));
        Ok(Self { callers: (0..CALLERS).map(caller).collect(), over })
    }

    /// Ends it. Returns the number of calls, and of those that failed why.
    pub(crate) async fn end(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let mut all = (0, Vec::new());
        for (calls, failed) in futures::future::join_all(self.callers).await.into_iter().flatten() {
            all.0 += calls;
            all.1.extend(failed);
        }
        all
    }
}

async fn calls(http: reqwest::Client, url: String, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut count, mut failed, begin) = (0, Vec::new(), Instant::now());
    while !over.load(Ordering::Relaxed) && begin.elapsed() < LONGEST {
        count += 1;
        if let Err(error) = call(&http, &url).await {
            failed.push(format!("{error:#}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    (count, failed)
}

async fn call(http: &reqwest::Client, url: &str) -> Result<()> {
    let params = json!({"name": "get_current_time", "arguments": {"timezone": "Europe/Berlin"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = http.post(url).header("accept", "application/json, text/event-stream").json(&body);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    anyhow::ensure!(answer["result"]["isError"] != true && answer["error"].is_null(), "{answer}");
    anyhow::ensure!(!answer["result"].is_null(), "{answer}");
    Ok(())
}
