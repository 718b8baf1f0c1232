//! What a probe asks, and what it hears: plain facts between the client, which speaks, and the judgement, which is pure.

use std::net::IpAddr;

use serde_json::Value;

/// One MCP endpoint, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where to connect.
    pub place: Place,
    /// The port there.
    pub port: u16,
    /// The Host a client of the Service sends, with the port.
    pub host: String,
    /// Path of the endpoint.
    pub path: String,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An address.
    Ip(IpAddr),
    /// A full DNS name.
    Name(String),
}

/// What a probe heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// How it ended.
    pub end: End,
    /// What the server was asked last.
    pub asked: &'static str,
    /// What came back last, if it was HTTP.
    pub last: Option<Exchange>,
    /// Whether a server that refuses the Host answers under another one.
    pub host_matters: bool,
    /// Whether it was shown a token.
    pub shown: bool,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With the handshake and the whole list of tools.
    Listed(Box<Listing>),
    /// No revision of the protocol is known to both; these are the server's.
    Mismatch(Vec<String>),
    /// With an error of the protocol.
    Error {
        /// JSON-RPC's code.
        code: i32,
        /// The server's words.
        message: String,
    },
    /// Without an answer in time.
    Hung,
    /// Otherwise.
    Trouble(Trouble),
}

/// Why HTTP came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The connection ended in the middle, or what came was no HTTP.
    #[error("{0}")]
    Broken(String),
    /// A bound was reached.
    #[error("too much: {0}")]
    TooMuch(Limit),
    /// 401, 403 or 421.
    #[error("refused")]
    Refused,
    /// HTTP, and not MCP.
    #[error("not MCP")]
    NotMcp,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Bytes of all answers.
    #[error("1 MiB of answers")]
    Bytes,
    /// JSON values of one answer.
    #[error("65,536 values in one answer")]
    Values,
    /// Pages of tools.
    #[error("50 pages of tools")]
    Pages,
    /// Tools.
    #[error("2,000 tools")]
    Tools,
}

/// One HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Status code.
    pub status: u16,
    /// Content type, or nothing.
    pub content_type: String,
    /// WWW-Authenticate, or nothing.
    pub challenge: String,
    /// Where a redirect leads, or nothing.
    pub location: String,
    /// The first bytes.
    pub quote: String,
}

/// What an MCP server says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The revision that was agreed on.
    pub version: String,
    /// Every revision it says it speaks.
    pub versions: Vec<String>,
    /// Its name, and its own version.
    pub server: Option<(String, String)>,
    /// What it can do, as the protocol writes it.
    pub capabilities: Value,
    /// Its tools, as the protocol writes them.
    pub tools: Vec<Value>,
}
