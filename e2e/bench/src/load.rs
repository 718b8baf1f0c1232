//! The load generator: so many connections, kept alive, each with one request under way. The same for every server.
//!
//! In: an address, a question, bounds in time and calls. Out: how many right answers came and how long each took. A wrong
//! answer, a refusal among them, is a failure, never a fast call.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::TcpStream, task::JoinSet};

use crate::question::Question;

/// Bounds of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// The most calls of one connection, whatever the time.
    pub(crate) calls: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) connections: usize,
    pub(crate) calls: usize,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) longest_us: u64,
}

/// One kept connection.
pub(crate) struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let host = HeaderValue::try_from(format!("127.0.0.1:{}", address.port()))?;
        Ok(Self { sender, host })
    }

    /// Asks once. Fails at anything but a right answer.
    pub(crate) async fn ask(&mut self, question: &Question) -> Result<()> {
        let mut request = Request::post("/mcp").body(Full::new(question.body.clone()))?;
        request.headers_mut().clone_from(&question.headers);
        request.headers_mut().insert(header::HOST, self.host.clone());
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK && question.is_answered_by(&body),
            "expected 200 and {:?}, found {status}: {}",
            String::from_utf8_lossy(question.mark),
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }
}

/// Puts a load on a server. Any wrong answer fails the whole.
pub(crate) async fn put(address: SocketAddr, question: &Question, load: Load) -> Result<Measured> {
    let mut lines = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        lines.push(Line::open(address).await.context("open a connection")?);
    }
    let start = Instant::now();
    let end = start + load.time;
    let mut tasks = JoinSet::new();
    for mut line in lines {
        let question = question.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            while took.len() < load.calls {
                let asked = Instant::now();
                if asked >= end {
                    break;
                }
                line.ask(&question).await?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.extend(took.context("a connection broke off")??);
    }
    let elapsed = start.elapsed();
    all.sort_unstable();
    Ok(summary(load.connections, &all, elapsed))
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn summary(connections: usize, sorted: &[Duration], elapsed: Duration) -> Measured {
    let at = |percent: usize| {
        let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(index).map_or(0, micros)
    };
    let calls = sorted.len();
    let calls_per_second = calls as f64 / elapsed.as_secs_f64();
    Measured { connections, calls, calls_per_second, p50_us: at(50), p99_us: at(99), longest_us: at(100) }
}

fn micros(duration: &Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_calls_that_were_made() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let measured = summary(1, &sorted, Duration::from_secs(2));
        assert_eq!((measured.calls, measured.p50_us, measured.p99_us, measured.longest_us), (200, 100, 198, 200));
        assert!((measured.calls_per_second - 100.0).abs() < 1e-9);
        assert_eq!(summary(1, &[], Duration::from_secs(1)).p99_us, 0);
    }
}
