//! The writer before a store that may be away: takes records from the queue, makes lines of them, and tries until they are
//! stored.
//!
//! In: the queue, a store. Out: every line in its order, whatever happens to connections: what is not known to be stored is
//! sent again. While that goes on the sink is known to fail, and nobody waits for it.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{sleep, timeout},
};

use super::{
    queue::{Item, State},
    record::{Chain, Event, Line},
};

/// Lines that are stored at once.
const BATCH: usize = 128;
/// The longest one attempt may take, connecting included.
pub(super) const ATTEMPT: Duration = Duration::from_secs(4);
/// Between attempts, doubled up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Without records, a store is asked that often whether it has something to do.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// Where lines are kept.
pub(super) trait Store: Send {
    /// What people call it.
    const NAME: &'static str;
    /// Why something cannot be stored, in words that hold no secret.
    type Trouble: std::error::Error + Send;

    /// Stores lines that follow those stored before; `last` says that none will follow. May be called again with the same
    /// lines, and with none.
    fn attempt(
        &mut self,
        chain: &str,
        lines: &[Line],
        last: bool,
    ) -> impl Future<Output = Result<(), Self::Trouble>> + Send;

    /// What to say of an attempt that took too long.
    fn slow() -> Self::Trouble;

    /// Forgets what an attempt that failed may have left.
    fn forget(&mut self) {}

    /// Resolves when the store is known to be away.
    fn broken(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }
}

/// Writes until the chain is closed.
pub(super) async fn write(mut items: Receiver<Item>, state: Arc<State>, mut chain: Chain, mut store: impl Store) {
    let mut batch = Vec::with_capacity(BATCH);
    // A store that is not there is known before the first call.
    keep(&mut store, &state, &chain.id, &[], false).await;
    loop {
        let received = tokio::select! {
            received = items.recv_many(&mut batch, BATCH) => received,
            () = store.broken(), if !state.is_failing() => 0,
            () = sleep(IDLE) => 0,
        };
        if received == 0 && items.is_closed() && items.is_empty() {
            return;
        }
        let mut lost = state.take_lost();
        let (mut lines, mut waiting) = (Vec::with_capacity(received), Vec::<oneshot::Sender<()>>::new());
        let mut closed = false;
        for Item { record, stored } in batch.drain(..) {
            closed |= record.event == Event::Closed;
            lines.push(chain.append(&record, std::mem::take(&mut lost)));
            waiting.extend(stored);
        }
        keep(&mut store, &state, &chain.id, &lines, closed).await;
        state.wrote(lines.len());
        for stored in waiting {
            let _ = stored.send(());
        }
        if closed {
            return;
        }
    }
}

/// Stores lines, however often that has to be tried.
async fn keep<S: Store>(store: &mut S, state: &State, chain: &str, lines: &[Line], last: bool) {
    let (mut pause, mut said) = (PAUSE.0, String::new());
    loop {
        match timeout(ATTEMPT, store.attempt(chain, lines, last)).await.unwrap_or_else(|_| Err(S::slow())) {
            Ok(()) => {
                if state.is_failing() {
                    tracing::info!("audit records are stored in {} again", S::NAME);
                    state.set_failing(false);
                }
                return;
            }
            Err(error) => {
                let error = error.to_string();
                // Once, until it is another trouble.
                if !state.is_failing() || (!said.is_empty() && said != error) {
                    tracing::error!(error, "audit records cannot be stored in {}", S::NAME);
                }
                said = error;
                state.set_failing(true);
                store.forget();
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}
