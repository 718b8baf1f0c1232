//! HTTP under the MCP client: what a hostile server may do to it is bounded here, and what came back is kept for the
//! judgement.
//!
//! In: messages of the client, and one [`Endpoint`]. Out: answers, and a [`Record`] of the last of them. One
//! connection at a time; no redirect, no proxy, no TLS; so many bytes and JSON values a probe, and not one more.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body, Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rmcp::{
    ErrorData,
    model::{ClientJsonRpcMessage, ClientRequest, RequestId, ServerJsonRpcMessage, ServerResult},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::{Sse, SseStream};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    heard::{Endpoint, Exchange, Limit, Place, Trouble},
    token::Token,
};

/// Bytes of all answers of a probe.
const MAX_BYTES: usize = 1024 * 1024;
/// JSON values of one answer, by the marks between them: a byte of text may cost a hundred in memory.
const MAX_MARKS: usize = 64 * 1024;
/// Bytes of an answer that is not MCP: enough to say what it was.
const MAX_QUOTE: usize = 512;
const MAX_HEADERS: usize = 64;
const HEADER_BUFFER: usize = 32 * 1024;
/// Longest wait for a connection: a packet lost is sent again after one second.
const CONNECT: Duration = Duration::from_millis(1400);
/// Longest wait for an answer of the newer era: servers of the older one may ignore the question.
const DISCOVER: Duration = Duration::from_millis(1500);
/// Longest wait for the end of an event stream whose answer is there: then the connection serves the next request.
const LINGER: Duration = Duration::from_millis(200);
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

type Post = Result<StreamableHttpPostResponse, StreamableHttpError<Trouble>>;
type Sender = SendRequest<Full<Bytes>>;

/// What a probe has seen so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What the server was asked last.
    pub(super) asked: &'static str,
    /// What came back last.
    pub(super) last: Option<Exchange>,
    /// What ended the probe.
    pub(super) trouble: Option<Trouble>,
    /// The revisions the server says it speaks.
    pub(super) versions: Vec<String>,
    spent: usize,
}

