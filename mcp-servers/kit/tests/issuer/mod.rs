//! An issuer of tokens for tests: an HTTP endpoint with metadata and keys, and signers with keys made here.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What signs tokens: a private key, and what the world is told of its public half.
#[derive(Clone)]
pub struct Signer {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    pub fn ed(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.as_ref()).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": x});
        Self::new(id, Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8.as_ref()), jwk)
    }

    pub fn ec(id: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        Self::new(id, Algorithm::ES256, key, jwk)
    }

    pub fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = pair.as_der().unwrap();
        // The library wants the key itself (PKCS #1), which is at the end of its PKCS #8 form.
        let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
        Self::new(id, Algorithm::RS256, key, jwk)
    }

    fn new(id: &str, algorithm: Algorithm, key: EncodingKey, mut jwk: Value) -> Self {
        jwk["kid"] = id.into();
        Self { id: id.to_owned(), algorithm, key, jwk }
    }

    fn header(&self) -> Header {
        Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) }
    }

    pub fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }

    /// The same key under another id.
    pub fn renamed(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    /// A token with an extension nobody may ignore.
    pub fn critical(&self, claims: &Value) -> String {
        let header = Header { crit: Some(vec!["exp".to_owned()]), ..self.header() };
        encode(&header, claims, &self.key).unwrap()
    }

    /// A token that says it was signed by HMAC with the public key as secret.
    pub fn confused(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::HS256) };
        let public = self.jwk["n"].as_str().unwrap();
        encode(&header, claims, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    }

    /// A token whose header names another algorithm than it was signed with.
    pub fn under(&self, algorithm: Algorithm, claims: &Value) -> String {
        let header = serde_json::to_vec(&Header { alg: algorithm, ..self.header() }).unwrap();
        let signed = self.sign(claims);
        let (_, rest) = signed.split_once('.').unwrap();
        format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header))
    }

    /// The public key of an Ed25519 signer, as base64.
    pub fn public(&self) -> String {
        self.jwk["x"].as_str().unwrap().to_owned()
    }
}

/// A token without signature that says so.
pub fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(claims))
}

struct State {
    issuer: String,
    signers: Vec<Signer>,
    counts: HashMap<String, usize>,
    failing: bool,
}

/// An issuer that serves its metadata and keys on this machine.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    pub fn new(signers: Vec<Signer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let state = Arc::new(Mutex::new(State { issuer, signers, counts: HashMap::new(), failing: false }));
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, address, &served);
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn signer(&self, id: &str) -> Signer {
        self.state.lock().unwrap().signers.iter().find(|signer| signer.id == id).unwrap().clone()
    }

    pub fn sign(&self, id: &str, claims: Value) -> String {
        self.signer(id).sign(&claims)
    }

    /// Puts other keys in the place of those it had.
    pub fn rotate(&self, signers: Vec<Signer>) {
        self.state.lock().unwrap().signers = signers;
    }

    /// From now on its metadata names another issuer.
    pub fn pretend(&self, issuer: &str) {
        issuer.clone_into(&mut self.state.lock().unwrap().issuer);
    }

    /// Whether it fails from now on.
    pub fn fail(&self, failing: bool) {
        self.state.lock().unwrap().failing = failing;
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.state.lock().unwrap().counts.get(path).copied().unwrap_or_default()
    }
}

fn answer(mut stream: TcpStream, address: SocketAddr, state: &Mutex<State>) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
    for _ in lines.by_ref().take_while(|line| !line.is_empty()) {}
    let mut state = state.lock().unwrap();
    *state.counts.entry(path.clone()).or_default() += 1;
    let (status, body) = match path.as_str() {
        _ if state.failing => ("500 Internal Server Error", json!({})),
        "/.well-known/openid-configuration" => {
            ("200 OK", json!({"issuer": state.issuer, "jwks_uri": format!("http://{address}/jwks")}))
        }
        "/jwks" => ("200 OK", json!({"keys": state.signers.iter().map(|signer| &signer.jwk).collect::<Vec<_>>()})),
        _ => ("404 Not Found", json!({})),
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let _ = stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}
