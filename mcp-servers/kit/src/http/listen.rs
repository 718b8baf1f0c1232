//! The accept loop: limits on connections, headers and stalled answers, and an end that waits for calls but not for idle
//! clients.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::answer::Hangup;

/// What one listener grants. Together with the body limit it keeps buffered requests well below a pod's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    connections: usize,
    /// How long a client may leave an answer unread before it loses its connection.
    unread: Duration,
}

impl Limits {
    /// What every listener grants: 512 connections, 30 s.
    pub(crate) const STANDARD: Self = Self { connections: 512, unread: Duration::from_secs(30) };
}

const HEADER_BYTES: usize = 32 * 1024;
/// What hyper may keep of one connection in either direction, beside the body that is collected.
const BUFFER_BYTES: usize = 64 * 1024;
/// From the last answer to the whole header of the next request. Longer than the idle limit of AWS load balancers (60 s),
/// which answer 502 when a target hangs up first.
const IDLE: Duration = Duration::from_secs(75);
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// EAFNOSUPPORT of Linux, which has no kind of its own: the kernel was started without IPv6.
const NO_SUCH_FAMILY: i32 = 97;

/// Binds an address, with an error that says whose it is. `[::]` takes IPv4 as well, and is IPv4 alone where there is no
/// IPv6.
pub(crate) async fn bind(address: SocketAddr, setting: &str) -> io::Result<TcpListener> {
    let error = match TcpListener::bind(address).await {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    if let Some(instead) = without_ipv6(address, &error) {
        tracing::warn!(%address, %instead, setting, %error, "there is no IPv6 here: listening on IPv4 alone");
        return TcpListener::bind(instead).await.map_err(|error| taken(instead, setting, &error));
    }
    Err(taken(address, setting, &error))
}

fn taken(address: SocketAddr, setting: &str, error: &io::Error) -> io::Error {
    let message = format!("cannot listen on {address} ({setting}): {error}; choose another address or end who has it");
    io::Error::new(error.kind(), message)
}

/// What stands for "every address" where IPv6 is missing, not merely refused.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let missing = error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable;
    let every = address.is_ipv6() && address.ip().is_unspecified();
    (missing && every).then(|| SocketAddr::from(([0, 0, 0, 0], address.port())))
}

/// Serves until `closing`, then ends when the last request under way is answered. The caller bounds that wait.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, closing: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    loop {
        // The end is not held up by a listener that is full.
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            () = closing.cancelled() => break,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, hangup) = (router.clone(), Hangup::default());
        let cut = hangup.clone();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(hangup.clone());
            router.clone().call(request)
        });
        let connection = graceful.watch(protocol().serve_connection(io(stream, limits), service));
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = cut.0.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn io(stream: TcpStream, limits: Limits) -> TokioIo<Pin<Box<TimeoutStream<TcpStream>>>> {
    // Small answers leave at once. A socket that does not take the option still works.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.unread));
    TokioIo::new(Box::pin(stream))
}

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(IDLE);
    protocol.max_header_size(HEADER_BYTES).max_buf_size(BUFFER_BYTES);
    protocol
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Bounds a wait that only a defect makes long.
    const PATIENCE: Duration = Duration::from_mins(1);

    async fn server(limits: Limits) -> SocketAddr {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "test").await.unwrap();
        let address = listener.local_addr().unwrap();
        // More than the socket buffers of both sides take.
        let flood = || async { vec![b'x'; 64 * 1024 * 1024] };
        let router = Router::new().route("/flood", get(flood)).route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, limits, CancellationToken::new()));
        address
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    }

    #[tokio::test]
    async fn a_connection_over_the_limit_waits_until_another_ends() {
        let address = server(Limits { connections: 1, ..Limits::STANDARD }).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = ask(address, "/").await;
        let early = tokio::time::timeout(Duration::from_millis(300), second.readable()).await;
        assert!(early.is_err(), "it was served beside the first");
        drop(first);
        assert!(answer(&mut second).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_client_that_never_reads_loses_its_place() {
        let address = server(Limits { connections: 1, unread: Duration::from_millis(200) }).await;
        let _never_reads = ask(address, "/flood").await;
        let mut second = ask(address, "/").await;
        assert!(answer(&mut second).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_keeps_its_place() {
        let address = server(Limits { connections: 1, unread: Duration::from_secs(2) }).await;
        let mut stream = ask(address, "/flood").await;
        let mut gulp = vec![0; 1024 * 1024];
        // Longer in all than the limit, which counts from the last byte that was taken.
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.read_exact(&mut gulp).await.unwrap();
        }
        assert!(answer(&mut stream).await.len() > 13 * 1024 * 1024);
    }

    #[test]
    fn a_listener_grants_no_more_than_a_small_pod_can_hold() {
        let pod = 256 * 1024 * 1024;
        assert!(Limits::STANDARD.connections * (crate::http::BODY_LIMIT + BUFFER_BYTES) < pod * 3 / 4);
    }

    #[tokio::test]
    async fn every_ipv6_address_takes_ipv4_too() {
        let listener = bind("[::]:0".parse().unwrap(), "test").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect(("::1", port)).await.unwrap();
        }
    }

    #[test]
    fn only_a_missing_ipv6_is_replaced_and_only_for_every_address() {
        let every: SocketAddr = "[::]:8080".parse().unwrap();
        let missing = io::Error::from_raw_os_error(NO_SUCH_FAMILY);
        assert_eq!(without_ipv6(every, &missing), Some("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(without_ipv6(every, &io::ErrorKind::AddrNotAvailable.into()), Some("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(without_ipv6(every, &io::ErrorKind::AddrInUse.into()), None);
        assert_eq!(without_ipv6(every, &io::ErrorKind::PermissionDenied.into()), None);
        for one in ["[::1]:8080", "0.0.0.0:8080", "10.0.0.1:8080"] {
            assert_eq!(without_ipv6(one.parse().unwrap(), &missing), None, "{one}");
        }
    }
}
