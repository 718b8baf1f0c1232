//! Records as JSON lines on standard output, where the node's log agent takes them. Over stdio that stream belongs to the
//! protocol, and they go to standard error.

use std::{io::Write, sync::Arc};

use tokio::sync::mpsc::Receiver;

use super::{
    queue::{Item, State},
    record::{Chain, Event},
};

/// Lines that are written at once.
const BATCH: usize = 128;

/// Writes until the chain is closed. On a thread of its own: a pipe that nobody reads blocks.
pub(super) fn write(mut items: Receiver<Item>, state: &Arc<State>, mut chain: Chain, mut out: impl Write) {
    let mut batch = Vec::with_capacity(BATCH);
    while items.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut lines = String::new();
        let (count, mut lost) = (batch.len(), state.take_lost());
        let closed = batch.iter().any(|item| item.record.event == Event::Closed);
        let mut waiting = Vec::new();
        for Item { record, stored } in batch.drain(..) {
            lines.push_str(&chain.append(&record, std::mem::take(&mut lost)).text);
            lines.push('\n');
            waiting.extend(stored);
        }
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {
                if state.is_failing() {
                    state.set_failing(false);
                }
                state.wrote(count);
                for stored in waiting {
                    let _ = stored.send(());
                }
            }
            Err(error) => {
                if !state.is_failing() {
                    tracing::error!(%error, "audit records cannot be written to {}", state.name);
                }
                state.set_failing(true);
            }
        }
        if closed {
            return;
        }
    }
}
