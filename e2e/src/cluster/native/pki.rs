//! The certificates and keys of one native cluster.
//!
//! In: a directory and the names and addresses of the API server and the node. Out: PEM files, keys with mode 0600.
//! Every component has an identity of its own, so that the audit log tells them apart.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Who gets a client certificate: file name, user, group.
const CLIENTS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "system:masters"),
    ("apiserver-kubelet", "apiserver-kubelet", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("fake-kubelet", "fake-kubelet", "system:masters"),
];

/// A directory of certificates.
#[derive(Clone, Debug)]
pub(super) struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// Makes everything anew. `server_names` are the DNS names and addresses of the API server.
    pub(super) fn create(directory: &Path, server_names: &[String], node: &str, node_names: &[String]) -> Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let pki = Self { directory: directory.to_owned() };
        let authority = pki.authority("ca", "kubernetes-ca")?;
        let front_proxy = pki.authority("front-proxy-ca", "front-proxy-ca")?;
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        pki.leaf("apiserver", "kube-apiserver", "", server_names, server.clone(), &authority)?;
        pki.leaf("kubelet-server", node, "", node_names, server, &authority)?;
        for (file, user, group) in CLIENTS {
            pki.leaf(file, user, group, &[], client.clone(), &authority)?;
        }
        pki.leaf("kubelet", &format!("system:node:{node}"), "system:nodes", &[], client.clone(), &authority)?;
        pki.leaf("front-proxy", "front-proxy-client", "", &[], client, &front_proxy)?;
        let tokens = KeyPair::generate()?;
        pki.write("sa.key", &tokens.serialize_pem(), 0o600)?;
        pki.write("sa.pub", &tokens.public_key_pem(), 0o644)?;
        Ok(pki)
    }

    /// The path of a file, such as `ca.crt`.
    pub(super) fn path(&self, file: &str) -> String {
        self.directory.join(file).to_string_lossy().into_owned()
    }

    /// The text of a file.
    pub(super) fn pem(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    fn authority(&self, file: &str, name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, "");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        self.write(&format!("{file}.key"), &key.serialize_pem(), 0o600)?;
        let authority = CertifiedIssuer::self_signed(params, key)?;
        self.write(&format!("{file}.crt"), &authority.pem(), 0o644)?;
        Ok(authority)
    }

    fn leaf(
        &self,
        file: &str,
        user: &str,
        group: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        authority: &CertifiedIssuer<'static, KeyPair>,
    ) -> Result<()> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = subject(user, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, authority)?;
        self.write(&format!("{file}.crt"), &certificate.pem(), 0o644)?;
        self.write(&format!("{file}.key"), &key.serialize_pem(), 0o600)
    }

    fn write(&self, file: &str, text: &str, mode: u32) -> Result<()> {
        super::write_private(&self.directory.join(file), text, mode)
    }
}

fn subject(user: &str, group: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !group.is_empty() {
        name.push(DnType::OrganizationName, group);
    }
    name.push(DnType::CommonName, user);
    name
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_for_the_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        Pki::create(home.path(), &["localhost".into(), "127.0.0.1".into()], "node", &["node".into()]).unwrap();
        let mut keys = 0;
        for entry in std::fs::read_dir(home.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "key") {
                keys += 1;
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            }
        }
        assert_eq!(keys, CLIENTS.len() + 7);
    }
}
