//! `dynamodb_query`: items of a table or index by key. Values are plain JSON; large numbers stay exact as strings.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, engine::general_purpose::STANDARD};
use mcp_kit::{Tool, ToolError};
use serde_json::{Map, Number, Value};

use super::{listing, spread::paged};
use crate::{
    answer::{Chunk, PAGE, arguments},
    place::{Aws, Place, client},
};

/// How deep values may be nested; DynamoDB allows 32.
const DEPTH: usize = 32;

arguments!(Query {
    table: String,
    /// For example id = :id AND begins_with(sort, :p)
    key_condition: String,
    /// For example {":id": 7, ":p": "2026-"}
    values: Map<String, Value> ;
    /// For example {"#s": "status"}
    names: BTreeMap<String, String>,
    filter: String,
    index: String,
    descending: bool,
    cursor: String,
});
paged!(Query);

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    let description = "Query a table or index by key condition, with :values as plain JSON.";
    vec![listing(aws, "dynamodb_query", "Query DynamoDB", description, false, query)]
}

async fn query(
    arguments: Arc<Query>,
    place: Place,
    token: Option<String>,
) -> Result<Chunk<Map<String, Value>>, ToolError> {
    let start = token.as_deref().map(key_of).transpose()?;
    let values = arguments.values.iter().map(|(name, value)| Ok((name.clone(), to_attribute(value, 0)?)));
    let values = values.collect::<Result<_, ToolError>>()?;
    let names = arguments.names.as_ref().filter(|names| !names.is_empty());
    let dynamodb = client!(aws_sdk_dynamodb, place.reads());
    let request = dynamodb
        .query()
        .table_name(&arguments.table)
        .key_condition_expression(&arguments.key_condition)
        .set_expression_attribute_values(Some(values))
        .set_expression_attribute_names(names.map(|names| names.clone().into_iter().collect()))
        .set_filter_expression(arguments.filter.clone())
        .set_index_name(arguments.index.clone())
        .scan_index_forward(!arguments.descending.unwrap_or_default())
        .limit(PAGE)
        .set_exclusive_start_key(start);
    let answer = place.ask("dynamodb:Query", request.send()).await?;
    let items = answer.items().iter().map(|item| plain(item.iter()));
    let next = answer.last_evaluated_key().filter(|key| !key.is_empty());
    let next = next.map(|key| typed(key.iter()).to_string());
    Ok(Chunk { items: items.collect(), next })
}

fn to_attribute(value: &Value, depth: usize) -> Result<AttributeValue, ToolError> {
    if depth > DEPTH {
        return Err(ToolError::new(format!("values: expected at most {DEPTH} levels")));
    }
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => {
            AttributeValue::L(list.iter().map(|value| to_attribute(value, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => AttributeValue::M(
            map.iter()
                .map(|(name, value)| Ok((name.clone(), to_attribute(value, depth + 1)?)))
                .collect::<Result<_, ToolError>>()?,
        ),
    })
}

fn plain<'a>(item: impl Iterator<Item = (&'a String, &'a AttributeValue)>) -> Map<String, Value> {
    item.map(|(name, value)| (name.clone(), from_attribute(value))).collect()
}

fn from_attribute(value: &AttributeValue) -> Value {
    let texts = |list: &[String]| Value::Array(list.iter().cloned().map(Value::String).collect());
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(number) => exact(number),
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::L(list) => Value::Array(list.iter().map(from_attribute).collect()),
        AttributeValue::M(map) => Value::Object(plain(map.iter())),
        AttributeValue::Ss(list) => texts(list),
        AttributeValue::Ns(list) => Value::Array(list.iter().map(|number| exact(number)).collect()),
        AttributeValue::B(blob) => Value::String(STANDARD.encode(blob.as_ref())),
        AttributeValue::Bs(list) => {
            Value::Array(list.iter().map(|blob| Value::String(STANDARD.encode(blob.as_ref()))).collect())
        }
        _ => Value::Null,
    }
}

/// A number where JSON readers keep it exact, else its digits as text.
fn exact(number: &str) -> Value {
    const SAFE: i64 = 1 << 53;
    if let Ok(whole) = number.parse::<i64>() {
        return if whole.abs() <= SAFE { whole.into() } else { Value::String(number.to_owned()) };
    }
    let short = number.len() <= 15;
    let float = number.parse::<f64>().ok().filter(|_| short).and_then(Number::from_f64);
    float.map_or_else(|| Value::String(number.to_owned()), Value::Number)
}

/// A key as DynamoDB's own JSON, for the cursor: the type of every part must survive.
fn typed<'a>(key: impl Iterator<Item = (&'a String, &'a AttributeValue)>) -> Value {
    let part = |value: &AttributeValue| match value {
        AttributeValue::N(number) => serde_json::json!({"N": number}),
        AttributeValue::B(blob) => serde_json::json!({"B": STANDARD.encode(blob.as_ref())}),
        other => serde_json::json!({"S": other.as_s().cloned().unwrap_or_default()}),
    };
    Value::Object(key.map(|(name, value)| (name.clone(), part(value))).collect())
}

fn key_of(token: &str) -> Result<std::collections::HashMap<String, AttributeValue>, ToolError> {
    let wrong = || ToolError::new("cursor: expected the next_cursor of an earlier answer, unchanged");
    let parts: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(token).map_err(|_| wrong())?;
    let part = |(name, typed): (String, BTreeMap<String, String>)| {
        let (kind, text) = typed.into_iter().next().ok_or_else(wrong)?;
        let value = match kind.as_str() {
            "N" => AttributeValue::N(text),
            "S" => AttributeValue::S(text),
            "B" => AttributeValue::B(STANDARD.decode(text).map_err(|_| wrong())?.into()),
            _ => return Err(wrong()),
        };
        Ok((name, value))
    };
    parts.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_there_and_come_back() {
        let value = json!({"a": [1, "x", null, true, 2.5], "b": {"c": "é"}});
        assert_eq!(from_attribute(&to_attribute(&value, 0).unwrap()), value);
        assert_eq!(exact("9007199254740993"), json!("9007199254740993"));
        assert_eq!(exact("0.10000000000000000001"), json!("0.10000000000000000001"));
        assert_eq!(exact("12"), json!(12));
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_attribute(&deep, 0).is_err());
    }

    #[test]
    fn a_key_survives_in_the_cursor() {
        let key = [("id".to_owned(), AttributeValue::N("7".into())), ("s".to_owned(), AttributeValue::S("a".into()))];
        let text = typed(key.iter().map(|(name, value)| (name, value))).to_string();
        assert_eq!(key_of(&text).unwrap(), key.into_iter().collect());
        assert!(key_of("{\"id\":{\"M\":\"x\"}}").is_err() && key_of("[]").is_err());
    }
}
