//! What is asked: one request, sent again and again, and how a right answer to it is known.

use anyhow::Result;
use axum::body::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

/// The argument of the echo tool; a right answer holds it.
const TEXT: &str = "the quick brown fox jumps over the lazy dog";
const MODERN: &str = "2026-07-28";

/// A request and the mark of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What every answer must hold.
    pub(crate) mark: &'static [u8],
}

impl Question {
    /// A call of `echo` by a client of 2025-11-25, which all peers know.
    pub(crate) fn echo() -> Result<Self> {
        Self::legacy("tools/call", &json!({"name": "echo", "arguments": {"text": TEXT}}), TEXT.as_bytes())
    }

    /// The same by a client of 2026-07-28.
    pub(crate) fn modern_echo() -> Result<Self> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "mcp-bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": "echo", "arguments": {"text": TEXT}, "_meta": meta});
        let mut question = Self::of("tools/call", &params, TEXT.as_bytes())?;
        question.headers.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
        question.headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
        question.headers.insert("mcp-name", HeaderValue::from_static("echo"));
        Ok(question)
    }

    /// A list of all tools.
    pub(crate) fn list() -> Result<Self> {
        Self::legacy("tools/list", &json!({}), b"inputSchema")
    }

    /// A call of the tool `wait`, which answers after so many milliseconds.
    pub(crate) fn wait(milliseconds: u64) -> Result<Self> {
        Self::legacy(
            "tools/call",
            &json!({"name": "wait", "arguments": {"number": milliseconds}}),
            b"\"said\":\"done\"",
        )
    }

    /// A call of the AWS server that asks AWS for one thing.
    pub(crate) fn whoami() -> Result<Self> {
        let mark = br#""account":"123456789012""#;
        Self::legacy("tools/call", &json!({"name": "aws_whoami", "arguments": {}}), mark)
    }

    fn legacy(method: &str, params: &Value, mark: &'static [u8]) -> Result<Self> {
        let mut question = Self::of(method, params, mark)?;
        question.headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
        Ok(question)
    }

    fn of(method: &str, params: &Value, mark: &'static [u8]) -> Result<Self> {
        let body = serde_json::to_vec(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        Ok(Self { headers, body: body.into(), mark })
    }

    /// Whether an answer is right.
    pub(crate) fn is_answered_by(&self, body: &[u8]) -> bool {
        body.windows(self.mark.len()).any(|window| window == self.mark)
    }
}
