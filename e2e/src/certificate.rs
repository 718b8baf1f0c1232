//! A certificate authority for one suite, and a certificate by it, for real components that are reached with TLS.
//!
//! In: the names and addresses of a server. Out: PEM texts. Nothing is kept: whoever asks writes them where they belong.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// What a server and its clients need.
pub struct Certificate {
    /// The authority, for clients to trust.
    pub ca: String,
    /// The server's certificate.
    pub chain: String,
    /// The server's key.
    pub key: String,
}

impl Certificate {
    /// Makes an authority of its own and a certificate for these names and addresses.
    pub fn make(names: &[String]) -> Result<Self> {
        let mut authority = CertificateParams::new(Vec::<String>::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names.to_vec())?.signed_by(&key, &authority)?;
        Ok(Self { ca: authority.pem(), chain: certificate.pem(), key: key.serialize_pem() })
    }
}
