//! The probe's MCP client: one handshake, every page of tools, and good-bye.
//!
//! In: an [`Endpoint`], and a [`Token`] for servers that ask who calls. Out: [`Heard`], within [`DEADLINE`] whatever the server does. The protocol, in both its eras,
//! is rmcp's; HTTP and its bounds are those of `wire`.

use std::{pin::pin, time::Duration};

use rmcp::{
    ServiceError,
    model::{
        ClientCapabilities, ClientConfig, Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    },
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer, RoleClient},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use tokio::time::{Instant, timeout};

use super::{
    heard::{End, Endpoint, Heard, Limit, Listing, Trouble},
    token::Token,
    wire::Wire,
};

/// Longest probe. With what follows it stays under the 5 s in which a reason is promised.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// The deadline is counted in steps of this length.
const STEP: Duration = Duration::from_millis(100);
/// However little the operator itself gets to run: no probe takes longer.
const LIMIT: Duration = Duration::from_secs(12);
/// Longest good-bye; the server's word is known by then.
const GOOD_BYE: Duration = Duration::from_millis(500);
const MAX_PAGES: usize = 50;
const MAX_TOOLS: usize = 2000;
const FORBIDDEN: u16 = 403;

/// Speaks to an endpoint, once.
pub async fn ask(endpoint: &Endpoint, token: Option<Token>) -> Heard {
    let shown = token.is_some();
    let wire = Wire::new(endpoint.clone(), token);
    let end = patiently(converse(&wire)).await.unwrap_or(End::Hung);
    let (asked, last) = {
        let record = wire.record();
        (record.asked, record.last.clone())
    };
    let forbidden = end == End::Trouble(Trouble::Refused) && last.as_ref().is_some_and(|last| last.status == FORBIDDEN);
    let host_matters = forbidden && answers_as_localhost(endpoint).await;
    Heard { end, asked, last, host_matters, shown }
}

/// Waits for [`DEADLINE`], of which the time that the operator itself did not get to run is left out: a step that lasted
/// longer counts as one. Who is starved of processors accuses nobody of being slow.
async fn patiently<T>(work: impl Future<Output = T>) -> Option<T> {
    let (mut work, begun) = (pin!(work), Instant::now());
    let mut waited = Duration::ZERO;
    while waited < DEADLINE && begun.elapsed() < LIMIT {
        if let Ok(done) = timeout(STEP, &mut work).await {
            return Some(done);
        }
        waited += STEP;
    }
    None
}

/// Servers that guard against DNS rebinding answer under this name, if under any.
async fn answers_as_localhost(endpoint: &Endpoint) -> bool {
    let wire = Wire::new(Endpoint { host: format!("localhost:{}", endpoint.port), ..endpoint.clone() }, None);
    !matches!(timeout(GOOD_BYE, converse(&wire)).await, Err(_) | Ok(End::Trouble(_)))
}

async fn converse(wire: &Wire) -> End {
    let both = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::LATEST],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    };
    match handshake(wire, both).await {
        // It knows of the newer era, and is not of it.
        End::Mismatch(theirs) if known(&theirs, ProtocolVersion::has_initialize) => {
            handshake(wire, ClientLifecycleMode::Initialize).await
        }
        end => end,
    }
}

async fn handshake(wire: &Wire, mode: ClientLifecycleMode) -> End {
    // The URL is for rmcp's eyes: the wire knows the way.
    let config = StreamableHttpClientTransportConfig::with_uri("http://probed").reinit_on_expired_session(false);
    let transport = StreamableHttpClientTransport::with_client(wire.clone(), config);
    let who = Implementation::new("mcp-eks-operator", env!("CARGO_PKG_VERSION"));
    let me = ClientConfig::new(ClientCapabilities::default(), who)
        .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE);
    let mut service = match me.serve_with_lifecycle(transport, mode).await {
        Ok(service) => service,
        Err(error) => return not_begun(wire, error),
    };
    let end = list(wire, &service).await;
    let _ = service.close_with_timeout(GOOD_BYE).await;
    end
}

async fn list(wire: &Wire, peer: &Peer<RoleClient>) -> End {
    let Some(info) = peer.peer_info() else { return End::Trouble(Trouble::NotMcp) };
    let version = info.protocol_version.to_string();
    if !known(&[version.as_str()], |_| true) {
        return End::Mismatch(vec![version]);
    }
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let page = match peer.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await {
            Ok(page) => page,
            Err(error) => return not_listed(wire, error),
        };
        let ListToolsResult { tools: more, next_cursor, .. } = page;
        if tools.len() + more.len() > MAX_TOOLS {
            return End::Trouble(Trouble::TooMuch(Limit::Tools));
        }
        tools.extend(more.into_iter().filter_map(|tool| serde_json::to_value(tool).ok()));
        cursor = next_cursor;
        if cursor.is_none() {
            let said = std::mem::take(&mut wire.record().versions);
            return End::Listed(Box::new(Listing {
                versions: if said.is_empty() { vec![version.clone()] } else { said },
                version,
                server: info.server_info.as_ref().map(|server| (server.name.clone(), server.version.clone())),
                capabilities: serde_json::to_value(&info.capabilities).unwrap_or_default(),
                tools,
            }));
        }
    }
    End::Trouble(Trouble::TooMuch(Limit::Pages))
}

fn not_begun(wire: &Wire, error: ClientInitializeError) -> End {
    let error = match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => *fallback,
        other => other,
    };
    match (wire.record().trouble.take(), error) {
        (Some(trouble), _) => End::Trouble(trouble),
        (None, ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. }) => {
            End::Mismatch(server_supported.iter().map(ToString::to_string).collect())
        }
        (None, ClientInitializeError::JsonRpcError(error)) => {
            End::Error { code: error.code.0, message: error.message.into_owned() }
        }
        (None, _) => End::Trouble(Trouble::NotMcp),
    }
}

fn not_listed(wire: &Wire, error: ServiceError) -> End {
    match (wire.record().trouble.take(), error) {
        (Some(trouble), _) => End::Trouble(trouble),
        (None, ServiceError::McpError(error)) => End::Error { code: error.code.0, message: error.message.into_owned() },
        (None, _) => End::Trouble(Trouble::NotMcp),
    }
}

/// Whether one of these revisions is known here, and passes.
fn known(versions: &[impl AsRef<str>], pass: impl Fn(&ProtocolVersion) -> bool) -> bool {
    let known = |version: &str| ProtocolVersion::KNOWN_VERSIONS.iter().any(|it| it.as_str() == version && pass(it));
    versions.iter().any(|version| known(version.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::{future, thread};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_waited_for_until_the_deadline() {
        let begun = Instant::now();
        assert_eq!(patiently(future::pending::<()>()).await, None);
        // Timers count whole milliseconds.
        assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < DEADLINE + STEP, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn time_in_which_the_operator_does_not_run_is_not_the_servers() {
        // Longer than the deadline, and nobody else's fault.
        tokio::spawn(async { thread::sleep(DEADLINE + STEP) });
        let answer = async {
            tokio::time::sleep(STEP / 2).await;
            tokio::time::sleep(STEP).await;
        };
        assert_eq!(patiently(answer).await, Some(()));
    }
}
