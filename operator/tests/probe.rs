//! The probe against servers of every kind, on loopback: what speaks MCP, what does not, and what means harm.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use mcp_operator::{
    probe::{
        client::{DEADLINE, ask},
        heard::{Endpoint, Place},
        judge::judge,
        outcome::{Failure, Outcome, Spoken, Wants},
        token::Key,
    },
    vocabulary::Reason,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
        Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};

const HOST: &str = "files.team.svc.cluster.local:8080";

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { place: Place::Ip(address.ip()), port: address.port(), host: HOST.to_owned(), path: "/mcp".to_owned() }
}

/// Serves a router on a port of its own.
async fn serve(router: Router) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint(address)
}

/// Serves one answer to everything.
async fn always<F, A>(answer: F) -> Endpoint
where
    F: Fn(Method, HeaderMap, Bytes) -> A + Clone + Send + Sync + 'static,
    A: IntoResponse,
{
    let handler = move |method: Method, headers: HeaderMap, body: Bytes| {
        let answer = answer(method, headers, body).into_response();
        async move { answer }
    };
    serve(Router::new().fallback(handler)).await
}

async fn outcome(endpoint: &Endpoint) -> Outcome {
    judge(endpoint, ask(endpoint, None).await)
}

async fn spoken(endpoint: &Endpoint) -> Arc<Spoken> {
    match outcome(endpoint).await {
        Outcome::Spoke(spoken) => spoken,
        other => panic!("{other:?}"),
    }
}

async fn failure(endpoint: &Endpoint) -> Failure {
    match outcome(endpoint).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// An MCP server that speaks these revisions, and lists tools on several pages.
#[derive(Clone)]
struct Pages(&'static [ProtocolVersion]);

impl ServerHandler for Pages {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("pages", "7"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.0)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let page: usize = request.and_then(|it| it.cursor).map_or(0, |cursor| cursor.parse().unwrap());
        let tool = Tool::new(format!("tool-{page}"), "does things", Arc::new(serde_json::Map::new()));
        let mut result = ListToolsResult::with_all_items(vec![tool]);
        result.next_cursor = (page < 2).then(|| (page + 1).to_string());
        Ok(result)
    }
}

async fn real(versions: &'static [ProtocolVersion], sessions: bool) -> Endpoint {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(sessions)
        .with_json_response(!sessions)
        .with_allowed_hosts([HOST]);
    let service =
        StreamableHttpService::new(move || Ok(Pages(versions)), Arc::<LocalSessionManager>::default(), config);
    serve(Router::new().nest_service("/mcp", service)).await
}

#[tokio::test]
async fn a_token_is_shown_with_every_request_under_the_servers_own_name_alone() {
    let seen: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let kept = seen.clone();
    let refuses = always(move |_, headers: HeaderMap, _| {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let shown = text(header::AUTHORIZATION).starts_with("Bearer ");
        kept.lock().unwrap().push((text(header::HOST), shown));
        // It says nothing of credentials: maybe another name opens.
        (StatusCode::FORBIDDEN, "no")
    })
    .await;
    let key = Key::read(&Key::generate().unwrap()).unwrap();
    let heard = ask(&refuses, key.token(HOST)).await;
    assert!(heard.shown);
    let seen = seen.lock().unwrap();
    let (own, other): (Vec<_>, Vec<_>) = seen.iter().partition(|(host, _)| host == HOST);
    assert!(!own.is_empty() && own.iter().all(|(_, shown)| *shown), "{seen:?}");
    assert!(!other.is_empty() && other.iter().all(|(_, shown)| !shown), "{seen:?}");
}

#[tokio::test]
async fn a_server_that_does_not_take_the_token_wants_credentials_that_it_saw() {
    let refuses =
        always(|_, _, _| (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"mcp\"")])).await;
    let key = Key::read(&Key::generate().unwrap()).unwrap();
    for (token, shown) in [(key.token(HOST), true), (None, false)] {
        let wants = Wants { scheme: "Bearer".to_owned(), shown };
        assert_eq!(judge(&refuses, ask(&refuses, token).await), Outcome::AuthRequired(wants));
    }
}

#[tokio::test]
async fn both_eras_are_spoken_and_every_page_is_read() {
    const BOTH: &[ProtocolVersion] = &[ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28];
    const OLD: &[ProtocolVersion] = &[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25];
    let modern = spoken(&real(BOTH, false).await).await;
    assert_eq!((modern.era, modern.tool_count), ("modern", 3));
    assert_eq!(modern.protocol_versions, ["2025-11-25", "2026-07-28"]);
    assert_eq!((modern.server_name.as_deref(), modern.server_version.as_deref()), (Some("pages"), Some("7")));
    assert_eq!(modern.capabilities, ["tools"]);
    // Sessions, event streams, and a server that has never heard of discovery.
    let legacy = spoken(&real(OLD, true).await).await;
    assert_eq!(
        (legacy.era, legacy.tool_count, legacy.protocol_versions.clone()),
        ("legacy", 3, vec!["2025-11-25".to_owned()])
    );
    assert_eq!(legacy.tools_digest, modern.tools_digest, "the digest is of the tools alone");
}

