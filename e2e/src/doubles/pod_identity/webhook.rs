//! The mutating webhook of EKS: pods of a ServiceAccount with an association get what SDKs need, when they are admitted.
//!
//! In: admission reviews over HTTPS, under a certificate of its own authority. Out: patches. Whether there is an association
//! is asked at the moment of admission, as EKS documents it. Like EKS's, it fails open: a pod is admitted as it is. It can be
//! made to overlook one, as EKS does for some seconds.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Json, Router, extract::State, routing::post, serve::Listener};
use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{cloud::Cloud, inject};
use crate::{certificate::Certificate, install::unless_absent};

/// Name of the configuration, as EKS has it.
const NAME: &str = "pod-identity-webhook";
/// Longest wait for a client to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The webhook and its configuration in the cluster.
pub struct Webhook {
    client: Client,
    overlooked: Overlooked,
}

/// How many pods of a ServiceAccount ("namespace/name") are still admitted as if it had no association.
type Overlooked = Arc<Mutex<BTreeMap<String, usize>>>;

#[derive(Clone)]
struct Play {
    cloud: Cloud,
    overlooked: Overlooked,
}

impl Webhook {
    /// Listens, and tells the API server where.
    pub(super) async fn start(
        client: Client,
        cloud: Cloud,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Self> {
        let certificate = Certificate::make(&[address.ip().to_string()])?;
        let listener = Tls { inner: listener, acceptor: acceptor(&certificate)? };
        let overlooked = Overlooked::default();
        let play = Play { cloud, overlooked: overlooked.clone() };
        let routes = Router::new().route("/mutate", post(review)).with_state(play);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let webhook = Self { client, overlooked };
        let wanted = configuration(address, &certificate.ca);
        let params = PatchParams::apply("mcp-e2e").force();
        webhook.configurations().patch(NAME, &params, &Patch::Apply(wanted)).await?;
        Ok(webhook)
    }

    fn configurations(&self) -> Api<MutatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    /// The next so many pods of a ServiceAccount are admitted as if its association were not visible yet.
    pub fn overlook(&self, namespace: &str, service_account: &str, pods: usize) {
        let mut overlooked = self.overlooked.lock().unwrap_or_else(PoisonError::into_inner);
        overlooked.insert(format!("{namespace}/{service_account}"), pods);
    }

    /// Takes its configuration out of the cluster.
    pub(super) async fn remove(&self) -> Result<()> {
        let gone = self.configurations().delete(NAME, &DeleteParams::default()).await;
        unless_absent(gone).context("delete the webhook's configuration").map(drop)
    }
}

fn configuration(address: SocketAddr, ca: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "iam-for-pods.amazonaws.com",
            "clientConfig": {"url": format!("https://{address}/mutate"), "caBundle": BASE64_STANDARD.encode(ca)},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "objectSelector": {"matchExpressions": [
                {"key": "eks.amazonaws.com/skip-pod-identity-webhook", "operator": "DoesNotExist"},
            ]},
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "admissionReviewVersions": ["v1"],
        }],
    })
}

async fn review(State(play): State<Play>, Json(review): Json<Value>) -> Json<Value> {
    let request = review.get("request").cloned().unwrap_or_default();
    let text = |place: &str| request.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let account = match text("/object/spec/serviceAccountName") {
        none if none.is_empty() => "default".to_owned(),
        account => account,
    };
    let uid = text("/uid");
    let response = match play.patch(&text("/namespace"), &account, request.get("object").unwrap_or(&Value::Null)).await
    {
        Ok(Some(patch)) => {
            let patch = BASE64_STANDARD.encode(json!(patch).to_string());
            json!({"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": patch})
        }
        Ok(None) => json!({"uid": uid, "allowed": true}),
        Err(error) => json!({"uid": uid, "allowed": true, "warnings": [format!("{NAME}: {error:#}")]}),
    };
    Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

impl Play {
    async fn patch(&self, namespace: &str, account: &str, pod: &Value) -> Result<Option<Vec<Value>>> {
        if self.cloud.association(namespace, account).await?.is_none() || self.overlooks(namespace, account) {
            return Ok(None);
        }
        Ok(Some(inject::patch(pod)))
    }

    fn overlooks(&self, namespace: &str, account: &str) -> bool {
        let mut overlooked = self.overlooked.lock().unwrap_or_else(PoisonError::into_inner);
        match overlooked.get_mut(&format!("{namespace}/{account}")) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Connections that have shaken hands.
struct Tls {
    inner: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, from)) = self.inner.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            // Whoever does not shake hands is no API server.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key)?)))
}
