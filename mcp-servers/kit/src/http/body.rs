//! The request body: read within its limits, and known to be a JSON-RPC message in outline before rmcp sees it.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Refusal;

/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bodies up to this size are read without further ado.
const SMALL: u64 = 8 * 1024;
/// What larger bodies may have together, in KiB: JSON grows by an order of magnitude when it is parsed.
const LARGE_KIB: usize = 2 * 1024;

/// What the larger bodies of one process share.
#[derive(Debug)]
pub(super) struct Pool(Semaphore);

impl Pool {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(LARGE_KIB))
    }

    async fn enter(&self, bytes: u64) -> Result<SemaphorePermit<'_>, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let entered = tokio::time::timeout(PATIENCE, self.0.acquire_many(kib)).await;
        entered.ok().and_then(Result::ok).ok_or_else(|| {
            let message = "the server is reading as many large requests as it takes at once; try again in a moment";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

/// Reads the whole body, up to `limit` bytes. What is returned beside a large one is held until it is answered.
pub(super) async fn read(
    body: Body,
    limit: usize,
    pool: &Pool,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refusal> {
    let too_large = || {
        let message = format!("the request body is larger than {limit} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // A client that says so beforehand need not send it first.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let largest = body.size_hint().upper().unwrap_or(limit as u64);
    let permit = if largest > SMALL { Some(pool.enter(largest.min(limit as u64)).await?) } else { None };
    let reading = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    let slow = |_| {
        let message = format!("the request body did not arrive within {} s", PATIENCE.as_secs());
        Refusal::new(StatusCode::REQUEST_TIMEOUT, message)
    };
    match reading.map_err(slow)? {
        Ok(body) => Ok((body.to_bytes(), permit)),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the request body broke off: {error}"))),
    }
}

/// The outline of a message; the rest is rmcp's to read.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    id: Option<Value>,
}

/// Whether the body is a list of messages.
pub(super) fn is_batch(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'[')
}

/// Checks that the body is one JSON object, and answers with its id.
pub(super) fn check(bytes: &[u8]) -> Result<Option<RequestId>, Refusal> {
    let no_object = || {
        let message = "expected one JSON-RPC message, which is an object";
        Refusal::new(StatusCode::BAD_REQUEST, message)
    };
    let outline: Outline = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() { no_object() } else { Refusal::parse(format!("the request body is not JSON: {error}")) }
    })?;
    Ok(outline.id.and_then(|id| serde_json::from_value(id).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_a_pool_and_small_ones_do_not_wait_for_it() {
        let (pool, limit) = (Pool::new(), 256 * 1024);
        let large = || Body::from(vec![b' '; limit]);
        let mut held = Vec::new();
        for _ in 0..LARGE_KIB * 1024 / limit {
            held.push(read(large(), limit, &pool).await.unwrap());
        }
        assert!(read(Body::from("{}"), limit, &pool).await.unwrap().1.is_none());
        let refused = read(large(), limit, &pool).await.unwrap_err();
        assert!(format!("{refused:?}").contains("503"), "{refused:?}");
        held.pop();
        read(large(), limit, &pool).await.unwrap();
    }
}
