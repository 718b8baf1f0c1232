//! The settings every server has.

use std::{net::SocketAddr, time::Duration};

use clap::{Arg, ArgAction};
use tracing_subscriber::EnvFilter;

use super::{
    flag,
    names::{HostName, WebOrigin},
    repeated,
    sessions::{Sessions, sessions},
    sources::Sources,
};

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const HEALTH_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);
const DRAIN_SECONDS: u64 = 20;
const LONGEST_DRAIN_SECONDS: u64 = 3600;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings every server has, checked.
#[derive(Clone, Debug)]
pub struct Common {
    /// Where `/mcp`, `/health` and `/ready` are served.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub health_listen: SocketAddr,
    /// Speak over standard input and output instead of HTTP.
    pub stdio: bool,
    /// Names clients may call this server by, besides loopback.
    pub allowed_hosts: Vec<HostName>,
    /// Whether clients may call it by any IP address.
    pub any_ip_host: bool,
    /// Web pages that may call this server, besides those of the machine itself.
    pub allowed_origins: Vec<WebOrigin>,
    /// What sessions are granted; none where any replica answers any request.
    pub sessions: Option<Sessions>,
    /// The longest time between a signal and the end.
    pub drain: Duration,
    /// Which events are logged, as `tracing` filters.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// Where spans go over OTLP; nowhere without it.
    pub otlp_endpoint: Option<String>,
    /// Whether plain calls take the direct way. Only tests turn it off, to compare.
    pub direct: bool,
}

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 12] {
    [
        flag(
            "listen",
            "ADDR:PORT",
            "Where /mcp, /health and /ready are served; [::]:8080 is every address, IPv4 and IPv6 [default: 127.0.0.1:8080]",
        ),
        flag("health-listen", "ADDR:PORT", "Where /livez, /readyz and /metrics are served [default: 127.0.0.1:9090]"),
        Arg::new("stdio")
            .long("stdio")
            .action(ArgAction::SetTrue)
            .help("Speak MCP over stdin and stdout instead of HTTP"),
        flag("config", "FILE", "YAML file with the same settings under camelCase keys (listen, allowedHosts, ...)"),
        repeated(
            "allowed-hosts",
            "HOST,...",
            "Names clients may use in the Host header, without port, no patterns; loopback is always allowed",
        ),
        flag(
            "ip-hosts",
            "WHICH",
            "IP addresses clients may use in the Host header: listed (those in --allowed-hosts) or any, for a server \
             behind a Service, which no page can rebind to by address [default: listed]",
        ),
        repeated(
            "allowed-origins",
            "ORIGIN,...",
            "Web origins (https://app.example.com) whose pages may call this server, besides loopback",
        ),
        flag("drain-seconds", "N", "The longest time from SIGTERM to the end [default: 20]"),
        flag(
            "log",
            "FILTER",
            "What is logged: error, warn, info, debug, trace, or filters such as info,rmcp=debug [default: info]",
        ),
        flag("log-format", "FORMAT", "text or json, on stderr [default: text]"),
        flag(
            "otlp-endpoint",
            "URL",
            "Where traces go, by OTLP over HTTP, for example http://collector:4318 [default: nowhere]",
        ),
        Arg::new("no-direct-path").long("no-direct-path").action(ArgAction::SetTrue).hide(true),
    ]
}

impl Common {
    /// Reads and checks them all; `None` exactly when there were problems.
    pub(crate) fn read(sources: &mut Sources) -> Option<Self> {
        let listen = address(sources, "listen", LISTEN);
        let health_listen = address(sources, "health-listen", HEALTH_LISTEN);
        if let (Some(listen), Some(health)) = (listen, health_listen)
            && listen == health
            && listen.port() != 0
        {
            let mend = "give --health-listen another port, for example 9090";
            sources.problems.add("--listen and --health-listen", "two different addresses", listen.to_string(), mend);
        }
        let allowed_hosts = hosts(sources);
        let any_ip_host = ip_hosts(sources);
        let allowed_origins = origins(sources);
        let sessions = sessions(sources);
        let drain = drain(sources);
        let log = log(sources);
        let log_format = log_format(sources);
        let stdio = sources.switch("stdio");
        let otlp_endpoint = otlp_endpoint(sources);
        let direct = !sources.switch("no-direct-path");
        Some(Self {
            listen: listen?,
            health_listen: health_listen?,
            stdio,
            allowed_hosts: allowed_hosts?,
            any_ip_host: any_ip_host?,
            allowed_origins: allowed_origins?,
            sessions: sessions.ok()?,
            drain: drain?,
            log: log?,
            log_format: log_format?,
            otlp_endpoint: otlp_endpoint.ok()?,
            direct,
        })
    }
}

