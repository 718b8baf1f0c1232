//! How a connection is made: the URI from its file, TLS, time limits.
//!
//! In: files that a Secret and a ConfigMap mount. Out: connections. The file is read for every new connection, so that a
//! password can be changed under a running server. Nothing of it appears in errors or logs.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool_postgres::Connect;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Error, NoTls,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The longest that one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// Sent data that nobody acknowledges for so long means that the other side is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// What connections are made from.
#[derive(Clone)]
pub(crate) struct Source {
    file: PathBuf,
    tls: MakeRustlsConnect,
    private_ca: bool,
    last: Arc<Mutex<Config>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The configuration holds the password.
        formatter.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What is wrong with the files: which, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The file with the URI, and what was found.
    Uri(String),
    /// The file with certificates, and what was found.
    Ca(String),
}

impl Source {
    /// Reads both files.
    pub(crate) fn read(file: PathBuf, ca: Option<&PathBuf>) -> Result<Self, Unusable> {
        let mut roots = RootCertStore::empty();
        match ca {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let told = |found: String| Unusable::Ca(format!("{}: {found}", path.display()));
                let certificates = CertificateDer::pem_file_iter(path).map_err(|error| told(error.to_string()))?;
                let certificates: Vec<_> = certificates.filter_map(Result::ok).collect();
                let (taken, _) = roots.add_parsable_certificates(certificates);
                if taken == 0 {
                    return Err(told("no certificate".to_owned()));
                }
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Unusable::Ca(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let last = config(&file, ca.is_some()).map_err(Unusable::Uri)?;
        Ok(Self { file, tls: MakeRustlsConnect::new(tls), private_ca: ca.is_some(), last: Arc::new(Mutex::new(last)) })
    }

    /// The configuration as the file says now, or as it said last when it cannot be used any more.
    pub(crate) fn config(&self) -> Config {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match config(&self.file, self.private_ca) {
            Ok(config) => *last = config,
            Err(found) => tracing::warn!(found, "the file with the connection URI cannot be used; keeping the last"),
        }
        last.clone()
    }

    /// Asks the server to stop what a connection runs.
    pub(crate) async fn cancel(&self, token: tokio_postgres::CancelToken) {
        let plain = self.config().get_ssl_mode() == SslMode::Disable;
        let cancelled =
            async { if plain { token.cancel_query(NoTls).await } else { token.cancel_query(self.tls.clone()).await } };
        if !matches!(tokio::time::timeout(CONNECT, cancelled).await, Ok(Ok(()))) {
            tracing::warn!("a statement that nobody waits for could not be cancelled; its timeout ends it");
        }
    }
}

impl Connect for Source {
    fn connect(
        &self,
        _: &Config,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            let config = self.config();
            if config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = config.connect(NoTls).await?;
                return Ok((client, tokio::spawn(over(connection))));
            }
            let (client, connection) = config.connect(self.tls.clone()).await?;
            Ok((client, tokio::spawn(over(connection))))
        })
    }
}

/// Drives a connection. Its end is told to whoever uses it; here it is no news.
async fn over(connection: impl Future<Output = Result<(), Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a database connection ended");
    }
}

fn config(file: &PathBuf, private_ca: bool) -> Result<Config, String> {
    // What it contains is never repeated: not even its beginning.
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {}", file.display(), error.kind()))?;
    let text = text.trim();
    let malformed = || format!("{}: {} characters that are no such URI", file.display(), text.chars().count());
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        return Err(malformed());
    }
    let mut config: Config = text.parse().map_err(|_| malformed())?;
    if config.get_hosts().is_empty() {
        return Err(format!("{}: a URI without a host", file.display()));
    }
    if !text.contains("sslmode=") {
        // Who can stand between could otherwise talk both sides out of TLS.
        config.ssl_mode(if private_ca || !loopback(&config) { SslMode::Require } else { SslMode::Disable });
    }
    config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
    if config.get_application_name().is_none() {
        config.application_name("mcp-database");
    }
    Ok(config)
}

fn loopback(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("uri");
        std::fs::write(&file, text).unwrap();
        config(&file, false)
    }

    #[test]
    fn other_machines_are_reached_by_tls_alone_unless_the_uri_says_otherwise() {
        for (text, mode) in [
            ("postgres://u:p@db.example.com/d", SslMode::Require),
            ("postgres://u:p@127.0.0.1/d", SslMode::Disable),
            ("postgres://u:p@localhost,db.example.com/d", SslMode::Require),
            ("postgres://u:p@db.example.com/d?sslmode=disable", SslMode::Disable),
            ("postgresql://u:p@localhost/d?sslmode=require\n", SslMode::Require),
        ] {
            assert_eq!(of(text).unwrap().get_ssl_mode(), mode, "{text}");
        }
    }

    #[test]
    fn a_uri_that_cannot_be_read_is_not_repeated() {
        for text in
            ["", "hunter2", "mysql://u:hunter2@h/d", "postgres://u:hunter2@h/d?nonsense=hunter2", "postgres:///d"]
        {
            let error = of(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
