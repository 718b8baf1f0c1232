//! One call of the API server: its deadline, and what its failure is called.
//!
//! In: what is done, to what, and the client's future. Out: the answer, or an [`Error`] that says all of it.

use crate::{context::CALL_DEADLINE, error::Error};

/// Waits for an answer, no longer than the deadline. On the heap: the client's futures are large, and part of every pass.
pub(crate) fn call<T>(
    action: &'static str,
    object: &str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> impl Future<Output = Result<T, Error>> {
    let answer = Box::pin(tokio::time::timeout(CALL_DEADLINE, answer));
    async move {
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(Error::Api { action, object: object.to_owned(), source: Box::new(source) }),
            Err(_) => Err(Error::Deadline { action, object: object.to_owned(), limit: CALL_DEADLINE }),
        }
    }
}
