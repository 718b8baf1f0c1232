//! JSON Schemas of arguments and results, and arguments read by them.
//!
//! Schemas are small on purpose (every client reads all of them in every conversation): no `$ref`, no titles, no number
//! formats, optional instead of nullable. Input schemas are closed: an argument that is not declared is an error.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::reply::{Failure, ToolError};

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12());
    slim(&mut schema, Keep::Descriptions);
    schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    schema
}

/// The schema of a tool's structured result.
pub(crate) fn output<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    slim(&mut schema, Keep::Nothing);
    schema
}

/// Reads arguments, or says what was wrong, where, and what is expected instead.
pub(crate) fn parse<A: DeserializeOwned>(
    tool: &str,
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<A, ToolError> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("at `{place}`: ") };
        let message = format!("invalid arguments for {tool}: {place}{}; expected {}", error.inner(), expected(schema));
        ToolError::of(Failure::Arguments, message)
    })
}

fn generate<T: JsonSchema>(mut settings: SchemaSettings) -> Map<String, Value> {
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Descriptions,
    Nothing,
}

fn slim(schema: &mut Map<String, Value>, keep: Keep) {
    schema.remove("title");
    schema.remove("format");
    schema.remove("default");
    if keep == Keep::Nothing {
        schema.remove("description");
        schema.remove("minimum");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            spell_out(property);
            slim_value(property, keep);
        }
    }
    if let Some(items) = schema.get_mut("items") {
        spell_out(items);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(value) = schema.get_mut(inner) {
            slim_value(value, keep);
        }
    }
    for list in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(choices)) = schema.get_mut(list) {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            for choice in choices.iter_mut() {
                slim_value(choice, keep);
            }
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove(list);
                schema.extend(only);
            }
        }
    }
}

/// Any value, as an object: clients there are take no bare `true` for the schema of a field or an entry.
fn spell_out(schema: &mut Value) {
    if *schema == Value::Bool(true) {
        *schema = Value::Object(Map::new());
    }
}

fn slim_value(value: &mut Value, keep: Keep) {
    if let Value::Object(schema) = value {
        slim(schema, keep);
    }
}

fn expected(schema: &Map<String, Value>) -> String {
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|entry| entry == name))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut told: Vec<String> = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let kind = property.get("type").and_then(Value::as_str).unwrap_or("value");
            format!("{name} ({kind}, {})", if required(name) { "required" } else { "optional" })
        })
        .collect();
    // Maps of JSON have no order one could rely on.
    told.sort();
    if told.is_empty() { "no arguments".to_owned() } else { format!("an object with {}", told.join(", ")) }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    #[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        /// Where.
        path: String,
        /// How many.
        count: Option<u32>,
        order: Option<Order>,
    }

    #[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Name,
        Size,
    }

    fn parse(arguments: &Value) -> Result<Arguments, String> {
        let schema = super::input::<Arguments>();
        super::parse("look", arguments.as_object().unwrap().clone(), &schema).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_of_any_kind_is_described_by_an_object() {
        #[derive(Serialize, JsonSchema)]
        struct Anything {
            body: Value,
            rows: Vec<Vec<Value>>,
        }
        let schema = super::output::<Anything>();
        assert_eq!(schema["properties"]["body"], json!({}));
        assert_eq!(schema["properties"]["rows"]["items"]["items"], json!({}));
    }

    #[test]
    fn input_schemas_are_closed_inline_and_small() {
        let expected = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Where."},
                "count": {"type": "integer", "minimum": 0, "description": "How many."},
                "order": {"type": "string", "enum": ["name", "size"]}
            },
            "required": ["path"],
            "additionalProperties": false
        });
        assert_eq!(Value::Object(super::input::<Arguments>()), expected);
    }

    #[test]
    fn wrong_arguments_are_told_with_their_place_and_what_is_expected() {
        let error = parse(&json!({"path": "/a", "count": "many"})).unwrap_err();
        assert_eq!(
            error,
            "invalid arguments for look: at `count`: invalid type: string \"many\", expected u32; expected an object with \
             count (integer, optional), order (string, optional), path (string, required)"
        );
        assert!(parse(&json!({})).unwrap_err().contains("missing field `path`"));
        assert!(parse(&json!({"path": "/a", "other": 1})).unwrap_err().contains("unknown field `other`"));
    }
}
