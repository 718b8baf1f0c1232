//! Who may call a bundled server, how often, which tools, and whether those that change something are there.
//!
//! What is the kit's default is not written: the file of a plain server stays short.

use mcp_crds::{
    McpServerSpec,
    auth::{Auth, AuthMode, Jwt},
    kinds::Writes,
};

use super::{super::Problems, upstream};
use crate::desired::bundled::{Bundled, From};

pub(super) fn add(bundled: &mut Bundled, spec: &McpServerSpec, url: &str, problems: &mut Problems) {
    match spec.server.writes() {
        None | Some(Writes::Off) => {}
        Some(Writes::Consent) => bundled.set("writes", "consent"),
        Some(Writes::Allow) => bundled.set("writes", "allow"),
    }
    if let Some(tools) = &spec.tools {
        for (key, names) in [("allowTools", &tools.allow), ("denyTools", &tools.deny)] {
            if !names.is_empty() {
                bundled.set(key, names.clone());
            }
        }
        if let Some(key) = &tools.consent_key_ref {
            bundled.read("consentKey", "consent-key", From::Secret, key);
        }
    }
    if let Some(auth) = &spec.auth {
        callers(bundled, auth, url, problems);
    }
}

fn callers(bundled: &mut Bundled, auth: &Auth, url: &str, problems: &mut Problems) {
    match (auth.mode, &auth.api_key, &auth.jwt) {
        (AuthMode::None, None, None) => {}
        (AuthMode::ApiKey, Some(keys), None) => bundled.read("apiKeys", "api-keys", From::Secret, &keys.secret_ref),
        (AuthMode::Jwt, None, Some(tokens)) => jwt(bundled, tokens, url, problems),
        _ => {
            problems.add("spec.auth", "set apiKey with mode ApiKey, jwt with mode Jwt, and neither with mode None");
        }
    }
    if let Some(rate) = &auth.rate_limit {
        for (name, number) in [("requestsPerSecond", Some(rate.requests_per_second)), ("burst", rate.burst)] {
            if number.is_some_and(|number| number < 1) {
                problems.add(format!("spec.auth.rateLimit.{name}"), "lets nobody in: use 1 or more");
            }
        }
        bundled.set("rateLimit", rate.requests_per_second);
        bundled.set("rateBurst", rate.burst.unwrap_or_else(|| rate.requests_per_second.saturating_mul(2)));
    }
}

fn jwt(bundled: &mut Bundled, jwt: &Jwt, url: &str, problems: &mut Problems) {
    bundled.set("jwtIssuer", jwt.issuer.clone());
    bundled.set("jwtAudience", jwt.audience.clone());
    // Where its metadata says is where the issuer is, as far as anybody knows beforehand.
    match &jwt.jwks_uri {
        None => upstream::call_url(bundled, "spec.auth.jwt.issuer", &jwt.issuer, problems),
        Some(uri) => {
            bundled.set("jwtJwksUri", uri.clone());
            upstream::call_url(bundled, "spec.auth.jwt.jwksUri", uri, problems);
        }
    }
    if !jwt.scopes.is_empty() {
        bundled.set("jwtScopes", jwt.scopes.clone());
    }
    bundled.set("resourceUrl", url);
}
