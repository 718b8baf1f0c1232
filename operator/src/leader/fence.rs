//! The fence: no write leaves this process after its Lease could have expired.
//!
//! In: every request of the client. Out: the request, or an error in its place. A service under the client and not a
//! question asked before a write: a process that was stopped in the middle of a pass goes on in the middle of it. The
//! second look is in [`super::socket`], at the socket: a request waits for its connection, and may be stopped there.
//!
//! Guarantee: a byte of a write reaches the socket only within [`super::RENEW_DEADLINE`] of the moment at which the last
//! good renewal was asked for; others take the Lease [`super::LEASE_DURATION`] after that moment at the earliest.
//! Caveat: between the last look and the system call are some instructions, and whoever is stopped exactly there
//! sends one write too late.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use http::{Method, Request};
use nix::time::{ClockId, clock_gettime};
use tower::{BoxError, Service};

/// Writes to these are how leadership is won.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/";

/// The time since this machine started. It runs on while the process is stopped or the machine sleeps.
#[must_use]
pub fn since_boot() -> Duration {
    // No clock, no leader: the end of time is after every deadline.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}

/// A clock: never goes back, no matter where it starts.
pub type Clock = fn() -> Duration;

/// Open until a time of the clock. Clones are one fence.
#[derive(Clone)]
pub struct Fence {
    clock: Clock,
    open_until: Arc<AtomicU64>,
}

impl Fence {
    /// A fence that is closed until it is opened.
    #[must_use]
    pub fn closed(clock: Clock) -> Self {
        Self { clock, open_until: Arc::default() }
    }

    /// A fence that never closes, for an operator without leader election.
    #[must_use]
    pub fn open(clock: Clock) -> Self {
        Self { clock, open_until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Lets writes pass until a time of the clock.
    pub fn open_until(&self, end: Duration) {
        self.open_until.store(u64::try_from(end.as_millis()).unwrap_or(0), Ordering::SeqCst);
    }

    /// Lets nothing pass any more.
    pub fn close(&self) {
        self.open_until.store(0, Ordering::SeqCst);
    }

    /// Whether a write would pass now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        (self.clock)().as_millis() < u128::from(self.open_until.load(Ordering::SeqCst))
    }

    /// A service that lets reads pass always, and writes while the fence is open.
    #[must_use]
    pub fn guard<R, W>(&self, reads: R, writes: W) -> FencedService<R, W> {
        FencedService { fence: self.clone(), reads, writes }
    }

    /// The time now by the fence's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.clock)()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fence").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

/// Why a request did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent, or its answer not waited for: this operator does not lead (any more), and only the leader writes")]
pub struct Fenced;

/// Two ways to one API server: reads go the first, writes the second and only while the fence is open.
#[derive(Clone, Debug)]
pub struct FencedService<R, W> {
    fence: Fence,
    reads: R,
    writes: W,
}

impl<R, W, B> Service<Request<B>> for FencedService<R, W>
where
    R: Service<Request<B>>,
    R::Error: Into<BoxError>,
    R::Future: Send + 'static,
    W: Service<Request<B>, Response = R::Response>,
    W::Error: Into<BoxError>,
    W::Future: Send + 'static,
{
    type Response = R::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<R::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        task::ready!(self.reads.poll_ready(context)).map_err(Into::into)?;
        self.writes.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !needs_leadership(request.method(), request.uri().path()) {
            let answer = self.reads.call(request);
            return Box::pin(async move { answer.await.map_err(Into::into) });
        }
        if !self.fence.is_open() {
            return Box::pin(async { Err(Fenced.into()) });
        }
        let (fence, mut answer) = (self.fence.clone(), Box::pin(self.writes.call(request)));
        // Looked at before every step: a connection that is still being made must not carry the request later on.
        Box::pin(std::future::poll_fn(move |context| {
            if fence.is_open() {
                answer.as_mut().poll(context).map_err(Into::into)
            } else {
                Poll::Ready(Err(Fenced.into()))
            }
        }))
    }
}

fn needs_leadership(method: &Method, path: &str) -> bool {
    let lease = path.strip_prefix(LEASES).and_then(|rest| rest.split('/').nth(1)) == Some("leases");
    !lease && !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use futures::FutureExt;
    use http::{Method, Request};
    use tokio::sync::Notify;
    use tower::{Service, service_fn};

    use super::{Fence, Fenced, needs_leadership, since_boot};

    #[test]
    fn reads_and_the_lease_pass_without_leadership() {
        let apps = "/apis/apps/v1/namespaces/a/deployments/b";
        let lease = "/apis/coordination.k8s.io/v1/namespaces/a/leases";
        let cases = [
            (Method::GET, apps, false),
            (Method::PATCH, apps, true),
            (Method::PUT, apps, true),
            (Method::POST, "/api/v1/namespaces/a/events", true),
            (Method::DELETE, apps, true),
            (Method::POST, lease, false),
            (Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", false),
            (Method::PUT, "/api/v1/namespaces/a/configmaps/leases", true),
            (Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/leases/others/b", true),
        ];
        for (method, path, expected) in cases {
            assert_eq!(needs_leadership(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_clock_counts_and_never_goes_back() {
        let before = since_boot();
        assert!(before > Duration::ZERO && before < Duration::MAX);
        assert!(since_boot() >= before);
    }

    fn patch() -> Request<()> {
        Request::patch("/apis/apps/v1/namespaces/a/deployments/b").body(()).unwrap()
    }

    #[tokio::test]
    async fn a_write_after_the_deadline_does_not_leave() {
        static NOW: AtomicU64 = AtomicU64::new(100);
        let fence = Fence::closed(|| Duration::from_secs(NOW.load(Ordering::SeqCst)));
        let sent = Arc::new(AtomicU64::new(0));
        let api_server = service_fn(|_: Request<()>| {
            // Some services send when they are called, not when their answer is waited for.
            sent.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(()))
        });
        let mut service = fence.guard(api_server, api_server);
        assert!(service.call(patch()).await.unwrap_err().is::<Fenced>(), "closed until it is opened");
        fence.open_until(Duration::from_secs(110));
        service.call(patch()).await.unwrap();
        NOW.store(109, Ordering::SeqCst);
        service.call(patch()).await.unwrap();
        NOW.store(110, Ordering::SeqCst);
        assert!(service.call(patch()).await.unwrap_err().is::<Fenced>());
        service.call(Request::get("/api/v1/pods").body(()).unwrap()).await.unwrap();
        fence.open_until(Duration::from_mins(2));
        fence.close();
        assert!(service.call(patch()).await.unwrap_err().is::<Fenced>());
        assert_eq!(sent.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_write_that_waits_for_a_connection_is_not_sent_when_the_deadline_has_passed() {
        static NOW: AtomicU64 = AtomicU64::new(100);
        let fence = Fence::closed(|| Duration::from_secs(NOW.load(Ordering::SeqCst)));
        fence.open_until(Duration::from_secs(110));
        let (connected, sent) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
        let api_server = service_fn(|_: Request<()>| {
            let (connected, sent) = (connected.clone(), sent.clone());
            async move {
                connected.notified().await;
                sent.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(())
            }
        });
        let mut service = fence.guard(api_server, api_server);
        let mut answer = service.call(patch());
        assert!((&mut answer).now_or_never().is_none());
        // The process was stopped here, and goes on after another has taken the Lease.
        NOW.store(170, Ordering::SeqCst);
        connected.notify_one();
        assert!(answer.await.unwrap_err().is::<Fenced>());
        assert_eq!(sent.load(Ordering::SeqCst), 0);
    }
}
