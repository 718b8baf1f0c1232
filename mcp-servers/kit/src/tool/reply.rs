//! What a tool answers: structured content, the text beside it, media, or an error the model can act on.

use serde::Serialize;
use serde_json::Value;

/// A failure of the tool itself. The model reads the message: say what was expected, what was found, what to do next,
/// and nothing about the machine the server runs on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    message: String,
    pub(crate) kind: Failure,
}

/// Why a call failed, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Tool,
    Arguments,
    Consent,
    Budget,
    Busy,
    NotFound,
    Upstream,
    Open,
    Timeout,
    Cancelled,
    Panic,
    Audit,
}

impl Failure {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Tool => "error",
            Self::Arguments => "invalid_arguments",
            Self::Consent => "consent_refused",
            Self::Budget => "over_budget",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::Upstream => "upstream_error",
            Self::Open => "breaker_open",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Audit => "audit_unavailable",
        }
    }
}

impl ToolError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Failure::Tool }
    }

    /// A failure of what the tool depends on, not of the call: it counts towards the upstream's circuit breaker.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Failure::Upstream }
    }

    /// What was asked for does not exist. A resource that is not there says it this way.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Failure::NotFound }
    }

    pub(crate) fn of(kind: Failure, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind }
    }
}

/// A block of an answer's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// An image.
    Image {
        /// Base64 of the bytes.
        data: String,
        /// For example `image/png`.
        mime_type: String,
    },
    /// A sound.
    Audio {
        /// Base64 of the bytes.
        data: String,
        /// For example `audio/wav`.
        mime_type: String,
    },
    /// A text, as an embedded resource.
    Document {
        /// Address of the resource.
        uri: String,
        /// The text.
        text: String,
        /// For example `application/json`.
        mime_type: String,
    },
    /// Any other file, as an embedded resource.
    Blob {
        /// Address of the resource.
        uri: String,
        /// Base64 of the bytes.
        data: String,
        /// For example `application/pdf`.
        mime_type: String,
    },
}

/// A successful answer. Without content of its own, the text is the structured result as JSON.
#[derive(Clone, Debug)]
pub struct Reply<O> {
    structured: O,
    content: Vec<Content>,
}

/// The answer of any tool, its type erased.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) structured: Value,
    pub(crate) content: Vec<Content>,
    /// Length of the structured result as JSON plus the bytes of media.
    pub(crate) bytes: usize,
}

impl<O: Serialize> Reply<O> {
    /// Answers with this structured result.
    pub const fn new(structured: O) -> Self {
        Self { structured, content: Vec::new() }
    }

    /// Adds a text block.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.content(Content::Text(text.into()))
    }

    /// Adds a block of content.
    #[must_use]
    pub fn content(mut self, block: Content) -> Self {
        self.content.push(block);
        self
    }

    pub(crate) fn into_answer(mut self) -> Result<Answer, ToolError> {
        let unwritable =
            |error: serde_json::Error| ToolError::new(format!("the result cannot be written as JSON: {error}"));
        let json = serde_json::to_string(&self.structured).map_err(unwritable)?;
        let structured = serde_json::to_value(&self.structured).map_err(unwritable)?;
        let media = self.content.iter().map(|block| match block {
            // Text repeats what is in the structured result, so it is not counted twice.
            Content::Text(_) => 0,
            Content::Document { text, .. } => text.len(),
            Content::Image { data, .. } | Content::Audio { data, .. } | Content::Blob { data, .. } => data.len(),
        });
        let bytes = json.len() + media.sum::<usize>();
        if self.content.is_empty() {
            self.content.push(Content::Text(json));
        }
        Ok(Answer { structured, content: self.content, bytes })
    }
}
