//! What this server tells of itself as a protected resource (RFC 9728): its name, and whose tokens it takes.

use axum::body::Bytes;
use reqwest::Url;
use serde_json::json;

/// Where the standard puts it.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata of this server.
#[derive(Debug)]
pub(crate) struct Protected {
    path: String,
    metadata: String,
    document: Bytes,
}

impl Protected {
    /// Of the resource at this address, with the tokens it takes, and the scopes its tools may need.
    pub(crate) fn new(resource: &str, url: &Url, issuer: Option<&str>, scopes: &[String], title: &str) -> Self {
        let path = url.path().trim_end_matches('/').to_owned();
        let mut place = url.clone();
        place.set_path(&format!("{WELL_KNOWN}{path}"));
        place.set_query(None);
        let mut document = json!({
            "resource": resource,
            "resource_name": title,
            "bearer_methods_supported": ["header"],
            "scopes_supported": scopes,
        });
        if let (Some(issuer), Some(members)) = (issuer, document.as_object_mut()) {
            members.insert("authorization_servers".into(), json!([issuer]));
        }
        Self { path, metadata: place.into(), document: document.to_string().into() }
    }

    /// The address of the metadata.
    pub(crate) fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The metadata as it is asked for: bare, with the path of the resource, or with the path this server has itself.
    pub(crate) fn document(&self, suffix: &str) -> Option<Bytes> {
        let suffix = suffix.trim_end_matches('/');
        (suffix.is_empty() || suffix == self.path || suffix == "/mcp").then(|| self.document.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_between_host_and_path() {
        for (resource, metadata, suffixes) in [
            ("https://mcp.example.com", "https://mcp.example.com/.well-known/oauth-protected-resource", ["", "/mcp"]),
            (
                "https://example.com/team/mcp",
                "https://example.com/.well-known/oauth-protected-resource/team/mcp",
                ["", "/team/mcp"],
            ),
        ] {
            let protected = Protected::new(resource, &resource.parse().unwrap(), None, &[], "Demo");
            assert_eq!(protected.metadata(), metadata);
            for suffix in suffixes {
                let told = protected.document(suffix).unwrap();
                let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
                assert_eq!(told["resource"], resource);
            }
            assert!(protected.document("/other").is_none());
        }
    }
}
