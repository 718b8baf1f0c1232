//! Servers that stand in for the pods of tier `controllers`, and for bad servers in the pods of tier `node`.
//!
//! In: a behaviour. Out: a listener that behaves so, on an address of 127.0.0.0/8 that belongs to this process, or in
//! a pod. [`Behaviour::of_image`] says which image stands for which: the fake kubelet gives pods the address of it.

pub mod pod_identity;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    extract::Request,
    response::{Html, IntoResponse, Response},
};
use clap::ValueEnum;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool},
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio::net::TcpListener;

/// The port that servers listen on unless their spec says otherwise.
pub const PORT: u16 = 8080;

const MEBIBYTE: usize = 1 << 20;

/// Mebibytes after which the hungry one gives up: no test sets a limit near it.
const MOST_EATEN: usize = 512;

/// Whether the double that can be mended speaks MCP.
static MENDED: AtomicBool = AtomicBool::new(false);

/// How a double behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Behaviour {
    /// It speaks MCP, whatever it is called.
    Mcp,
    /// It is a web server.
    WebServer,
    /// It takes connections and never says a word.
    Hangs,
    /// It speaks MCP under the name of localhost alone, as the SDKs do.
    RefusesHost,
    /// It is a web server until it is mended.
    Mendable,
    /// It takes memory until its limit ends it, before it listens to anybody; only in a pod, which has a limit.
    Hungry,
}

impl Behaviour {
    /// The behaviour that an image's name asks for.
    #[must_use]
    pub fn of_image(image: &str) -> Self {
        let named = [
            ("web-server", Self::WebServer),
            ("hangs", Self::Hangs),
            ("refuses-host", Self::RefusesHost),
            ("mendable", Self::Mendable),
        ];
        named.iter().find(|(name, _)| image.contains(name)).map_or(Self::Mcp, |(_, behaviour)| *behaviour)
    }

    /// Its address, given that of the double that speaks MCP.
    #[must_use]
    pub fn address(self, base: Ipv4Addr) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(base) + self as u32)
    }
}

/// The address of this process's double that speaks MCP; those of the others follow it.
#[must_use]
pub fn address() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + high % 64, low, 1)
}

/// Makes the double that can be mended speak MCP, or no more.
pub fn mend(speaks: bool) {
    MENDED.store(speaks, Ordering::SeqCst);
}

/// Starts every double on addresses of this process. They end with the runtime.
pub async fn start() -> Result<()> {
    // Whoever has no limit of its own would take the machine's memory.
    for behaviour in Behaviour::value_variants().iter().filter(|behaviour| **behaviour != Behaviour::Hungry) {
        let address = SocketAddr::from((behaviour.address(address()), PORT));
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        tokio::spawn(serve(*behaviour, listener));
    }
    Ok(())
}

/// Behaves so until the process ends.
pub async fn serve(behaviour: Behaviour, listener: TcpListener) -> Result<()> {
    let anyone = StreamableHttpServerConfig::default().disable_allowed_hosts();
    let router = match behaviour {
        Behaviour::Hangs => {
            // Connections wait in the kernel's queue.
            std::future::pending::<()>().await;
            Router::new()
        }
        Behaviour::Hungry => return eat(),
        Behaviour::Mcp => Router::new().fallback_service(mcp(anyone)),
        Behaviour::WebServer => Router::new().fallback(page),
        Behaviour::RefusesHost => Router::new().fallback_service(mcp(StreamableHttpServerConfig::default())),
        Behaviour::Mendable => {
            let service = mcp(anyone);
            Router::new().fallback(move |request: Request| async move {
                let mended = MENDED.load(Ordering::SeqCst);
                if mended { service.handle(request).await.into_response() } else { page().await }
            })
        }
    };
    Ok(axum::serve(listener, router).await?)
}

/// Takes memory and touches it, until the limit ends the process.
fn eat() -> Result<()> {
    let mut eaten = Vec::new();
    while eaten.len() < MOST_EATEN {
        eaten.push(vec![1_u8; MEBIBYTE]);
    }
    bail!("{} MiB were taken, and no limit ended it", std::hint::black_box(eaten).len())
}

async fn page() -> Response {
    Html("<!doctype html><title>It works</title>").into_response()
}

fn mcp(config: StreamableHttpServerConfig) -> StreamableHttpService<Double, NeverSessionManager> {
    let config = config.with_legacy_session_mode(false).with_json_response(true);
    StreamableHttpService::new(|| Ok(Double), Arc::default(), config)
}

#[derive(Clone)]
struct Double;

impl ServerHandler for Double {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("double", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let nothing = serde_json::json!({"type": "object"}).as_object().cloned().unwrap_or_default();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("nothing", "Does nothing", Arc::new(nothing))]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_has_an_image_and_an_address_of_its_own() {
        let base = Ipv4Addr::new(127, 64, 0, 1);
        assert_eq!(Behaviour::of_image("ghcr.io/acme/tools:1").address(base), base);
        assert_eq!(Behaviour::of_image("ghcr.io/acme/hangs:1"), Behaviour::Hangs);
        assert_eq!(Behaviour::Mendable.address(base), Ipv4Addr::new(127, 64, 0, 5));
        assert!(address().is_loopback());
    }
}
