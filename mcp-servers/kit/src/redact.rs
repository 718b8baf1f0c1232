//! What of a call's arguments may be kept in an audit record: names whole, values only where they can be no secret.
//!
//! The rule, in this order: a value under a name that speaks of a secret is `[redacted]`, whatever it is; so is a text that
//! looks like a credential; a text of more than 256 bytes keeps its first 128, its length and a fingerprint; a list keeps
//! its first 32 items, an object its first 64 names, and below the eighth level only kinds are kept. Together no more than
//! 8 KiB stay.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Texts up to this many bytes are kept.
const TEXT: usize = 256;
/// How much is kept of longer ones.
const BEGINNING: usize = 128;
const ITEMS: usize = 32;
const NAMES: usize = 64;
const DEPTH: usize = 8;
/// The most all arguments may take as JSON.
const TOTAL: usize = 8 * 1024;

/// Parts of names, without case and separators, that speak of secrets.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "signingkey",
    "encryptionkey",
    "sshkey",
    "connectionstring",
    "sessionid",
];
/// Names that do so only as a whole.
const SECRET_WHOLE: &[&str] = &["key", "pass", "pin", "otp", "auth", "jwt", "dsn", "pat", "sig", "signature"];
/// Names that contain one of the above and are none: they say where a list goes on, or how much of something.
const PLAIN: &[&str] = &["nexttoken", "continuationtoken", "pagetoken", "maxtokens", "tokens"];

/// What a call or a request was given. `sensitive` are names the tool itself calls secret, `plain` those it says are none.
pub(crate) fn arguments(arguments: &Map<String, Value>, sensitive: &[&str], plain: &[&str]) -> Value {
    let kept = arguments.iter().take(NAMES).map(|(name, value)| {
        let value = if sensitive.contains(&name.as_str()) {
            json!(REDACTED)
        } else if plain.contains(&name.as_str()) {
            inner(value, 1)
        } else {
            named(name, value, 1)
        };
        (cut(name, TEXT), value)
    });
    bounded(Value::Object(kept.collect()))
}

/// A text of at most so many bytes.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

fn bounded(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= TOTAL { value } else { json!(format!("[{} bytes of arguments, {}]", text.len(), mark(&text))) }
}

fn named(name: &str, value: &Value, depth: usize) -> Value {
    if speaks_of_secret(name) && !matches!(value, Value::Null | Value::Bool(_)) {
        return json!(REDACTED);
    }
    inner(value, depth)
}

