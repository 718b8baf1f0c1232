//! From ready to gone: signals, readiness, and the order in which a server ends.
//!
//! SIGTERM → not ready, no new sessions → grace (load balancers notice) → where there are sessions, until the last has
//! ended → no new connections, calls under way finish → what is still there at the end of the drain is cut → exit. A second
//! signal ends it at once.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The longest wait between "not ready" and "no new connections".
const GRACE: Duration = Duration::from_secs(5);
/// What is kept of the drain for cutting streams and closing sockets.
const CUT: Duration = Duration::from_millis(500);

/// Where the process stands.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    ready: AtomicBool,
    /// Cancelled when no new connections are taken.
    pub(crate) closing: CancellationToken,
    /// Cancelled when whatever is still open is cut.
    pub(crate) cut: CancellationToken,
}

impl Lifecycle {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM: an orchestrator, whose load balancers need a moment.
    Terminate,
    /// SIGINT: a person at a terminal, who does not want to wait.
    Interrupt,
}

impl Stop {
    /// How long to go on serving while "not ready" spreads.
    pub(crate) fn grace(self, drain: Duration) -> Duration {
        match self {
            Self::Terminate => GRACE.min(drain / 4),
            Self::Interrupt => Duration::ZERO,
        }
    }

    /// The exit code of a process that was ended by this signal at once.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
        }
    }
}

/// How long calls may go on after the grace, so that everything is over within `drain`.
pub(crate) fn for_calls(stop: Stop, drain: Duration) -> Duration {
    drain.saturating_sub(stop.grace(drain)).saturating_sub(CUT.min(drain / 4))
}

/// The signals that end the process.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_calls_and_cut_fit_into_the_drain() {
        for seconds in [0, 1, 2, 20, 600] {
            let drain = Duration::from_secs(seconds);
            for stop in [Stop::Terminate, Stop::Interrupt] {
                assert!(stop.grace(drain) + for_calls(stop, drain) <= drain, "{drain:?}");
            }
        }
    }
}
