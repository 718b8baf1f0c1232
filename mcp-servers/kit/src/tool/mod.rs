//! A tool as a value: what a client is told about it, and the async function that does the work.
//!
//! In: typed arguments and results (schemars), hints, a handler. Out: a [`Tool`] a registry can list and call.
//! Knows nothing of the protocol's messages: `protocol` turns these values into them.

mod reply;
mod schema;

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub(crate) use reply::{Answer, Failure};
pub use reply::{Content, Reply, ToolError};

use crate::{
    call::{Call, RESPONSE_BUDGET},
    capacity::Class,
};

/// How long a call may take unless its tool says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

type Run = dyn Fn(Map<String, Value>, Call) -> BoxFuture<'static, Result<Answer, ToolError>> + Send + Sync;

/// The four behaviour hints of the protocol. All four are always sent, so that no client has to know the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has exactly these four flags")]
pub struct Hints {
    /// The tool does not change its environment.
    pub read_only: bool,
    /// The tool may destroy something (meaningless when read-only).
    pub destructive: bool,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: bool,
    /// The tool reaches systems outside this server's own domain.
    pub open_world: bool,
}

impl Hints {
    /// A tool that only reads, inside the server's own domain.
    pub const READ: Self = Self { read_only: true, destructive: false, idempotent: true, open_world: false };
    /// A tool that writes, destroys nothing, and does it once more when called once more.
    pub const WRITE: Self = Self { read_only: false, destructive: false, idempotent: false, open_world: false };
}

/// One tool: name, texts, schemas, hints, limits and the function itself.
#[derive(Clone)]
pub struct Tool {
    /// The name clients call.
    pub name: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// What it does, under 200 characters: every client pays for it in every conversation.
    pub description: &'static str,
    /// The four behaviour hints.
    pub hints: Hints,
    /// What a caller must hold to see and call it: `read`, `write`, or what the tool says.
    pub scope: &'static str,
    /// JSON Schema of the arguments: closed, without `$ref`.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of `structuredContent`, without `$ref`.
    pub output_schema: Arc<Map<String, Value>>,
    /// The most bytes one answer may have.
    pub budget: usize,
    /// The longest one call may take.
    pub timeout: Duration,
    /// Which other calls share its limit of calls at once.
    pub class: Class,
    /// Whether it is there even where `writes` is off.
    pub always: bool,
    /// Whether a call needs consent. Set by the registry, where `writes` says so.
    pub(crate) asks: bool,
    pub(crate) sensitive: &'static [&'static str],
    pub(crate) plain: &'static [&'static str],
    run: Arc<Run>,
}

impl Tool {
    /// Makes a tool from a handler over typed arguments `A` with the structured result `O`.
    pub fn new<A, O, F, Fut>(
        name: &'static str,
        title: &'static str,
        description: &'static str,
        hints: Hints,
        handler: F,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + Send + 'static,
        F: Fn(A, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply<O>, ToolError>> + Send + 'static,
    {
        let input_schema = Arc::new(schema::input::<A>());
        let told = Arc::clone(&input_schema);
        let handler = Arc::new(handler);
        let run = move |arguments: Map<String, Value>, call: Call| {
            let (told, handler) = (Arc::clone(&told), Arc::clone(&handler));
            async move {
                let arguments = schema::parse::<A>(name, arguments, &told)?;
                handler(arguments, call).await?.into_answer()
            }
            .boxed()
        };
        Self {
            name,
            title,
            description,
            hints,
            scope: if hints.read_only { "read" } else { "write" },
            input_schema,
            output_schema: Arc::new(schema::output::<O>()),
            budget: RESPONSE_BUDGET,
            timeout: TIMEOUT,
            class: Class::Standard,
            always: false,
            asks: false,
            sensitive: &[],
            plain: &[],
            run: Arc::new(run),
        }
    }

    /// The same tool with another response budget, in bytes (media is larger than text). More than the usual 64 KiB makes
    /// it one of the few large calls at once.
    #[must_use]
    pub const fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self.class = if bytes > RESPONSE_BUDGET { Class::Large } else { Class::Standard };
        self
    }

    /// The same tool with another scope.
    #[must_use]
    pub const fn with_scope(mut self, scope: &'static str) -> Self {
        self.scope = scope;
        self
    }

    /// The same tool, there whatever `writes` says: for a tool that writes and that its server is there for.
    #[must_use]
    pub const fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// The same tool with arguments whose values no audit record may hold, besides those whose names say so (password,
    /// token, key and the like).
    #[must_use]
    pub const fn with_sensitive(mut self, names: &'static [&'static str]) -> Self {
        self.sensitive = names;
        self
    }

    /// The same tool with arguments that are no secrets although their names sound so: the `key` of an object, for example.
    #[must_use]
    pub const fn with_plain(mut self, names: &'static [&'static str]) -> Self {
        self.plain = names;
        self
    }

    /// The same tool with another time limit.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn run(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'static, Result<Answer, ToolError>> {
        (self.run)(arguments, call)
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tool").field("name", &self.name).field("hints", &self.hints).finish_non_exhaustive()
    }
}