fn inner(value: &Value, depth: usize) -> Value {
    match value {
        Value::String(text) => json!(self::text(text)),
        Value::Array(list) if depth >= DEPTH => json!(format!("[a list of {}]", list.len())),
        Value::Object(map) if depth >= DEPTH => json!(format!("[an object of {}]", map.len())),
        Value::Array(list) => {
            let mut kept: Vec<Value> = list.iter().take(ITEMS).map(|item| inner(item, depth + 1)).collect();
            if list.len() > ITEMS {
                kept.push(json!(format!("[{} more]", list.len() - ITEMS)));
            }
            Value::Array(kept)
        }
        Value::Object(map) => {
            let entries = map.iter().take(NAMES).map(|(name, value)| (cut(name, TEXT), named(name, value, depth + 1)));
            let mut kept: Map<String, Value> = entries.collect();
            if map.len() > NAMES {
                kept.insert("…".to_owned(), json!(format!("[{} more]", map.len() - NAMES)));
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn text(text: &str) -> String {
    if looks_like_credential(text) {
        return REDACTED.to_owned();
    }
    if text.len() <= TEXT {
        return text.to_owned();
    }
    format!("{} [{} bytes, {}]", cut(text, BEGINNING), text.len(), mark(text))
}

/// Tells two long texts apart without keeping either.
fn mark(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.iter().take(6).fold("sha256:".to_owned(), |mark, byte| format!("{mark}{byte:02x}"))
}

fn speaks_of_secret(name: &str) -> bool {
    let bare: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    if PLAIN.contains(&bare.as_str()) {
        return false;
    }
    SECRET_WHOLE.contains(&bare.as_str()) || SECRET.iter().any(|part| bare.contains(part))
}

/// PEM keys, JWTs, AWS access keys, bearer headers, URLs with a password: what people paste into the wrong place.
fn looks_like_credential(text: &str) -> bool {
    let has_password = || {
        let authority = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':'))
    };
    let access_key = || {
        ["AKIA", "ASIA"].iter().any(|prefix| {
            text.match_indices(prefix).any(|(at, _)| {
                let key = text.get(at..at + 20);
                key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
            })
        })
    };
    let jwt = || {
        text.split(|letter: char| letter.is_whitespace() || "\"'=,;".contains(letter))
            .any(|word| word.starts_with("eyJ") && word.matches('.').count() == 2)
    };
    let lower = text.get(..7).unwrap_or_default();
    text.contains("PRIVATE KEY-----")
        || lower.eq_ignore_ascii_case("bearer ")
        || jwt()
        || access_key()
        || has_password()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(value: &Value) -> Value {
        arguments(value.as_object().unwrap(), &["body"], &["key"])
    }

    #[test]
    fn values_under_names_of_secrets_are_not_kept() {
        for name in
            ["password", "DB_PASSWORD", "apiKey", "x-api-key", "clientSecret", "access_token", "Authorization", "pwd"]
        {
            assert_eq!(kept(&json!({name: "hunter2"})), json!({name: "[redacted]"}));
            assert_eq!(kept(&json!({"in": [{name: {"deep": "hunter2"}}]})), json!({"in": [{name: "[redacted]"}]}));
        }
        assert_eq!(kept(&json!({"nested": {"key": "hunter2"}})), json!({"nested": {"key": "[redacted]"}}));
    }

    #[test]
    fn what_a_tool_says_of_its_arguments_counts() {
        assert_eq!(kept(&json!({"body": "hunter2", "key": "a/b"})), json!({"body": "[redacted]", "key": "a/b"}));
    }

    #[test]
    fn texts_that_look_like_credentials_are_not_kept() {
        for text in [
            "-----BEGIN RSA PRIVATE KEY-----\nabc",
            "Bearer abcdef",
            "use eyJhbGciOi.eyJzdWIi.c2ln now",
            "AKIAIOSFODNN7EXAMPLE",
            "postgres://app:hunter2@db/orders",
        ] {
            assert_eq!(kept(&json!({"note": text})), json!({"note": "[redacted]"}));
        }
        for plain in ["eu-west-1", "https://example.org/a:b@c", "mail me at a@b.example", "SELECT 1", "AKIA"] {
            assert_eq!(kept(&json!({"note": plain})), json!({"note": plain}));
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let plain =
            json!({"path": "/a", "max_tokens": 100, "next_token": "abc", "keys": [1, 2], "monkey": "x", "count": 3});
        assert_eq!(kept(&plain), plain);
    }

    #[test]
    fn long_things_are_cut_and_can_be_told_apart() {
        let (one, other) = ("x".repeat(1000), "x".repeat(999) + "y");
        let told = kept(&json!({"text": one}));
        assert_ne!(told, kept(&json!({"text": other})));
        assert!(told.to_string().contains("… [1000 bytes, sha256:"), "{told}");
        assert!(told.to_string().len() < 250, "{told}");
        let list = kept(&json!({"list": vec![7; 1000]}));
        assert_eq!(list["list"][32], json!("[968 more]"));
        let wide: Map<String, Value> =
            (0..1000).map(|number| (format!("{number}{}", "x".repeat(250)), json!(vec!["y"; 30]))).collect();
        assert!(kept(&Value::Object(wide)).to_string().len() < 200);
        let deep = (0..100).fold(json!("hunter2"), |inner, _| json!([inner]));
        assert!(!kept(&json!({"deep": deep})).to_string().contains("hunter2"));
    }
}
