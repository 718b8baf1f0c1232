//! One tool call on its way: a place among the others, time limit, panic guard, response budget, audit, counters. Every way into a tool or resource goes through here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    audit::Audit,
    breaker::{Breakers, Outcome},
    capacity::{Capacity, Class, Place, Slot},
    metrics::Metrics,
    origin::Origin,
    resource::{Address, Contents, Resource},
    tool::{Answer, Failure, Tool, ToolError},
    trail::{AwsCall, Trail},
};

/// The most bytes a structured result may have unless its tool says otherwise (64 KiB).
pub const RESPONSE_BUDGET: usize = 64 * 1024;

/// Who calls over stdio: whoever started the server.
pub(crate) const STDIO: &str = "stdio";

/// What a running call may know: who calls, how much it may answer, how long it may take, whether anybody still waits.
#[derive(Clone, Debug)]
pub struct Call {
    budget: usize,
    deadline: Instant,
    cancelled: CancellationToken,
    principal: Arc<str>,
    /// Work that goes on after its caller has gone still takes its place.
    _place: Option<Arc<Place>>,
    breakers: Option<Arc<Breakers>>,
    trail: Arc<Trail>,
}

impl Call {
    /// A call of its own with the default budget, outside any server (for tests of handlers).
    #[must_use]
    pub fn detached(timeout: Duration) -> Self {
        Self {
            budget: RESPONSE_BUDGET,
            deadline: Instant::now() + timeout,
            cancelled: CancellationToken::new(),
            principal: STDIO.into(),
            _place: None,
            breakers: None,
            trail: Arc::default(),
        }
    }

    /// The most bytes the structured result may have.
    #[must_use]
    pub const fn budget(&self) -> usize {
        self.budget
    }

    /// Who calls: the name of the API key or token, `anonymous` where none is asked for, `stdio` over stdio. What belongs to
    /// one caller is kept under this name.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Ends work nobody waits for: an error once the caller has gone or the time is up. Loops ask this as they go,
    /// since a blocking thread cannot be stopped from outside.
    pub fn check(&self) -> Result<(), ToolError> {
        if self.cancelled.is_cancelled() {
            return Err(ToolError::of(Failure::Cancelled, "the call was cancelled"));
        }
        if Instant::now() >= self.deadline {
            return Err(ToolError::of(Failure::Timeout, "the call ran out of time; ask for less at once"));
        }
        Ok(())
    }

    /// Calls what this tool depends on, behind the circuit breaker of that name (for AWS: service and region). After five
    /// failures in a row (see [`ToolError::upstream`]) it is not asked for 60 s, and the call fails at once.
    pub async fn upstream<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let Some(breakers) = &self.breakers else { return work.await };
        let Some(pass) = breakers.admit(name, self.deadline) else {
            let message =
                format!("{name} failed several times in a row and is not asked for a minute; try again later");
            return Err(ToolError::of(Failure::Open, message));
        };
        let result = work.await;
        let failed = result.as_ref().is_err_and(|error| error.kind == Failure::Upstream);
        pass.settle(if failed { Outcome::Failed } else { Outcome::Answered });
        result
    }

    /// Says that this call asked AWS for something: its audit record lists it, and the counters count it.
    pub fn record_aws(&self, call: AwsCall) {
        self.trail.aws(call);
    }

    /// Says what the call is about, for its audit record: an ARN, an address, a path as clients see it. No secrets.
    pub fn record_resource(&self, name: &str) {
        self.trail.resource(name);
    }

    /// Counts a wait for a connection of a pool. Not for connections that were there at once.
    pub fn record_pool_wait(&self, pool: &'static str, waited: Duration) {
        self.trail.pool_wait(pool, waited);
    }

    /// Runs blocking work (files, mostly) off the async threads.
    pub async fn blocking<T, F>(self, work: F) -> Result<T, ToolError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, ToolError> + Send + 'static,
    {
        match tokio::task::spawn_blocking(move || work(&self)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ToolError::of(Failure::Cancelled, "the server is shutting down; try again")),
        }
    }
}

/// On whose behalf a call runs.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The request it came in.
    pub(crate) origin: Arc<Origin>,
    /// Fires when nobody waits any more.
    pub(crate) gone: CancellationToken,
}

/// What a call or a read may take.
#[derive(Clone, Copy)]
struct Bounds {
    name: &'static str,
    class: Class,
    budget: usize,
    timeout: Duration,
}

/// What every call of one process shares.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: Arc<Audit>,
    capacity: Capacity,
    breakers: Arc<Breakers>,
}

impl Pipeline {
    pub(crate) fn new(metrics: Arc<Metrics>, audit: Arc<Audit>) -> Self {
        let capacity = Capacity::new(&metrics);
        let breakers = Arc::new(Breakers::new(Arc::clone(&metrics)));
        Self { metrics, audit, capacity, breakers }
    }

