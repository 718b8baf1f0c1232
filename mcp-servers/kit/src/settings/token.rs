//! The settings of tokens: whose, for whom, with which scopes, and what clients are told about that.

use clap::Arg;
use reqwest::Url;

use super::{flag, repeated, sources::Sources};
use crate::access::{Probe, Protected, Tokens, is_safe};

/// The flags of these settings.
pub(crate) fn flags() -> [Arg; 6] {
    [
        flag(
            "jwt-issuer",
            "URL",
            "Every request over HTTP needs a token (JWT) of this issuer, or an API key where there are some; its keys are \
             found by its metadata [default: no tokens are taken]",
        ),
        flag("jwt-audience", "TEXT", "What tokens must be for [default: --resource-url]"),
        flag("jwt-jwks-uri", "URL", "Where the issuer's keys are [default: where its metadata says]"),
        repeated("jwt-scopes", "SCOPE,...", "Scopes every token must have, besides the one of each tool"),
        flag(
            "resource-url",
            "URL",
            "The address clients know this server by; told at /.well-known/oauth-protected-resource (RFC 9728)",
        ),
        flag(
            "probe-key",
            "FILE|BASE64",
            "Public Ed25519 key of the operator's probe, whose tokens may list and never call [default: no probe]",
        ),
    ]
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) tokens: Option<Tokens>,
    pub(super) probe: Option<Probe>,
    pub(super) protected: Option<Protected>,
}

/// Reads them; `None` exactly when there were problems.
pub(super) fn read(sources: &mut Sources, tool_scopes: &[String], title: &str) -> Option<Read> {
    let resource = url(sources, "resource-url", is_web);
    let issuer = url(sources, "jwt-issuer", is_safe);
    let uri = url(sources, "jwt-jwks-uri", is_safe);
    let audience = sources.one("jwt-audience");
    let scopes = scopes(sources);
    let probe = probe(sources);
    let (resource, issuer, uri, probe, scopes) = (resource.ok()?, issuer.ok()?, uri.ok()?, probe.ok()?, scopes?);
    let given = [
        ("--jwt-audience", audience.is_some()),
        ("--jwt-jwks-uri", uri.is_some()),
        ("--jwt-scopes", !scopes.is_empty()),
    ];
    if issuer.is_none()
        && let Some((at, _)) = given.into_iter().find(|(_, given)| *given)
    {
        sources.problems.add(at, "a --jwt-issuer that it belongs to", "none", "give --jwt-issuer too, or leave it out");
        return None;
    }
    let mut supported = tool_scopes.to_vec();
    supported.extend(scopes.iter().filter(|scope| !tool_scopes.contains(scope)).cloned());
    let told = issuer.as_ref().map(|(text, _)| text.as_str());
    let protected = resource.as_ref().map(|(text, url)| Protected::new(text, url, told, &supported, title));
    let tokens = match issuer {
        None => None,
        Some((issuer, _)) => {
            let audience = audience.map(|given| given.text).or_else(|| resource.map(|(text, _)| text));
            let Some(audience) = audience else {
                let mend =
                    "say what the tokens are for; without that, a token for any other service would open this one";
                sources.problems.add("--jwt-issuer", "a --jwt-audience or --resource-url beside it", "neither", mend);
                return None;
            };
            match Tokens::new(issuer, audience, uri.map(|(_, url)| url), scopes) {
                Ok(tokens) => Some(tokens),
                Err(error) => {
                    sources.problems.add(
                        "--jwt-issuer",
                        "a client for its keys",
                        error,
                        "see why TLS cannot start here",
                    );
                    return None;
                }
            }
        }
    };
    Some(Read { tokens, probe, protected })
}

/// Our own address may be without TLS: inside a cluster it often is.
fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// An address that is good for its purpose; `Err` when it was wrong, which is told already.
fn url(sources: &mut Sources, name: &'static str, is_good: fn(&Url) -> bool) -> Result<Option<(String, Url)>, ()> {
    let Some(given) = sources.one(name) else { return Ok(None) };
    let parsed = given.text.parse::<Url>().ok().filter(|url| is_good(url) && url.fragment().is_none());
    let Some(url) = parsed else {
        let expected = "an address such as https://id.example.com, or http on this machine alone";
        sources.problems.add(given.at, expected, format!("{:?}", given.text), "use https, and no fragment");
        return Err(());
    };
    Ok(Some((given.text, url)))
}

/// The scopes every token must have. They are quoted in challenges, so they are what RFC 6749, section 3.3, says.
fn scopes(sources: &mut Sources) -> Option<Vec<String>> {
    let given = sources.many("jwt-scopes");
    let good = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if let Some(wrong) = given.iter().find(|given| !good(&given.text)) {
        let expected = "scopes of printable ASCII without blanks, quotes and backslashes";
        sources.problems.add(&wrong.at, expected, format!("{:?}", wrong.text), "write them as the issuer does");
        return None;
    }
    Some(given.into_iter().map(|given| given.text).collect())
}

fn probe(sources: &mut Sources) -> Result<Option<Probe>, ()> {
    let Some(given) = sources.one("probe-key") else { return Ok(None) };
    // What is no file is the key itself: it is public.
    let text = std::fs::read_to_string(&given.text).unwrap_or(given.text);
    let probe = Probe::new(&text);
    if probe.is_none() {
        let expected = "a file with, or directly, the 32 bytes of an Ed25519 public key in base64, or its PEM";
        sources.problems.add(given.at, expected, "neither", "take the key from the operator's ConfigMap again");
    }
    probe.map(Some).ok_or(())
}
