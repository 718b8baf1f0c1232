//! The answer's body on its way out: in slices, so that little of it waits in buffers, and with the place of its call
//! until the last of its bytes has left this process.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::capacity::Slot;

/// What is handed to the connection at once. Answers up to this size are passed on untouched.
const SLICE: usize = 32 * 1024;
/// How long a client may take for a large answer in any case, and how fast it must read beyond that.
const PATIENCE: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: u64 = 64 * 1024;

/// Ends the connection a request came on. The accept loop puts it into every request.
#[derive(Clone, Debug, Default)]
pub(super) struct Hangup(pub(super) CancellationToken);

/// A body that keeps the slot of its call.
#[derive(Debug)]
pub(super) struct Answer {
    inner: Body,
    slot: Arc<Slot>,
    hangup: Hangup,
    rest: Bytes,
}

/// The bytes of one large frame, the place they take, and the end of the watch over them.
struct Owned {
    bytes: Bytes,
    _slot: Arc<Slot>,
    _sent: DropGuard,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answer {
    pub(super) const fn new(inner: Body, slot: Arc<Slot>, hangup: Hangup) -> Self {
        Self { inner, slot, hangup, rest: Bytes::new() }
    }

    /// Binds a large frame to its place, and to a time by which it must have been taken: whoever reads a byte now and
    /// then would otherwise keep others from their answers for hours.
    fn owned(&self, bytes: Bytes) -> Bytes {
        let sent = CancellationToken::new();
        let patience = PATIENCE + Duration::from_secs(bytes.len() as u64 / BYTES_PER_SECOND);
        let (taken, hangup) = (sent.clone(), self.hangup.clone());
        tokio::spawn(async move {
            if tokio::time::timeout(patience, taken.cancelled()).await.is_err() {
                tracing::debug!("an answer was not taken in time; its connection is closed");
                hangup.0.cancel();
            }
        });
        Bytes::from_owner(Owned { bytes, _slot: Arc::clone(&self.slot), _sent: sent.drop_guard() })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(frame) => frame.map_err(io::Error::other)?,
                None => return Poll::Ready(None),
            };
            match frame.into_data() {
                Ok(bytes) if bytes.len() > SLICE => self.rest = self.owned(bytes),
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = SLICE.min(self.rest.len());
        let slice = self.rest.split_to(length);
        if self.rest.is_empty() {
            // What is empty still owns the whole.
            self.rest = Bytes::new();
        }
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn answer(bytes: usize) -> (Answer, std::sync::Weak<Slot>, Hangup) {
        let (slot, hangup) = (Arc::new(Slot::default()), Hangup::default());
        let weak = Arc::downgrade(&slot);
        (Answer::new(Body::from(vec![b'x'; bytes]), slot, hangup.clone()), weak, hangup)
    }

    #[tokio::test]
    async fn the_slot_lives_as_long_as_the_last_unsent_slice() {
        let (mut answer, slot, hangup) = answer(3 * SLICE - 1);
        assert_eq!(answer.size_hint().exact(), Some(3 * SLICE as u64 - 1));
        let mut slices = Vec::new();
        while let Some(frame) = answer.frame().await {
            slices.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(slices.iter().map(Bytes::len).collect::<Vec<_>>(), [SLICE, SLICE, SLICE - 1]);
        drop(answer);
        let last = slices.pop();
        slices.clear();
        assert!(slot.upgrade().is_some(), "a slice is still in a buffer");
        drop(last);
        assert!(slot.upgrade().is_none());
        assert!(!hangup.0.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_that_is_not_taken_in_time_ends_its_connection() {
        let (mut answer, _slot, hangup) = answer(2 * SLICE);
        let first = answer.frame().await.unwrap().unwrap();
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(!hangup.0.is_cancelled());
        tokio::time::sleep(PATIENCE).await;
        assert!(hangup.0.is_cancelled());
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_taken_is_watched_no_longer() {
        let (mut answer, _slot, hangup) = answer(2 * SLICE);
        while let Some(frame) = answer.frame().await {
            drop(frame);
        }
        tokio::time::sleep(PATIENCE * 10).await;
        assert!(!hangup.0.is_cancelled());
    }
}
