//! AWS as a slow upstream: a listener on loopback that answers `sts:GetCallerIdentity` after a while, and counts how many
//! requests are under way at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, http::header, response::IntoResponse};
use tokio::{net::TcpListener, time::sleep};

/// The account it tells.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The listener; it ends with the process.
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    wait: Duration,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Double {
    /// Listens on a free port. Every answer takes so long.
    pub(crate) async fn start(wait: Duration) -> Result<Self> {
        let seen = Arc::new(Seen { wait, now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen in place of AWS")?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, seen })
    }

    /// The most requests that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.seen.most.load(Ordering::Relaxed)
    }
}

async fn answer(State(seen): State<Arc<Seen>>) -> impl IntoResponse {
    let now = seen.now.fetch_add(1, Ordering::Relaxed) + 1;
    seen.most.fetch_max(now, Ordering::Relaxed);
    sleep(seen.wait).await;
    seen.now.fetch_sub(1, Ordering::Relaxed);
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    ([(header::CONTENT_TYPE, "text/xml")], body)
}
