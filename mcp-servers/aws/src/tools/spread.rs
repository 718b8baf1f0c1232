//! Lists that go to one region page by page, or to all regions at once within a budget.
//!
//! With `region: "all"`, every region that is enabled for the account is asked for one page, so many at a time; what does
//! not fit, and who did not answer in time, is named in the result, to be asked by name.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use mcp_kit::{Call, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout_at};

use super::READ;
use crate::{
    answer::{Chunk, Cursor, FailedRegion, Listing, page, weight},
    place::{ALL, Aws, Named, Place},
};

/// Regions asked at once.
const AT_ONCE: usize = 8;
/// Regions asked at all; AWS has fewer than forty.
const REGIONS: usize = 64;
/// For all of them. The tool has 30 s.
const TIME: Duration = Duration::from_secs(24);
/// Of the response budget, kept for what is around the items.
const FRAME: usize = 8 * 1024;

/// Arguments of a list.
pub(crate) trait Paged: Named {
    fn cursor(&self) -> Option<&str>;
}

/// Implements [`Paged`] for arguments with a field `cursor`.
macro_rules! paged {
    ($($name:ident),+) => {
        $(impl crate::tools::spread::Paged for $name {
            fn cursor(&self) -> Option<&str> {
                self.cursor.as_deref()
            }
        })+
    };
}

pub(crate) use paged;

/// The same arguments, in one region.
struct Everywhere<'a, A>(&'a A);

impl<A: Named> Named for Everywhere<'_, A> {
    fn region(&self) -> Option<&str> {
        None
    }

    fn account(&self) -> Option<&str> {
        self.0.account()
    }
}

/// A list of resources. `spreads` says whether it takes `region: "all"`.
pub(crate) fn listing<A, T, F, Fut>(
    aws: &Arc<Aws>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    spreads: bool,
    work: F,
) -> Tool
where
    A: Paged + DeserializeOwned + JsonSchema + Send + Sync + 'static,
    T: Serialize + JsonSchema + Send + 'static,
    F: Fn(Arc<A>, Place, Option<String>) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<Chunk<T>, ToolError>> + Send + 'static,
{
    let aws = Arc::clone(aws);
    let handler = move |arguments: A, call: Call| {
        let aws = Arc::clone(&aws);
        async move {
            if spreads && arguments.region() == Some(ALL) {
                return everywhere(&aws, name, Arc::new(arguments), &call, work).await.map(Reply::new);
            }
            let cursor = Cursor::read(arguments.cursor())?;
            let place = aws.place(name, &arguments, &call).await?;
            let chunk = work(Arc::new(arguments), place, cursor.token.clone()).await?;
            Ok(Reply::new(page(chunk, &cursor, call.budget().saturating_sub(FRAME))))
        }
    };
    Tool::new(name, title, description, READ, handler)
}

async fn everywhere<A, T, F, Fut>(
    aws: &Arc<Aws>,
    name: &'static str,
    arguments: Arc<A>,
    call: &Call,
    work: F,
) -> Result<Listing<T>, ToolError>
where
    A: Paged,
    T: Serialize,
    F: Fn(Arc<A>, Place, Option<String>) -> Fut,
    Fut: Future<Output = Result<Chunk<T>, ToolError>>,
{
    if arguments.cursor().is_some() {
        return Err(ToolError::new(
            "cursor goes on in one region; with region \"all\" there is none, ask each region of more_in",
        ));
    }
    let deadline = Instant::now() + TIME;
    let home = aws.place(name, &Everywhere(arguments.as_ref()), call).await?;
    let regions = super::identity::regions(&home).await?;
    let asked = regions.into_iter().take(REGIONS).map(|region| {
        let answer = work(Arc::clone(&arguments), home.at(&region), None);
        async move {
            let late = |_| Err(ToolError::new("did not answer in time"));
            (region, timeout_at(deadline, answer).await.unwrap_or_else(late))
        }
    });
    let mut answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    gather(answers, call.budget().saturating_sub(FRAME))
}

/// Puts the regions together; an error only where no region answered.
fn gather<T: Serialize>(
    answers: Vec<(String, Result<Chunk<T>, ToolError>)>,
    budget: usize,
) -> Result<Listing<T>, ToolError> {
    let mut listing = Listing { items: Vec::new(), next_cursor: None, more_in: Vec::new(), failed: Vec::new() };
    let mut left = budget;
    let mut answered = false;
    let mut first_error = None;
    for (region, answer) in answers {
        match answer {
            Ok(chunk) => {
                answered = true;
                let mut more = chunk.next.is_some();
                for item in chunk.items {
                    let size = weight(&item);
                    if size > left {
                        more = true;
                        break;
                    }
                    left -= size;
                    listing.items.push(item);
                }
                if more {
                    listing.more_in.push(region);
                }
            }
            Err(error) => {
                listing.failed.push(FailedRegion { region, error: crate::answer::clip(&error.to_string(), 200) });
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if !answered => Err(error),
        _ => Ok(listing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_fail_or_have_more_are_named() {
        let answers = vec![
            ("a".to_owned(), Ok(Chunk::new(vec!["1"], None))),
            ("b".to_owned(), Err(ToolError::new("no"))),
            ("c".to_owned(), Ok(Chunk::new(vec!["2"], Some("more")))),
            ("d".to_owned(), Ok(Chunk::new(vec!["too long for what is left"], None))),
        ];
        let listing = gather(answers, 12).unwrap();
        assert_eq!((listing.items, listing.more_in), (vec!["1", "2"], vec!["c".to_owned(), "d".to_owned()]));
        assert_eq!(listing.failed[0].region, "b");
        let none: Vec<(String, Result<Chunk<u8>, _>)> = vec![("b".to_owned(), Err(ToolError::new("no")))];
        assert_eq!(gather(none, 12).unwrap_err().to_string(), "no");
    }
}