/// One probe's way to one endpoint.
#[derive(Clone)]
pub(super) struct Wire(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    token: Option<Token>,
    connection: tokio::sync::Mutex<Connection>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Connection {
    sender: Option<Sender>,
    /// What moves the bytes; ends with the probe.
    drivers: JoinSet<()>,
}

impl Wire {
    /// A way to an endpoint, with a token to show there.
    pub(super) fn new(endpoint: Endpoint, token: Option<Token>) -> Self {
        let (connection, record) = (tokio::sync::Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { endpoint, token, connection, record }))
    }

    /// What was seen so far.
    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One message, and what came back.
    async fn exchange(
        &self,
        message: &ClientJsonRpcMessage,
        session: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Trouble> {
        let body = serde_json::to_vec(message).map_err(|_| Trouble::NotMcp)?;
        let mut request = self.request(Method::POST, session, body.into())?;
        request.headers_mut().extend(headers);
        let mut connection = self.0.connection.lock().await;
        let (mut sender, response) = self.send(&mut connection, request).await?;
        let (parts, body) = response.into_parts();
        let answer = self.answer(message, &parts, body).await?;
        // An answer that was not read to its end took the connection with it.
        if timeout(LINGER, sender.ready()).await.is_ok_and(|ready| ready.is_ok()) {
            connection.sender = Some(sender);
        }
        Ok(answer)
    }

    fn request(&self, method: Method, session: Option<&str>, body: Bytes) -> Result<Request<Full<Bytes>>, Trouble> {
        let builder = Request::builder()
            .method(method)
            .uri(self.0.endpoint.path.as_str())
            .header(header::HOST, self.0.endpoint.host.as_str())
            .header(header::USER_AGENT, concat!("mcp-eks-operator/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, JSON)
            .header(header::ACCEPT, "application/json, text/event-stream");
        let builder = session.iter().fold(builder, |builder, session| builder.header(SESSION, *session));
        let token = self.0.token.iter().map(Token::header);
        let builder = token.fold(builder, |builder, token| builder.header(header::AUTHORIZATION, token));
        builder.body(Full::new(body)).map_err(|error| Trouble::Broken(error.to_string()))
    }

    /// Sends by the connection there is, else by a new one.
    async fn send(
        &self,
        connection: &mut Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<(Sender, Response<Incoming>), Trouble> {
        let mut sender = match connection.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => {
                let io = TokioIo::new(connect(&self.0.endpoint).await?);
                let mut builder = http1::Builder::new();
                builder.max_headers(MAX_HEADERS).max_buf_size(HEADER_BUFFER);
                let (sender, driver) = builder.handshake(io).await.map_err(|error| broken(&error))?;
                // Its error is told to whoever waits for the answer.
                connection.drivers.spawn(async move { drop(driver.await) });
                sender
            }
        };
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        Ok((sender, response))
    }

    async fn answer(
        &self,
        message: &ClientJsonRpcMessage,
        parts: &http::response::Parts,
        body: Incoming,
    ) -> Result<StreamableHttpPostResponse, Trouble> {
        let content_type = text(&parts.headers, &header::CONTENT_TYPE);
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.record().last = Some(Exchange {
            status: parts.status.as_u16(),
            content_type,
            challenge: text(&parts.headers, &header::WWW_AUTHENTICATE),
            location: text(&parts.headers, &header::LOCATION),
            quote: String::new(),
        });
        let ClientJsonRpcMessage::Request(asked) = message else {
            self.quote(body).await;
            return if parts.status.is_success() {
                Ok(StreamableHttpPostResponse::Accepted)
            } else {
                Err(Trouble::NotMcp)
            };
        };
        if matches!(parts.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST) {
            self.quote(body).await;
            return Err(Trouble::Refused);
        }
        let answer = match kind.as_str() {
            JSON => self.json(body, &asked.id).await?,
            EVENTS if parts.status.is_success() => self.events(body, &asked.id).await?,
            _ => {
                self.quote(body).await;
                return Err(Trouble::NotMcp);
            }
        };
        // A failure by HTTP's word is none of the protocol's answers but its error.
        if !parts.status.is_success() && !matches!(answer, ServerJsonRpcMessage::Error(_)) {
            return Err(Trouble::NotMcp);
        }
        if let ServerJsonRpcMessage::Response(response) = &answer
            && let ServerResult::DiscoverResult(discovered) = &response.result
        {
            self.record().versions = discovered.supported_versions.iter().map(ToString::to_string).collect();
        }
        let session = Some(text(&parts.headers, &SESSION)).filter(|session| !session.is_empty());
        Ok(StreamableHttpPostResponse::Json(answer, session))
    }

    async fn json(&self, body: Incoming, id: &RequestId) -> Result<ServerJsonRpcMessage, Trouble> {
        let bytes = self.bounded(body).collect().await?.to_bytes();
        self.parse(&bytes, id)?.ok_or(Trouble::NotMcp)
    }

    /// The answer in a stream of events, which may hold notifications too.
    async fn events(&self, body: Incoming, id: &RequestId) -> Result<ServerJsonRpcMessage, Trouble> {
        let mut events = Box::pin(SseStream::new(self.bounded(body)));
        while let Some(event) = events.next().await {
            let data = match event {
                Ok(event) => event.data.unwrap_or_default(),
                Err(SseError::Body(error)) => {
                    return Err(error.downcast().map_or(Trouble::NotMcp, |trouble: Box<Trouble>| *trouble));
                }
                Err(_) => return Err(Trouble::NotMcp),
            };
            if data.trim().is_empty() {
                continue;
            }
            if let Some(answer) = self.parse(data.as_bytes(), id)? {
                let _ =
                    timeout(LINGER, async { while events.next().await.is_some_and(|event| event.is_ok()) {} }).await;
                return Ok(answer);
            }
        }
        Err(Trouble::NotMcp)
    }

    /// The rest of the bytes that a probe may hear.
    fn bounded(&self, body: Incoming) -> impl Body<Data = Bytes, Error = Trouble> + use<> {
        let left = MAX_BYTES.saturating_sub(self.record().spent);
        Limited::new(body, left).map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => broken(&error),
            Err(error) if error.is::<LengthLimitError>() => Trouble::TooMuch(Limit::Bytes),
            Err(_) => Trouble::NotMcp,
        })
    }

    /// The answer to a request; none when it is another message.
    fn parse(&self, bytes: &[u8], id: &RequestId) -> Result<Option<ServerJsonRpcMessage>, Trouble> {
        {
            let mut record = self.record();
            record.spent += bytes.len();
            if let Some(last) = record.last.as_mut() {
                last.quote = lossy(bytes);
            }
        }
        if bytes.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > MAX_MARKS {
            return Err(Trouble::TooMuch(Limit::Values));
        }
        let ours = |answered: &RequestId| answered.to_string() == id.to_string();
        match serde_json::from_slice(bytes).map_err(|_| Trouble::NotMcp)? {
            ServerJsonRpcMessage::Response(response) if ours(&response.id) => {
                Ok(Some(ServerJsonRpcMessage::Response(response)))
            }
            ServerJsonRpcMessage::Error(error) if error.id.as_ref().is_none_or(ours) => {
                Ok(Some(ServerJsonRpcMessage::error(error.error, Some(id.clone()))))
            }
            ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_) => Err(Trouble::NotMcp),
            _ => Ok(None),
        }
    }

    /// Keeps the first bytes of what is not MCP.
    async fn quote(&self, mut body: Incoming) {
        let mut bytes = Vec::new();
        while bytes.len() < MAX_QUOTE {
            match timeout(LINGER, body.frame()).await {
                Ok(Some(Ok(frame))) => bytes.extend(frame.data_ref().into_iter().flatten().take(MAX_QUOTE)),
                _ => break,
            }
        }
        if let Some(last) = self.record().last.as_mut() {
            last.quote = lossy(&bytes);
        }
    }
}

