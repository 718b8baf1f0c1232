//! The sessions of one process: so many and no more, each its opener's alone, ended when it was idle for too long.
//!
//! In: what rmcp asks of a session manager, on behalf of one caller a [`Visit`]. Out: rmcp's own sessions, and a verdict
//! where there is none. A session takes a place from its opening to its end, also when its opener hung up meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt};
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        WorkerTransport,
        streamable_http_server::{
            SessionId, SessionManager,
            session::{
                ServerSseMessage,
                local::{LocalSessionManager, LocalSessionManagerError, LocalSessionWorker},
            },
        },
    },
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{metrics::Metrics, settings::Sessions};

/// How often idle sessions are looked for, at most: sooner where they may idle for less.
const LOOK: Duration = Duration::from_secs(5);
/// How long a session may take to hear that it ends.
const GOODBYE: Duration = Duration::from_secs(1);

/// All sessions of the process.
pub(crate) struct Keeper {
    inner: LocalSessionManager,
    open: Mutex<HashMap<SessionId, Entry>>,
    places: Arc<Semaphore>,
    closing: AtomicBool,
    ended: Notify,
    idle: Duration,
    metrics: Arc<Metrics>,
}

/// What is known of a session beside what rmcp knows.
struct Entry {
    owner: Arc<str>,
    use_: Arc<Mutex<Use>>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Use {
    running: usize,
    last: Instant,
}

/// A request under way: its session is not idle.
struct Busy(Arc<Mutex<Use>>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut it = lock(&self.0);
        it.running = it.running.saturating_sub(1);
        it.last = Instant::now();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a request does not get its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Verdict {
    /// There are as many as there may be.
    Full,
    /// This process is on its way out.
    Closing,
    /// It ended, never was, or is somebody else's.
    Missing,
}

impl Keeper {
    pub(crate) fn new(settings: Sessions, metrics: Arc<Metrics>) -> Self {
        let mut inner = LocalSessionManager::default();
        // Only the keeper knows of calls that take long: it ends what is idle.
        inner.session_config.keep_alive = None;
        // Answers that were sent would be kept for a minute, whatever their size and number.
        inner.session_config.completed_cache_ttl = Duration::ZERO;
        inner.session_config.sse_retry = None;
        Self {
            inner,
            open: Mutex::default(),
            places: Arc::new(Semaphore::new(settings.most)),
            closing: AtomicBool::new(false),
            ended: Notify::new(),
            idle: settings.idle,
            metrics,
        }
    }

    /// Opens no more sessions. Those that are open live on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Waits until the last session has ended.
    pub(crate) async fn drained(&self) {
        loop {
            let ended = self.ended.notified();
            if lock(&self.open).is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Ends sessions that are idle, for as long as the process lives.
    pub(crate) async fn tend(&self) {
        let mut looks = tokio::time::interval(LOOK.min(self.idle / 4));
        loop {
            looks.tick().await;
            let idle: Vec<SessionId> = {
                let open = lock(&self.open);
                open.iter().filter(|(_, entry)| entry.is_idle(self.idle)).map(|(id, _)| Arc::clone(id)).collect()
            };
            for id in idle {
                tracing::debug!("a session was idle for {:?} and is ended", self.idle);
                self.end(&id, "idle").await;
            }
        }
    }

    /// The use of a session, if it is this caller's.
    fn of(&self, id: &SessionId, caller: &str) -> Option<Arc<Mutex<Use>>> {
        let open = lock(&self.open);
        open.get(id).filter(|entry| *entry.owner == *caller).map(|entry| Arc::clone(&entry.use_))
    }

    async fn end(&self, id: &SessionId, why: &'static str) {
        let entry = lock(&self.open).remove(id);
        // rmcp forgets a session only here, also when it ended by itself. One that does not listen, because nobody takes
        // what it sends, ends when its last sender is dropped.
        if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, self.inner.close_session(id)).await {
            tracing::debug!(%error, "a session ended before it could be closed");
        }
        if entry.is_some() {
            self.metrics.session_ended(why);
            drop(entry);
            self.ended.notify_waiters();
        }
    }
}

impl Entry {
    fn is_idle(&self, limit: Duration) -> bool {
        let it = lock(&self.use_);
        it.running == 0 && it.last.elapsed() >= limit
    }
}

/// One request's view of the sessions: those of its caller.
pub(super) struct Visit {
    keeper: Arc<Keeper>,
    caller: Arc<str>,
    verdict: OnceLock<Verdict>,
}

/// What rmcp is told where it gets no session; what the client is told is the verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no session: {0:?}")]
    None(Verdict),
    #[error(transparent)]
    Session(#[from] LocalSessionManagerError),
}

impl Visit {
    pub(super) const fn new(keeper: Arc<Keeper>, caller: Arc<str>) -> Self {
        Self { keeper, caller, verdict: OnceLock::new() }
    }

    /// Why there was no session, if there was none.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict.get().copied()
    }

    fn none(&self, verdict: Verdict) -> Trouble {
        let _ = self.verdict.set(verdict);
        Trouble::None(verdict)
    }

    /// Takes note of a request in a session.
    fn busy(&self, id: &SessionId) -> Result<Busy, Trouble> {
        let use_ = self.keeper.of(id, &self.caller).ok_or_else(|| self.none(Verdict::Missing))?;
        lock(&use_).running += 1;
        Ok(Busy(use_))
    }

    /// A session that fails in the middle of a request has ended.
    fn gone<T>(&self, done: Result<T, LocalSessionManagerError>) -> Result<T, Trouble> {
        done.map_err(|error| {
            tracing::debug!(%error, "a session ended under a request");
            self.none(Verdict::Missing)
        })
    }
}

impl SessionManager for Visit {
    type Error = Trouble;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Trouble> {
        if self.keeper.closing.load(Ordering::Acquire) {
            self.keeper.metrics.session_refused("closing");
            return Err(self.none(Verdict::Closing));
        }
        let Ok(place) = Arc::clone(&self.keeper.places).try_acquire_owned() else {
            self.keeper.metrics.session_refused("full");
            return Err(self.none(Verdict::Full));
        };
        let (id, transport) = self.keeper.inner.create_session().await?;
        let use_ = Arc::new(Mutex::new(Use { running: 0, last: Instant::now() }));
        let entry = Entry { owner: Arc::clone(&self.caller), use_, _place: place };
        lock(&self.keeper.open).insert(Arc::clone(&id), entry);
        self.keeper.metrics.session_opened();
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Trouble> {
        let _busy = self.busy(id)?;
        let done = self.keeper.inner.initialize_session(id, message).await;
        self.gone(done)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Trouble> {
        let there = self.keeper.of(id, &self.caller).is_some();
        if !there {
            let _ = self.verdict.set(Verdict::Missing);
        }
        Ok(there)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Trouble> {
        self.keeper.end(id, "closed").await;
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Trouble> {
        let busy = self.busy(id)?;
        let stream = self.gone(self.keeper.inner.create_stream(id, message).await)?;
        Ok(stream.inspect(move |_| {
            // The stream owns it: as long as it is read, its session is not idle.
            let _ = &busy;
        }))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Trouble> {
        let _busy = self.busy(id)?;
        let done = self.keeper.inner.accept_message(id, message).await;
        self.gone(done)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Trouble> {
        // Whoever only listens is idle: the stream alone keeps no session.
        drop(self.busy(id)?);
        self.gone(self.keeper.inner.create_standalone_stream(id).await)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Trouble> {
        drop(self.busy(id)?);
        // An event that is no longer known is not the end of a session.
        Ok(self.keeper.inner.resume(id, last).await?)
    }
}
