//! Host and Origin allow-lists: what keeps a web page from calling a server it can reach but should not (DNS rebinding).

use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::json;

use super::error::Refusal;
use crate::settings::{HostName, WebOrigin};

/// Who may be called by which name, and from which pages. Loopback is always on both lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowList {
    pub(crate) hosts: Vec<HostName>,
    /// Any IP address will do: DNS rebinding needs a name.
    pub(crate) any_ip: bool,
    pub(crate) origins: Vec<WebOrigin>,
}

impl AllowList {
    /// Checks the Host and Origin of one request; answers with the Origin of the page it comes from.
    pub(super) fn check(&self, parts: &Parts) -> Result<Option<HeaderValue>, Refusal> {
        // A request line with a full address (as proxies send it) names the host a second time: both must be allowed.
        if let Some(authority) = parts.uri.authority() {
            self.host(authority.as_str())?;
        }
        match single(&parts.headers, &header::HOST)? {
            Some(host) => self.host(host)?,
            None if parts.uri.authority().is_none() => {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "expected a Host header, found none"));
            }
            None => {}
        }
        match single(&parts.headers, &header::ORIGIN)? {
            Some(origin) => self.origin(origin).map(|()| parts.headers.get(header::ORIGIN).cloned()),
            None => Ok(None),
        }
    }

    fn host(&self, text: &str) -> Result<(), Refusal> {
        let allowed =
            |host: HostName| host.is_loopback() || self.hosts.contains(&host) || (self.any_ip && host.is_address());
        if HostName::parse(text).is_some_and(allowed) {
            return Ok(());
        }
        let message = format!(
            "Host {text:?} is not allowed; add its name to --allowed-hosts (MCP_ALLOWED_HOSTS, allowedHosts) if clients \
             should reach this server by it"
        );
        let data = json!({"host": text, "setting": "allowedHosts"});
        Err(Refusal::new(StatusCode::FORBIDDEN, message).with_data(data))
    }

    fn origin(&self, text: &str) -> Result<(), Refusal> {
        if WebOrigin::parse(text).is_some_and(|origin| origin.is_loopback() || self.origins.contains(&origin)) {
            return Ok(());
        }
        let message = format!(
            "Origin {text:?} is not allowed; add it to --allowed-origins (MCP_ALLOWED_ORIGINS, allowedOrigins) if that \
             page should call this server"
        );
        let data = json!({"origin": text, "setting": "allowedOrigins"});
        Err(Refusal::new(StatusCode::FORBIDDEN, message).with_data(data))
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("expected one {name} header, found several")));
    }
    let unreadable = || Refusal::new(StatusCode::BAD_REQUEST, format!("expected a {name} header of plain text"));
    value.to_str().map(Some).map_err(|_| unreadable())
}
