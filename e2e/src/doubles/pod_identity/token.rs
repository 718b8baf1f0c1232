//! The token of a pod, as EKS Auth looks at it: by the public keys of the cluster's issuer alone. Pure.
//!
//! In: a token, the keys, and who has to be its issuer. Out: whom it speaks for, or why it is refused. Nobody asks whether
//! the pod still lives: whether EKS does is documented nowhere, and what must hold has to hold without it.

use anyhow::Result;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use serde::Deserialize;

use super::AUDIENCE;

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) pod: String,
    pub(super) pod_uid: String,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was good once.
    Expired,
    /// It is not one of this cluster's pods.
    Invalid(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "kubernetes.io")]
    bound: Bound,
}

#[derive(Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    uid: String,
}

/// Says whom a token speaks for.
pub(super) fn verify(token: &str, keys: &JwkSet, issuer: &str) -> Result<Subject, Refusal> {
    let invalid = |why: &str| Refusal::Invalid(why.to_owned());
    let header = decode_header(token).map_err(|error| invalid(&format!("it is no token: {error}")))?;
    let key =
        header.kid.as_deref().and_then(|id| keys.find(id)).ok_or_else(|| invalid("its key is not the issuer's"))?;
    // By the kind of the key, never by what the token says.
    let algorithm = match &key.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return Err(invalid("its key is of a kind that no API server has")),
    };
    let key = DecodingKey::from_jwk(key).map_err(|error| invalid(&format!("its key cannot be read: {error}")))?;
    let mut wanted = Validation::new(algorithm);
    wanted.set_issuer(&[issuer]);
    wanted.set_audience(&[AUDIENCE]);
    wanted.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    wanted.validate_nbf = true;
    wanted.leeway = 0;
    let claims = decode::<Claims>(token, &key, &wanted).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => Refusal::Expired,
        _ => Refusal::Invalid(error.to_string()),
    })?;
    let Claims { sub, bound: Bound { namespace, serviceaccount, pod } } = claims.claims;
    let pod = pod.ok_or_else(|| invalid("it is bound to no pod"))?;
    if sub != format!("system:serviceaccount:{namespace}:{}", serviceaccount.name) {
        return Err(invalid("its subject is not its ServiceAccount"));
    }
    Ok(Subject { namespace, service_account: serviceaccount.name, pod: pod.name, pod_uid: pod.uid })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp, jwk::Jwk};
    use rcgen::KeyPair;
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

    struct Issuer(EncodingKey);

    impl Issuer {
        fn new() -> Self {
            Self(EncodingKey::from_ec_der(&KeyPair::generate().unwrap().serialize_der()))
        }

        fn keys(&self) -> JwkSet {
            let mut jwk = Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap();
            jwk.common.key_id = Some("one".to_owned());
            JwkSet { keys: vec![jwk] }
        }

        fn token(&self, alter: impl FnOnce(&mut Value)) -> String {
            let now = get_current_timestamp();
            let mut claims = json!({
                "iss": ISSUER, "aud": [AUDIENCE], "sub": "system:serviceaccount:team:aws",
                "exp": now + 600, "nbf": now - 1,
                "kubernetes.io": {
                    "namespace": "team",
                    "serviceaccount": {"name": "aws", "uid": "u-1"},
                    "pod": {"name": "aws-1", "uid": "u-2"},
                },
            });
            alter(&mut claims);
            let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
            encode(&header, &claims, &self.0).unwrap()
        }
    }

    #[test]
    fn a_pods_token_speaks_for_its_service_account() {
        let issuer = Issuer::new();
        let subject = verify(&issuer.token(|_| ()), &issuer.keys(), ISSUER).unwrap();
        assert_eq!((subject.namespace.as_str(), subject.service_account.as_str()), ("team", "aws"));
        assert_eq!((subject.pod.as_str(), subject.pod_uid.as_str()), ("aws-1", "u-2"));
    }

    #[test]
    fn whatever_else_it_is_it_is_refused() {
        let (issuer, other) = (Issuer::new(), Issuer::new());
        let keys = issuer.keys();
        assert!(matches!(verify(&other.token(|_| ()), &keys, ISSUER), Err(Refusal::Invalid(_))), "forged");
        assert!(matches!(verify("a.b.c", &keys, ISSUER), Err(Refusal::Invalid(_))));
        let old = issuer.token(|claims| claims["exp"] = json!(get_current_timestamp() - 1));
        assert_eq!(verify(&old, &keys, ISSUER), Err(Refusal::Expired));
        let cases: [(&str, Value); 6] = [
            ("/aud", json!(["sts.amazonaws.com"])),
            ("/iss", json!("https://elsewhere.example")),
            ("/nbf", json!(get_current_timestamp() + 60)),
            ("/sub", json!("system:serviceaccount:team:other")),
            ("/kubernetes.io/namespace", json!("other")),
            ("/kubernetes.io/pod", json!(null)),
        ];
        for (place, value) in cases {
            let token = issuer.token(|claims| *claims.pointer_mut(place).unwrap() = value);
            let refused = verify(&token, &keys, ISSUER);
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{place}: {refused:?}");
        }
    }
}