#[tokio::test]
async fn a_server_that_guards_against_other_names_says_so() {
    let config = StreamableHttpServerConfig::default().with_json_response(true).with_legacy_session_mode(false);
    let service = StreamableHttpService::new(
        || Ok(Pages(ProtocolVersion::KNOWN_VERSIONS)),
        Arc::<LocalSessionManager>::default(),
        config,
    );
    let guarded = failure(&serve(Router::new().nest_service("/mcp", service)).await).await;
    assert_eq!(guarded.reason, Reason::HostNotAllowed);
    assert!(guarded.what.contains(HOST), "{guarded:?}");
    // The same without a word of explanation: then it shows by what it answers to localhost.
    let silent = always(|_, headers: HeaderMap, _| {
        let local = headers[header::HOST].as_bytes().starts_with(b"localhost");
        let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "x"}});
        if local { axum::Json(error).into_response() } else { StatusCode::FORBIDDEN.into_response() }
    })
    .await;
    assert_eq!(failure(&silent).await.reason, Reason::HostNotAllowed);
    let closed = always(|_, _, _| StatusCode::FORBIDDEN).await;
    assert_eq!(failure(&closed).await.reason, Reason::ProbeFailed);
}

#[tokio::test]
async fn what_is_not_mcp_is_told_by_what_came_back() {
    let page = ([(header::CONTENT_TYPE, "text/html")], "<html><title>It works");
    let found = failure(&always(move |_, _, _| page.clone()).await).await;
    assert_eq!(found.reason, Reason::ProbeFailed);
    assert!(found.what.contains("HTTP 200, content type text/html"), "{found:?}");
    assert_eq!(found.quote, "<html><title>It works");
    let found = failure(&always(|_, _, _| (StatusCode::NOT_FOUND, "no such page")).await).await;
    assert!(found.what.contains("HTTP 404") && found.quote == "no such page", "{found:?}");
    let found = failure(&always(|_, _, _| axum::Json(json!({"hello": "world"}))).await).await;
    assert!(found.what.contains("content type application/json"), "{found:?}");
    let wants = always(|_, _, _| (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"x\"")])).await;
    assert_eq!(outcome(&wants).await, Outcome::AuthRequired(Wants { scheme: "Bearer".to_owned(), shown: false }));
    let future = always(|_, _, body: Bytes| {
        let id = serde_json::from_slice::<Value>(&body).unwrap()["id"].clone();
        let info = json!({"name": "x", "version": "1"});
        let result = json!({"protocolVersion": "2031-01-01", "capabilities": {}, "serverInfo": info});
        axum::Json(json!({"jsonrpc": "2.0", "id": id, "result": result}))
    });
    assert_eq!(failure(&future.await).await.reason, Reason::ProtocolMismatch);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    let elsewhere = always(move |_, _, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::OK
    })
    .await;
    let location = format!("http://127.0.0.1:{}/mcp", elsewhere.port);
    let redirect =
        always(move |_, _, _| (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location.clone())])).await;
    let found = failure(&redirect).await;
    assert!(found.what.contains("HTTP 307 (redirects are not followed)"), "{found:?}");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_hangs_is_given_up_in_time_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = endpoint(listener.local_addr().unwrap());
    // Accepted by the kernel, answered by nobody.
    let trickle = always(|_, _, _| {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>(": still there\n\n"), ()))
        });
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(drops))
    })
    .await;
    let start = Instant::now();
    let (silent, trickle) = tokio::join!(failure(&silent), failure(&trickle));
    assert!(start.elapsed() < DEADLINE + Duration::from_secs(1), "{:?}", start.elapsed());
    for found in [silent, trickle] {
        assert_eq!(found.reason, Reason::ProbeTimeout, "{found:?}");
        assert_eq!(found.what, "does not answer initialize within 4 s");
    }
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = endpoint(listener.local_addr().unwrap());
    drop(listener);
    let found = failure(&gone).await;
    assert!(found.what.ends_with("connection refused") && found.passing, "{found:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ssh = endpoint(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        }
    });
    let found = failure(&ssh).await;
    assert!(found.what.contains("does not speak MCP"), "{found:?}");
}

fn json_stream(start: &'static str, again: &'static str) -> Response {
    let flood = stream::once(async move { Bytes::from_static(start.as_bytes()) })
        .chain(stream::repeat(Bytes::from(again.repeat(1000))))
        .map(Ok::<_, std::io::Error>);
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(flood)).into_response()
}

#[tokio::test]
async fn hostile_answers_do_no_harm() {
    let table: [(Endpoint, &str); 6] = [
        (always(|_, _, _| json_stream("[", "0,")).await, "1 MiB of answers"),
        (
            always(|_, _, _| ([(header::CONTENT_TYPE, "application/json")], "[".repeat(60_000))).await,
            "does not speak MCP",
        ),
        (always(|_, _, _| ([(header::CONTENT_TYPE, "application/json")], "[0,".repeat(60_000))).await, "65,536 values"),
        (always(|_, _, _| ([("x-a", "a".repeat(100_000))], "")).await, "not HTTP/1.1"),
        (lister(|_| json!({"tools": vec![json!({"name": "t", "inputSchema": {}}); 3000]})).await, "2,000 tools"),
        (lister(|_| json!({"tools": [], "nextCursor": "again"})).await, "50 pages of tools"),
    ];
    for (endpoint, expected) in table {
        let found = failure(&endpoint).await;
        assert!(found.what.contains(expected), "{:?} lacks {expected:?}", found.what);
    }
    let name = "\u{1b}[31m\n\u{202e}evil".repeat(1000);
    let tool = move |_: usize| json!({"tools": [{"name": name.clone(), "inputSchema": {}}]});
    assert_eq!(spoken(&lister(tool).await).await.tool_count, 1);
}

/// A server of the older era that lists what it is told.
async fn lister(list: impl Fn(usize) -> Value + Clone + Send + Sync + 'static) -> Endpoint {
    always(move |_, _, body: Bytes| {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let info = json!({"name": "\u{7}bell", "version": "1"});
        let result = match request["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}),
            "tools/list" => list(0),
            "notifications/initialized" => return StatusCode::ACCEPTED.into_response(),
            _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        };
        axum::Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
    })
    .await
}