    /// Runs one call of `tool`. Its place stays taken for as long as `slot` is held.
    pub(crate) async fn run(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        caller: &Caller,
        slot: &Slot,
    ) -> Result<Answer, ToolError> {
        let start = Instant::now();
        let open = self.audit.begin(&caller.origin, tool, &arguments);
        if !open.intend().await {
            open.refused("audit_unavailable");
            self.metrics.refused(tool.name, "audit_unavailable");
            return Err(unrecorded(tool.name));
        }
        let trail = Arc::new(Trail::new(Arc::clone(&self.metrics)));
        let Tool { name, class, budget, timeout, .. } = *tool;
        let bounds = Bounds { name, class, budget, timeout };
        let result = self.placed(bounds, caller, slot, &trail, |call| tool.run(arguments, call)).await;
        let result = result.and_then(|answer| within_budget(bounds, answer.bytes).map(|()| answer));
        let outcome = result.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        self.metrics.tool_call(tool.name, outcome, start.elapsed());
        open.done(outcome, result.as_ref().ok().map(|answer| answer.bytes), trail.take()).await;
        tracing::debug!(tool = tool.name, outcome, elapsed_us = start.elapsed().as_micros(), "tool call");
        result
    }

    /// Reads a resource, within the same bounds.
    pub(crate) async fn read(
        &self,
        resource: &Resource,
        address: Address,
        caller: &Caller,
        slot: &Slot,
    ) -> Result<Contents, ToolError> {
        let Resource { uri: name, budget, timeout, .. } = *resource;
        let bounds = Bounds { name, class: Class::Standard, budget, timeout };
        let open = self.audit.begin_read(&caller.origin);
        let trail = Arc::new(Trail::new(Arc::clone(&self.metrics)));
        trail.resource(address.uri());
        let contents = self.placed(bounds, caller, slot, &trail, |call| resource.read(address, call)).await;
        let contents = contents.and_then(|contents| within_budget(bounds, contents.bytes()).map(|()| contents));
        let outcome = contents.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        open.done(outcome, contents.as_ref().ok().map(Contents::bytes), trail.take()).await;
        contents
    }

    async fn placed<T: Send + 'static>(
        &self,
        bounds: Bounds,
        caller: &Caller,
        slot: &Slot,
        trail: &Arc<Trail>,
        work: impl FnOnce(Call) -> BoxFuture<'static, Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let place = tokio::select! {
            place = self.capacity.enter(bounds.class, bounds.timeout) => place.ok_or_else(|| busy(bounds))?,
            () = caller.gone.cancelled() => return Err(ToolError::of(Failure::Cancelled, "the call was cancelled")),
        };
        slot.keep(&place);
        let _running = self.metrics.running();
        guarded(bounds, work, caller, place, (Arc::clone(&self.breakers), Arc::clone(trail))).await
    }
}

fn unrecorded(tool: &str) -> ToolError {
    let message = format!(
        "{tool} was not called and nothing was changed: the audit record that has to be kept first cannot be stored; \
         try again later, tools that only read go on"
    );
    ToolError::of(Failure::Audit, message)
}

fn busy(bounds: Bounds) -> ToolError {
    let message = format!(
        "the server is busy: as many calls like {} are under way as it takes at once; try again in a moment",
        bounds.name
    );
    ToolError::of(Failure::Busy, message)
}

async fn guarded<T: Send + 'static>(
    bounds: Bounds,
    work: impl FnOnce(Call) -> BoxFuture<'static, Result<T, ToolError>>,
    caller: &Caller,
    place: Arc<Place>,
    (breakers, trail): (Arc<Breakers>, Arc<Trail>),
) -> Result<T, ToolError> {
    let Bounds { name, budget, timeout, .. } = bounds;
    let cancelled = caller.gone.child_token();
    // The guard also fires when this future itself is dropped: the client hung up.
    let _guard: DropGuard = cancelled.clone().drop_guard();
    let call = Call {
        budget,
        deadline: Instant::now() + timeout,
        cancelled,
        principal: Arc::clone(&caller.origin.principal),
        _place: Some(place),
        breakers: Some(breakers),
        trail,
    };
    let mut task = tokio::spawn(work(call));
    let joined = tokio::select! {
        joined = &mut task => joined,
        () = tokio::time::sleep(timeout) => {
            task.abort();
            let message = format!("{name} took longer than {timeout:?} and was stopped; ask for less at once");
            return Err(ToolError::of(Failure::Timeout, message));
        }
        () = caller.gone.cancelled() => {
            task.abort();
            return Err(ToolError::of(Failure::Cancelled, "the call was cancelled"));
        }
    };
    joined.unwrap_or_else(|error| {
        tracing::error!(name, %error, "a tool or resource panicked");
        let message = format!("{name} failed inside the server; this is a defect of the server, not of the call");
        Err(ToolError::of(Failure::Panic, message))
    })
}

fn within_budget(bounds: Bounds, bytes: usize) -> Result<(), ToolError> {
    if bytes <= bounds.budget {
        return Ok(());
    }
    let message = format!(
        "the result of {} has {bytes} bytes, more than the {} one answer may have; ask for a smaller part",
        bounds.name, bounds.budget
    );
    Err(ToolError::of(Failure::Budget, message))
}
