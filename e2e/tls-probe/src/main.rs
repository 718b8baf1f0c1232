//! Does a TLS client find and load the CA bundle of an image? Both ends of that question.
//!
//! `serve DIRECTORY` makes a CA, writes it to `DIRECTORY/ca.pem`, prints the URL of an HTTPS server whose certificate it
//! signed, and answers until it is killed. `get URL`, put into an image, asks once with the trusted roots it finds there
//! and prints the status. Only tests use it; it is in no image that is published.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Parser)]
#[command(name = "mcp-tls-probe", version, about)]
enum Probe {
    /// Ask once, print the status
    Get {
        /// An https:// URL
        url: String,
    },
    /// Answer on a port of 127.0.0.1, with a certificate for `localhost` from a CA made for the occasion
    Serve {
        /// Where `ca.pem` goes
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Probe::parse() {
        Probe::Get { url } => get(&url),
        Probe::Serve { directory } => serve(&directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcp-tls-probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn get(url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client =
        reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().context("cannot load trusted roots")?;
    let response =
        runtime.block_on(async { client.get(url).send().await }).with_context(|| format!("cannot get {url}"))?;
    println!("{}", response.status().as_u16());
    Ok(())
}

fn serve(directory: &Path) -> Result<()> {
    let config = Arc::new(server_config(directory)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")?;
    println!("https://localhost:{}/", listener.local_addr()?.port());
    for stream in listener.incoming() {
        // A client that refuses the certificate is the one half of the test.
        if let Err(error) = answer(&config, stream?) {
            eprintln!("mcp-tls-probe: a connection ended: {error:#}");
        }
    }
    Ok(())
}

fn server_config(directory: &Path) -> Result<ServerConfig> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "mcp-eks test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let path = directory.join("ca.pem");
    std::fs::write(&path, issuer.pem()).with_context(|| format!("cannot write {}", path.display()))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?)
}

fn answer(config: &Arc<ServerConfig>, stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let stream = stream.get_mut();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
