//! From the command line to the exit code: settings, runtime, transport, end. A server's `main` is one line.

use std::{
    io::{self, IsTerminal, stderr},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use clap::{Arg, Command};
use rmcp::ServerHandler;
use tokio::runtime::{Builder, Runtime};

use crate::{
    access::Access,
    audit::{self, Audit},
    call::Pipeline,
    health,
    http::{
        self, AllowList, Door, Keeper,
        listen::{self, Limits},
    },
    lifecycle::{Lifecycle, Signals, for_calls},
    metrics::Metrics,
    protocol::Adapter,
    registry::Registry,
    settings::{self, Common, Sources, common_flags},
    stdio, telemetry,
};

/// Threads for blocking work. More calls than that wait their turn.
const BLOCKING_THREADS: usize = 16;

/// Who a server is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Name of the binary and in `serverInfo`, for example `mcp-filesystem`.
    pub name: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What a model is told about the server as a whole.
    pub instructions: &'static str,
    /// What `--help` says first.
    pub about: &'static str,
    /// What `--help` says last: examples.
    pub examples: &'static str,
}

/// A server: who it is, which settings it has, and what it offers.
pub trait Server {
    /// Who it is.
    const IDENTITY: Identity;

    /// Its own flags (see [`settings::flag`](crate::settings::flag)).
    fn flags() -> Vec<Arg>;

    /// Reads its settings and makes its tools, prompts and resources: all of them, the kit takes away what `writes` and the
    /// lists of tools do not allow. Problems go to `sources.problems`; `None` is for when there were any.
    fn registry(sources: &mut Sources) -> Option<Registry>;
}

/// Runs a server: the whole of its `main`.
#[must_use]
pub fn main<S: Server>() -> ExitCode {
    start::<S, _>(|adapter| adapter)
}

/// Runs a server whose protocol is spoken by what is made of its adapter.
pub(crate) fn start<S: Server, H: ServerHandler>(speaker: impl FnOnce(Arc<Adapter>) -> Arc<H>) -> ExitCode {
    let identity = S::IDENTITY;
    let matches = Command::new(identity.name)
        .version(identity.version)
        .about(identity.about)
        .after_help(identity.examples)
        .args(S::flags())
        .args(common_flags())
        .args(settings::session_flags())
        .args(settings::access_flags())
        .args(settings::token_flags())
        .args(settings::write_flags())
        .args(settings::audit_flags())
        .subcommands(audit::commands())
        .get_matches();
    if let Some(code) = audit::run(&matches) {
        return code;
    }
    let mut sources = Sources::new(matches);
    let common = Common::read(&mut sources);
    let registry = S::registry(&mut sources).and_then(|registry| settings::gate(&mut sources, registry));
    let scopes = registry.as_ref().map(Registry::scopes).unwrap_or_default();
    let access = settings::access(&mut sources, &scopes, identity.title);
    let consent = settings::consent(&mut sources);
    let records = settings::audit(&mut sources);
    let problems = sources.finish();
    let (Some(common), Some(registry), Some(access), Some(consent), Some(records), true) =
        (common, registry, access, consent, records, problems.is_empty())
    else {
        eprintln!("{}: {problems}\n{} --help explains all settings.", identity.name, identity.name);
        return ExitCode::from(2);
    };
    let telemetry = match telemetry::start(&common, &identity) {
        Ok(telemetry) => telemetry,
        Err(error) => return fatal(&identity, &io::Error::other(error)),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fatal(&identity, &error),
    };
    let metrics = Arc::new(Metrics::new());
    let server = format!("{}/{}", identity.name, identity.version);
    let entered = runtime.enter();
    let (audit, writers) = Audit::start(&records, &server, common.stdio, &metrics);
    drop(entered);
    let pipeline = Pipeline::new(Arc::clone(&metrics), Arc::clone(&audit));
    let adapter = Arc::new(Adapter { identity, registry, pipeline, consent });
    let direct = common.direct.then(|| Arc::clone(&adapter));
    let asking = Arc::clone(&adapter);
    let handler = speaker(adapter);
    let code = runtime.block_on(async {
        let signals = Signals::listen()?;
        let refreshing = tokio::spawn(async move { asking.consent.refresh().await });
        let code = if common.stdio {
            Ok(stdio::serve(handler, signals).await)
        } else {
            over_http(&identity, (handler, direct), (metrics, Arc::clone(&audit)), (common, access), signals).await
        };
        refreshing.abort();
        writers.close(&audit).await;
        telemetry.stop().await;
        code
    });
    // A blocking read (of stdin, of a slow disk) must not keep the process from ending.
    runtime.shutdown_background();
    code.unwrap_or_else(|error| fatal(&identity, &error))
}

