//! The fence at the socket: connections that carry writes, and stop carrying them when the fence is closed.
//!
//! In: what makes a connection. Out: the same, whose bytes pass only while the fence is open. It knows nothing of
//! requests: a client that has one of these sends its writes through it and its reads through another. A request that
//! was cut in its middle is refused by the API server, which waits for the rest of the body.

use std::{
    io,
    pin::Pin,
    task::{self, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower::Service;

use super::fence::{Fence, Fenced};

/// Makes connections behind a fence.
#[derive(Clone, Debug)]
pub struct FencedConnector<C> {
    fence: Fence,
    inner: C,
}

impl<C> FencedConnector<C> {
    /// Puts the connections of `inner` behind a fence.
    pub fn new(fence: &Fence, inner: C) -> Self {
        Self { fence: fence.clone(), inner }
    }
}

impl<C, T> Service<T> for FencedConnector<C>
where
    C: Service<T>,
    C::Future: Send + 'static,
    C::Response: 'static,
    C::Error: 'static,
{
    type Response = FencedStream<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: T) -> Self::Future {
        let fence = self.fence.clone();
        self.inner.call(to).map(|connected| connected.map(|inner| FencedStream { fence, inner })).boxed()
    }
}

/// A connection behind a fence.
#[derive(Debug)]
pub struct FencedStream<S> {
    fence: Fence,
    inner: S,
}

impl<S> FencedStream<S> {
    /// The connection, while the fence is open.
    fn open(&mut self) -> io::Result<&mut S> {
        if self.fence.is_open() { Ok(&mut self.inner) } else { Err(io::Error::other(Fenced)) }
    }
}

impl<S: Write + Unpin> Write for FencedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().open()?).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().open()?).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

impl<S: Read + Unpin> Read for FencedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, into)
    }
}

impl<S: Connection> Connection for FencedStream<S> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use futures::FutureExt;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::{body::Bytes, server::conn::http1, service::service_fn};
    use hyper_util::{
        client::legacy::{Client, connect::HttpConnector},
        rt::{TokioExecutor, TokioIo},
    };
    use tokio::{net::TcpListener, time::sleep};

    use super::{Fence, Fenced, FencedConnector};

    /// One thread, so that it is known who runs when: the connection is a task of its own.
    #[tokio::test]
    async fn a_write_that_was_handed_to_its_connection_is_not_sent_when_the_deadline_has_passed() {
        static NOW: AtomicU64 = AtomicU64::new(100);
        static ARRIVED: AtomicU64 = AtomicU64::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/apis/apps/v1/namespaces/a/deployments/b", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let answer = service_fn(async |_| {
                ARRIVED.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        let fence = Fence::closed(|| Duration::from_secs(NOW.load(Ordering::SeqCst)));
        let connector = FencedConnector::new(&fence, HttpConnector::new());
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let patch = || client.request(Request::patch(&url).body(Full::new(Bytes::from_static(b"{}"))).unwrap());

        fence.open_until(Duration::from_secs(110));
        patch().await.unwrap();
        let mut answer = patch();
        assert!((&mut answer).now_or_never().is_none(), "it waits for its connection's task, which has not run yet");
        // The process was stopped here, and the connection is the first that goes on.
        NOW.store(170, Ordering::SeqCst);
        sleep(Duration::from_millis(100)).await;
        let error = answer.await.unwrap_err();
        let error = anyhow::Error::from(error);
        assert!(error.chain().any(|cause| cause.to_string() == Fenced.to_string()), "{error:?}");
        assert_eq!(ARRIVED.load(Ordering::SeqCst), 1);

        fence.open_until(Duration::from_mins(3));
        patch().await.unwrap();
        assert_eq!(ARRIVED.load(Ordering::SeqCst), 2, "a new connection carries it");
    }
}
