//! The grammar of image references.
//! Source: <https://github.com/distribution/reference/blob/main/reference.go> (the grammar in its head).

/// Whether a text is an image reference: `[domain/]path[:tag][@sha256:digest]`.
pub(super) fn is_reference(text: &str) -> bool {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match name.get(slash..).and_then(|last| last.find(':')) {
        Some(at) => (name.get(..slash + at).unwrap_or_default(), name.get(slash + at + 1..)),
        None => (name, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, name),
    };
    text.len() <= 512
        && domain.is_none_or(is_domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// Whether the part before the first slash names a registry, as Docker decides it.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(|c: char| c.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(component: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(plain)
        && component.ends_with(plain)
        && component.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'))
        && !component.contains("..")
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f')))
}

#[cfg(test)]
mod tests {
    use super::is_reference;

    #[test]
    fn references_of_every_form_are_taken() {
        let digest = "a".repeat(64);
        for text in [
            "nginx",
            "nginx:1.27",
            "acme/tools",
            "ghcr.io/acme/tools:1.4",
            "localhost/mcp-eks-servers:0123abcd",
            "localhost:5000/a/b:latest",
            "123456789012.dkr.ecr.us-west-2.amazonaws.com/tools:v1.2_rc-3",
            &format!("ghcr.io/acme/tools@sha256:{digest}"),
            &format!("ghcr.io/acme/tools:1@sha256:{digest}"),
        ] {
            assert!(is_reference(text), "{text}");
        }
    }

    #[test]
    fn what_no_registry_could_serve_is_not() {
        for text in [
            "",
            ":::",
            ":tag",
            "a:",
            "a b",
            "a//b",
            "/a",
            "a/",
            "ghcr.io/A/b",
            "ghcr.io/a@sha256:12",
            "a@md5:1",
            "-a",
            "a..b",
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
