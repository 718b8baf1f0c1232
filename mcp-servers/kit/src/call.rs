//! One tool call on its way: a place among the others, time limit, panic guard, response budget, counters. Every way into a tool goes through here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    breaker::{Breakers, Outcome},
    capacity::{Capacity, Place, Slot},
    metrics::Metrics,
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
    pub(crate) principal: Arc<str>,
    /// Fires when nobody waits any more.
    pub(crate) gone: CancellationToken,
}

/// What every call of one process shares.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) metrics: Arc<Metrics>,
    capacity: Capacity,
    breakers: Arc<Breakers>,
}

impl Pipeline {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let capacity = Capacity::new(&metrics);
        let breakers = Arc::new(Breakers::new(Arc::clone(&metrics)));
        Self { metrics, capacity, breakers }
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
        let result = self.placed(tool, arguments, caller, slot).await;
        let outcome = result.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        self.metrics.tool_call(tool.name, outcome, start.elapsed());
        tracing::debug!(tool = tool.name, outcome, elapsed_us = start.elapsed().as_micros(), "tool call");
        result
    }

    async fn placed(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        caller: &Caller,
        slot: &Slot,
    ) -> Result<Answer, ToolError> {
        let place = tokio::select! {
            place = self.capacity.enter(tool.class, tool.timeout) => place.ok_or_else(|| busy(tool))?,
            () = caller.gone.cancelled() => return Err(ToolError::of(Failure::Cancelled, "the call was cancelled")),
        };
        slot.keep(&place);
        let _running = self.metrics.running();
        let trail = Arc::new(Trail::new(Arc::clone(&self.metrics)));
        guarded(tool, arguments, caller, place, (Arc::clone(&self.breakers), trail))
            .await
            .and_then(|answer| within_budget(tool, answer))
    }
}

fn busy(tool: &Tool) -> ToolError {
    let message = format!(
        "the server is busy: as many calls like {} are under way as it takes at once; try again in a moment",
        tool.name
    );
    ToolError::of(Failure::Busy, message)
}

async fn guarded(
    tool: &Tool,
    arguments: Map<String, Value>,
    caller: &Caller,
    place: Arc<Place>,
    (breakers, trail): (Arc<Breakers>, Arc<Trail>),
) -> Result<Answer, ToolError> {
    let cancelled = caller.gone.child_token();
    // The guard also fires when this future itself is dropped: the client hung up.
    let _guard: DropGuard = cancelled.clone().drop_guard();
    let call = Call {
        budget: tool.budget,
        deadline: Instant::now() + tool.timeout,
        cancelled,
        principal: Arc::clone(&caller.principal),
        _place: Some(place),
        breakers: Some(breakers),
        trail,
    };
    let mut task = tokio::spawn(tool.run(arguments, call));
    let joined = tokio::select! {
        joined = &mut task => joined,
        () = tokio::time::sleep(tool.timeout) => {
            task.abort();
            let message = format!("{} took longer than {:?} and was stopped; ask for less at once", tool.name, tool.timeout);
            return Err(ToolError::of(Failure::Timeout, message));
        }
        () = caller.gone.cancelled() => {
            task.abort();
            return Err(ToolError::of(Failure::Cancelled, "the call was cancelled"));
        }
    };
    joined.unwrap_or_else(|error| {
        tracing::error!(tool = tool.name, %error, "a tool panicked");
        let message =
            format!("{} failed inside the server; this is a defect of the server, not of the call", tool.name);
        Err(ToolError::of(Failure::Panic, message))
    })
}

fn within_budget(tool: &Tool, answer: Answer) -> Result<Answer, ToolError> {
    if answer.bytes <= tool.budget {
        return Ok(answer);
    }
    let message = format!(
        "the result of {} has {} bytes, more than the {} one answer may have; ask for a smaller part",
        tool.name, answer.bytes, tool.budget
    );
    Err(ToolError::of(Failure::Budget, message))
}