impl StreamableHttpClient for Wire {
    type Error = Trouble;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _authorization: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Post {
        let (asked, discover) = subject(&message);
        self.record().asked = asked;
        let exchange = self.exchange(&message, session.as_deref(), headers);
        let Some(id) = discover else {
            return exchange.await.map_err(|trouble| self.end(trouble));
        };
        match timeout(DISCOVER, exchange).await {
            Ok(Ok(answer)) if discovers(&answer) => Ok(answer),
            Ok(Err(trouble @ (Trouble::Unreachable(_) | Trouble::Refused | Trouble::TooMuch(_)))) => {
                Err(self.end(trouble))
            }
            // Whatever else a server makes of a question it does not know: it is asked in the older way next.
            Ok(_) | Err(_) => {
                let unknown = ErrorData::invalid_request("not a server of the newer era", None);
                Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::error(unknown, Some(id)), None))
            }
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session: Arc<str>,
        _authorization: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), StreamableHttpError<Trouble>> {
        let end = async {
            let mut request = self.request(Method::DELETE, Some(&session), Bytes::new())?;
            request.headers_mut().extend(headers);
            let mut connection = self.0.connection.lock().await;
            self.send(&mut connection, request).await.map(drop)
        };
        end.await.map_err(StreamableHttpError::Client)
    }

    /// A probe asks and goes; it does not listen.
    async fn get_stream(
        &self,
        _uri: Arc<str>,
        _session: Option<Arc<str>>,
        _last_event: Option<String>,
        _authorization: Option<String>,
        _headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, StreamableHttpError<Trouble>> {
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}

impl Wire {
    fn end(&self, trouble: Trouble) -> StreamableHttpError<Trouble> {
        self.record().trouble = Some(trouble.clone());
        StreamableHttpError::Client(trouble)
    }
}

/// What a message asks, and the id of the one request that only servers of the newer era know.
fn subject(message: &ClientJsonRpcMessage) -> (&'static str, Option<RequestId>) {
    match message {
        ClientJsonRpcMessage::Request(request) => match &request.request {
            ClientRequest::DiscoverRequest(_) => ("server/discover", Some(request.id.clone())),
            ClientRequest::InitializeRequest(_) => ("initialize", None),
            _ => ("tools/list", None),
        },
        _ => ("notifications/initialized", None),
    }
}

/// Whether this answers the question of the newer era: with what was asked for, or with an error.
fn discovers(answer: &StreamableHttpPostResponse) -> bool {
    match answer {
        StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Response(response), _) => {
            matches!(response.result, ServerResult::DiscoverResult(_))
        }
        _ => true,
    }
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, Trouble> {
    let connection = async {
        match &endpoint.place {
            Place::Ip(ip) => TcpStream::connect((*ip, endpoint.port)).await,
            // The dot says that the name is whole, so that no search domain is tried first.
            Place::Name(name) => TcpStream::connect((format!("{name}."), endpoint.port)).await,
        }
    };
    let stream = match timeout(CONNECT, connection).await {
        Ok(connected) => connected.map_err(|error| Trouble::Unreachable(words(&error)))?,
        Err(_) => return Err(Trouble::Unreachable("nothing takes the connection".to_owned())),
    };
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// What went wrong, without the number that only some systems add.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn broken(error: &hyper::Error) -> Trouble {
    Trouble::Broken(if error.is_parse() { "what it says is not HTTP/1.1" } else { "it ends the connection" }.to_owned())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| lossy(value.as_bytes())).unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..MAX_QUOTE).unwrap_or(bytes)).into_owned()
}
