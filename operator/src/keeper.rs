//! Keeps the probe's key: in one Secret of the operator's own namespace, so that whoever leads has the same one and a
//! restart changes nothing.
//!
//! In: that Secret, from a store that a watch fills. Out: the key. It is made when the first server needs it, by
//! whoever leads; a key that was put there by somebody else is as good. The one write here is a create: a Secret that
//! is there is never changed, and deleting it is how the key is replaced.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    runtime::reflector::Store,
};
use tokio::time::timeout;
use tracing::info;

use crate::{context::CALL_DEADLINE, error::Error, probe::token::Key, vocabulary::FIELD_MANAGER};

/// Name of the Secret.
pub const SECRET: &str = "mcp-eks-operator-probe";
/// Key in it: the private key, as PKCS#8 in DER.
pub const FILE: &str = "private.der";

/// How long a key that was just made counts while the store does not show it.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Where the key is kept.
#[expect(missing_debug_implementations, reason = "kube's client has nothing to show, and the Secret must not be shown")]
pub struct Keeper {
    secrets: Api<Secret>,
    store: Store<Secret>,
    made: Mutex<Option<(Instant, Arc<Key>)>>,
    making: tokio::sync::Mutex<()>,
}

impl Keeper {
    /// `namespace` is the operator's own.
    #[must_use]
    pub fn new(client: Client, namespace: &str, store: Store<Secret>) -> Self {
        let (made, making) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { secrets: Api::namespaced(client, namespace), store, made, making }
    }

    /// The key, if there is one.
    #[must_use]
    pub fn known(&self) -> Option<Arc<Key>> {
        self.shown().and_then(Result::ok).or_else(|| self.made())
    }

    /// The key, made if there is none.
    pub async fn key(&self) -> Result<Arc<Key>, Error> {
        let _one = self.making.lock().await;
        match self.shown().or_else(|| self.made().map(Ok)) {
            Some(key) => key,
            // Rare, and large: no other reconcile pays for its room.
            None => Box::pin(self.make()).await,
        }
    }

    /// The Secret changed: what was made is not the newest any more.
    pub fn changed(&self) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the store shows.
    fn shown(&self) -> Option<Result<Arc<Key>, Error>> {
        let secret = self.store.state().into_iter().next()?;
        let der = secret.data.iter().flatten().find(|(name, _)| *name == FILE);
        let key = der.and_then(|(_, ByteString(der))| Key::read(der)).map(Arc::new);
        Some(key.ok_or_else(|| Error::Key { secret: SECRET, file: FILE }))
    }

    fn made(&self) -> Option<Arc<Key>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().filter(|(since, _)| since.elapsed() < TRUSTED_FOR).map(|(_, key)| key.clone())
    }

    async fn make(&self) -> Result<Arc<Key>, Error> {
        let der = Key::generate().ok_or_else(|| Error::Internal("no random numbers for the probe's key".to_owned()))?;
        let key = Key::read(&der).ok_or_else(|| Error::Internal("the probe's new key cannot be read".to_owned()))?;
        let (action, object) = ("create", format!("Secret {SECRET}"));
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match timeout(CALL_DEADLINE, self.secrets.create(&params, &secret(der))).await {
            Ok(Ok(_)) => {}
            Ok(Err(source)) => return Err(Error::Api { action, object, source: Box::new(source) }),
            Err(_) => return Err(Error::Deadline { action, object, limit: CALL_DEADLINE }),
        }
        info!(secret = SECRET, public = key.public(), "made a key for the probe");
        let key = Arc::new(key);
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), key.clone()));
        Ok(key)
    }
}

fn secret(der: Vec<u8>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/part-of".to_owned(), "mcp-eks".to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(FILE.to_owned(), ByteString(der))])),
        // Replaced by deleting it, never edited.
        immutable: Some(true),
        ..Secret::default()
    }
}
