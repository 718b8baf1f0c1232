//! Kubeconfig files with everything embedded, so that one file can be copied and used anywhere.
//!
//! In: an address and PEM texts. Out: YAML. Pure.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::pki::Pki;

/// Renders a kubeconfig for one of the clients of `pki`.
pub(super) fn render(name: &str, server: &str, pki: &Pki, client: &str) -> Result<String> {
    let data = |file: &str| pki.pem(file).map(|pem| STANDARD.encode(pem));
    Ok(serde_yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": data("ca.crt")?}}],
        "users": [{"name": client, "user": {
            "client-certificate-data": data(&format!("{client}.crt"))?,
            "client-key-data": data(&format!("{client}.key"))?,
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": client}}],
        "current-context": name,
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_made_of_it() {
        let home = tempfile::tempdir().unwrap();
        let pki = Pki::create(home.path(), &["localhost".into()], "node", &[]).unwrap();
        let text = render("dev", "https://127.0.0.1:1", &pki, "admin").unwrap();
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("dev"));
    }
}
