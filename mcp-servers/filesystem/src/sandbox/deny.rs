//! Names that are never listed, found or read: where people keep secrets.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Always denied.
const ALWAYS: &[&str] = &[
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    ".git",
    ".git-credentials",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".ssh",
    ".aws",
    ".kube",
    ".netrc",
    ".pgpass",
];

/// A list of patterns, matched against single names whatever their case.
#[derive(Clone, Debug)]
pub(crate) struct Deny(GlobSet);

impl Deny {
    /// The standard list and these.
    pub(crate) fn with<'a>(more: impl Iterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in ALWAYS.iter().copied().chain(more) {
            set.add(GlobBuilder::new(pattern).case_insensitive(true).build()?);
        }
        Ok(Self(set.build()?))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Deny;

    #[test]
    fn secrets_are_denied_by_name_whatever_the_case() {
        let deny = Deny::with(["*.secret"].into_iter()).unwrap();
        for name in [".env", ".env.local", ".ENV", "server.pem", "TLS.KEY", ".git", "id_rsa", "id_rsa.pub", "a.secret"]
        {
            assert!(deny.matches(name), "{name}");
        }
        for name in ["env", "environment", "key", "keys.txt", ".gitignore", "pem", "rsa"] {
            assert!(!deny.matches(name), "{name}");
        }
    }
}
