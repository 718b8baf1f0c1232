//! What is said when a tool asks for consent: to the person by a form, to a model by an answer, to all in the lists.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::LIFETIME;
use crate::tool::Tool;

/// The argument by which clients without forms repeat a call.
pub(crate) const TOKEN: &str = "consent_token";
/// How much of the arguments a person is shown, in characters.
const SHOWN: usize = 2000;

/// The field of the form, and under which name its answer comes back.
const FORM: &str = "consent";
const FIELD: &str = "agree";

/// The form of the protocol: one question, yes or no.
pub(crate) fn form(tool: &Tool, arguments: &Map<String, Value>) -> Value {
    let told = format!("{} may destroy something. It would run with {}. Shall it?", tool.title, shown(arguments));
    let schema = json!({
        "type": "object",
        "properties": {FIELD: {"type": "boolean", "title": "Yes, do it", "default": false}},
        "required": [FIELD],
    });
    json!({FORM: {"method": "elicitation/create", "params": {"message": told, "requestedSchema": schema}}})
}

/// Whether the person agreed; `None` when there is no answer to the form.
pub(crate) fn agreed(answers: &std::collections::BTreeMap<String, Value>) -> Option<bool> {
    let answer = answers.get(FORM)?;
    let accepted = answer.get("action").and_then(Value::as_str) == Some("accept");
    Some(accepted && answer.pointer(&format!("/content/{FIELD}")) == Some(&Value::Bool(true)))
}

/// The answer that asks for a token to be sent back: for the model in words, for programs as JSON.
pub(crate) fn asking(tool: &Tool, arguments: &Map<String, Value>, token: &str) -> (String, Value) {
    let minutes = LIFETIME / 60;
    let text = format!(
        "Nothing was done yet: {} may destroy something, so a person must agree first. Show them that it would run with {}. \
         If they agree, call {} again with the same arguments and {TOKEN} {token:?} within {minutes} minutes. If they do \
         not, do not call it.",
        tool.title,
        shown(arguments),
        tool.name
    );
    let structured = json!({"consent_needed": {"tool": tool.name, TOKEN: token, "expires_in_seconds": LIFETIME}});
    (text, structured)
}

/// A tool as it is listed where it asks: it takes a token, and may answer with one.
pub(crate) fn listed(mut tool: Tool) -> Tool {
    let mut input = (*tool.input_schema).clone();
    if let Some(Value::Object(properties)) = input.get_mut("properties") {
        let told = "From the answer that asked for consent, once a person agreed";
        properties.insert(TOKEN.to_owned(), json!({"type": "string", "description": told}));
    }
    let needed = json!({
        "type": "object",
        "properties": {"consent_needed": {
            "type": "object",
            "properties": {"tool": {"type": "string"}, TOKEN: {"type": "string"}, "expires_in_seconds": {"type": "integer"}},
            "required": ["tool", TOKEN, "expires_in_seconds"],
        }},
        "required": ["consent_needed"],
    });
    let output = json!({"type": "object", "anyOf": [*tool.output_schema, needed]});
    tool.input_schema = Arc::new(input);
    tool.output_schema = Arc::new(output.as_object().cloned().unwrap_or_default());
    tool.asks = true;
    tool
}

/// Arguments for a person to read, cut where they are long.
fn shown(arguments: &Map<String, Value>) -> String {
    if arguments.is_empty() {
        return "no arguments".to_owned();
    }
    let text = Value::Object(arguments.clone()).to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… (cut; {} bytes in all)", text.get(..end).unwrap_or_default(), text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_an_accepted_form_with_a_yes_is_agreement() {
        for (answer, expected) in [
            (json!({"consent": {"action": "accept", "content": {"agree": true}}}), Some(true)),
            (json!({"consent": {"action": "accept", "content": {"agree": false}}}), Some(false)),
            (json!({"consent": {"action": "accept", "content": {"agree": "true"}}}), Some(false)),
            (json!({"consent": {"action": "accept"}}), Some(false)),
            (json!({"consent": {"action": "decline", "content": {"agree": true}}}), Some(false)),
            (json!({"consent": {"action": "cancel"}}), Some(false)),
            (json!({"consent": true}), Some(false)),
            (json!({"other": {"action": "accept", "content": {"agree": true}}}), None),
        ] {
            let answers: BTreeMap<String, Value> = serde_json::from_value(answer.clone()).unwrap();
            assert_eq!(agreed(&answers), expected, "{answer}");
        }
    }

    #[test]
    fn long_arguments_are_cut_at_a_character() {
        let arguments = serde_json::from_value(json!({"text": "ü".repeat(5000)})).unwrap();
        let told = shown(&arguments);
        assert!(told.ends_with("… (cut; 10011 bytes in all)"), "{told}");
        assert!(told.chars().count() < SHOWN + 50);
    }
}