fn fatal(identity: &Identity, error: &io::Error) -> ExitCode {
    eprintln!("{}: {error}", identity.name);
    ExitCode::FAILURE
}

/// One thread where one CPU is all there is, else one per CPU.
fn runtime() -> io::Result<Runtime> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cpus <= 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build()
}

async fn over_http<H: ServerHandler>(
    identity: &Identity,
    (handler, direct): (Arc<H>, Option<Arc<Adapter>>),
    (metrics, audit): (Arc<Metrics>, Arc<Audit>),
    (settings, access): (Common, Access),
    mut signals: Signals,
) -> io::Result<ExitCode> {
    let lifecycle = Arc::new(Lifecycle::default());
    let main = listen::bind(settings.listen, "--listen").await?;
    let health = listen::bind(settings.health_listen, "--health-listen").await?;
    let (address, health_address) = (main.local_addr()?, health.local_addr()?);

    let access = Arc::new(access);
    let allow =
        AllowList { hosts: settings.allowed_hosts, any_ip: settings.any_ip_host, origins: settings.allowed_origins };
    let keeper = settings.sessions.map(|sessions| Arc::new(Keeper::new(sessions, Arc::clone(&metrics))));
    let health_routes = health::routes(Arc::clone(&lifecycle), Arc::clone(&metrics));
    let routes = http::routes(
        &handler,
        direct,
        metrics,
        Door { allow, access: Arc::clone(&access), audit },
        keeper.clone(),
        Arc::clone(&lifecycle),
    );
    tokio::spawn(access.refresh(lifecycle.cut.clone()));
    if let Some(keeper) = keeper.clone() {
        tokio::spawn(async move { keeper.tend().await });
    }
    // Health is served to the very end: it is how others learn that the end has begun.
    tokio::spawn(listen::serve(health, health_routes, Limits::STANDARD, lifecycle.cut.clone()));
    let mut serving = tokio::spawn(listen::serve(main, routes, Limits::STANDARD, lifecycle.closing.clone()));
    lifecycle.set_ready(true);
    tracing::info!(%address, health = %health_address, version = identity.version, "{} is ready", identity.name);
    hint(identity, address);

    let stop = signals.next().await;
    tracing::info!(?stop, drain = ?settings.drain, "shutting down; a second signal ends it at once");
    lifecycle.set_ready(false);
    if let Some(keeper) = &keeper {
        keeper.close();
    }
    let end = async {
        tokio::time::sleep(stop.grace(settings.drain)).await;
        let ended = async {
            // Whoever is in a session comes back on new connections.
            if let Some(keeper) = &keeper {
                keeper.drained().await;
            }
            lifecycle.closing.cancel();
            let _ = (&mut serving).await;
        };
        if tokio::time::timeout(for_calls(stop, settings.drain), ended).await.is_err() {
            tracing::warn!("calls, streams or sessions were still open at the end of the drain and are cut");
        }
        lifecycle.closing.cancel();
        lifecycle.cut.cancel();
        ExitCode::SUCCESS
    };
    tokio::select! {
        code = end => Ok(code),
        second = signals.next() => Ok(ExitCode::from(second.code())),
    }
}

/// Tells a person at a terminal how to connect a client.
fn hint(identity: &Identity, address: SocketAddr) {
    if !stderr().is_terminal() {
        return;
    }
    let short = identity.name.trim_start_matches("mcp-");
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let url = format!("http://{host}:{}/mcp", address.port());
    eprintln!("\n{} serves MCP at {url}", identity.title);
    eprintln!("Client configuration:");
    eprintln!("  {{\"mcpServers\": {{\"{short}\": {{\"type\": \"http\", \"url\": \"{url}\"}}}}}}");
    eprintln!("Or: claude mcp add --transport http {short} {url}\n");
}
