//! Parameters as text: the database itself reads each as the type its place asks for, whatever types there are.

use std::error::Error;

use bytes::BytesMut;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// A JSON value in the place of a parameter.
#[derive(Debug)]
pub(crate) struct Param(pub(crate) Value);

impl ToSql for Param {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if self.0.is_null() {
            return Ok(IsNull::Yes);
        }
        out.extend_from_slice(text(&self.0, kind).as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn text(value: &Value, kind: &Type) -> String {
    if *kind == Type::JSON || *kind == Type::JSONB {
        return value.to_string();
    }
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if matches!(kind.kind(), Kind::Array(_)) => array(list, kind),
        other => other.to_string(),
    }
}

/// An array as PostgreSQL reads it: `{1,NULL,"a b"}`.
fn array(list: &[Value], kind: &Type) -> String {
    let element = match kind.kind() {
        Kind::Array(element) => element,
        _ => kind,
    };
    let elements = list.iter().map(|value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Array(inner) if *element != Type::JSON && *element != Type::JSONB => array(inner, kind),
        other => {
            let text = text(other, element);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    });
    format!("{{{}}}", elements.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_type_of_their_place_reads_them() {
        for (value, kind, expected) in [
            (json!(1), Type::INT4, "1"),
            (json!("12.30"), Type::NUMERIC, "12.30"),
            (json!(true), Type::BOOL, "true"),
            (json!("a"), Type::TEXT, "a"),
            (json!("a"), Type::JSONB, "\"a\""),
            (json!({"a": [1]}), Type::JSON, "{\"a\":[1]}"),
            (json!([1, null]), Type::INT4_ARRAY, "{\"1\",NULL}"),
            (json!([[1], [2]]), Type::INT4_ARRAY, "{{\"1\"},{\"2\"}}"),
            (json!(["a\"b\\", "NULL"]), Type::TEXT_ARRAY, "{\"a\\\"b\\\\\",\"NULL\"}"),
            (json!([{"a": 1}]), Type::JSONB_ARRAY, "{\"{\\\"a\\\":1}\"}"),
        ] {
            assert_eq!(text(&value, &kind), expected);
        }
    }
}
