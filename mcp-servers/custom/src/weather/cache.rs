//! What services said lately. One question is asked once, however many ask it at the same time.

use std::time::Duration;

use mcp_kit::ToolError;
use moka::future::Cache as Kept;

use super::Said;

/// The most answers that are kept of each kind; those not asked for go first.
const ANSWERS: u64 = 1000;

/// Answers of one kind.
pub(super) struct Cache<T>(Option<Kept<String, Said<T>>>);

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    /// Keeps each answer so long; not at all when that is no time.
    pub(super) fn new(keep: Duration) -> Self {
        let kept = || Kept::builder().max_capacity(ANSWERS).time_to_live(keep).build();
        Self((!keep.is_zero()).then(kept))
    }

    /// The answer of before, or a new one; and whether it was the one of before. Failures are not kept.
    pub(super) async fn get(
        &self,
        key: String,
        ask: impl Future<Output = Result<Said<T>, ToolError>>,
    ) -> Result<(Said<T>, bool), ToolError> {
        let Some(kept) = &self.0 else { return Ok((ask.await?, false)) };
        let entry = kept.entry(key).or_try_insert_with(ask).await.map_err(|error| (*error).clone())?;
        let cached = !entry.is_fresh();
        Ok((entry.into_value(), cached))
    }
}