fn address(sources: &mut Sources, name: &str, default: SocketAddr) -> Option<SocketAddr> {
    let Some(given) = sources.one(name) else {
        return Some(default);
    };
    let parsed = given.text.parse().ok();
    if parsed.is_none() {
        let expected = format!("an IP address and port such as {default} or [::]:{}", default.port());
        sources.problems.add(
            given.at,
            expected,
            format!("{:?}", given.text),
            "write both parts; names are not resolved here",
        );
    }
    parsed
}

fn hosts(sources: &mut Sources) -> Option<Vec<HostName>> {
    let given = sources.many("allowed-hosts");
    let parsed: Vec<_> = given.iter().map(|given| HostName::parse(&given.text)).collect();
    for (given, _) in given.into_iter().zip(&parsed).filter(|(_, host)| host.is_none()) {
        let mend = if given.text.contains('*') {
            "patterns are not supported, since they would let any web page rebind to this server: list each name"
        } else {
            "write the bare name, without scheme or path"
        };
        sources.problems.add(given.at, "a host name such as mcp.example.com", format!("{:?}", given.text), mend);
    }
    parsed.into_iter().collect()
}

fn ip_hosts(sources: &mut Sources) -> Option<bool> {
    match sources.one("ip-hosts") {
        None => Some(false),
        Some(given) if given.text == "listed" => Some(false),
        Some(given) if given.text == "any" => Some(true),
        Some(given) => {
            sources.problems.add(given.at, "listed or any", format!("{:?}", given.text), "use one of the two");
            None
        }
    }
}

fn origins(sources: &mut Sources) -> Option<Vec<WebOrigin>> {
    let given = sources.many("allowed-origins");
    let parsed: Vec<_> = given.iter().map(|given| WebOrigin::parse(&given.text)).collect();
    for (given, _) in given.into_iter().zip(&parsed).filter(|(_, origin)| origin.is_none()) {
        let expected = "an origin such as https://app.example.com or http://localhost:6274";
        let mend = "write scheme, host and (unless it is the default) port, without path or pattern";
        sources.problems.add(given.at, expected, format!("{:?}", given.text), mend);
    }
    parsed.into_iter().collect()
}

fn drain(sources: &mut Sources) -> Option<Duration> {
    let Some(given) = sources.one("drain-seconds") else {
        return Some(Duration::from_secs(DRAIN_SECONDS));
    };
    let seconds = given.text.parse().ok().filter(|seconds| *seconds <= LONGEST_DRAIN_SECONDS);
    if seconds.is_none() {
        let expected = format!("whole seconds from 0 to {LONGEST_DRAIN_SECONDS}");
        let mend = "keep it below the pod's terminationGracePeriodSeconds";
        sources.problems.add(given.at, expected, format!("{:?}", given.text), mend);
    }
    seconds.map(Duration::from_secs)
}

fn log(sources: &mut Sources) -> Option<String> {
    let Some(given) = sources.one("log") else {
        return Some("info".to_owned());
    };
    match EnvFilter::try_new(&given.text) {
        Ok(_) => Some(given.text),
        Err(error) => {
            let expected = "a level (error, warn, info, debug, trace) or filters such as info,mcp_kit=debug";
            sources.problems.add(given.at, expected, format!("{:?}: {error}", given.text), "use one of the levels");
            None
        }
    }
}

/// The endpoint, if one is wanted; `Err` when it was wrong, which is told already.
fn otlp_endpoint(sources: &mut Sources) -> Result<Option<String>, ()> {
    let Some(given) = sources.one("otlp-endpoint") else {
        return Ok(None);
    };
    let authority = given.text.strip_prefix("http://").or_else(|| given.text.strip_prefix("https://"));
    if authority.is_some_and(|rest| !rest.is_empty() && given.text.parse::<http::Uri>().is_ok()) {
        return Ok(Some(given.text));
    }
    let mend = "write scheme and host; /v1/traces is added";
    sources.problems.add(given.at, "a URL such as http://collector:4318", format!("{:?}", given.text), mend);
    Err(())
}

fn log_format(sources: &mut Sources) -> Option<LogFormat> {
    let Some(given) = sources.one("log-format") else {
        return Some(LogFormat::Text);
    };
    match given.text.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        other => {
            sources.problems.add(given.at, "text or json", format!("{other:?}"), "use one of the two");
            None
        }
    }
}
