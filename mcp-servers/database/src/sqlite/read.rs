//! Statements run and their values written as JSON.

use mcp_kit::{Call, ToolError};
use rusqlite::{Connection, Error, ErrorCode, Row, types::ValueRef};
use serde_json::Value;

use crate::{
    answer::{Column, Filling, Page, float, integer},
    store::{Plan, Statement},
};

/// A page of what the statement reads.
pub(crate) fn page(
    connection: &Connection,
    call: &Call,
    statement: &Statement,
    seen: u64,
    limit: Option<u32>,
) -> Result<Page, ToolError> {
    let mut prepared = prepare(connection, statement)?;
    if !prepared.readonly() || prepared.is_explain() != 0 {
        return Err(ToolError::new("query takes one SELECT; see execute for changes and explain_query for plans"));
    }
    let declared = prepared.columns().map(|column| {
        let kind = column.decl_type().map(str::to_ascii_lowercase).unwrap_or_default();
        Column { name: column.name().to_owned(), kind }
    });
    let declared: Vec<Column> = declared.collect();
    let count = declared.len();
    let mut filling = Filling::new(declared.clone(), call, limit)?;
    let mut kinds: Vec<Option<&'static str>> = vec![None; count];
    let mut rows = prepared.raw_query();
    let mut passed = 0;
    while let Some(row) = rows.next().map_err(|error| told(&error))? {
        if passed < seen {
            passed += 1;
            continue;
        }
        let values = cells(row, count, &mut filling, &mut kinds)?;
        if !filling.push(values) {
            break;
        }
    }
    let mut page = filling.finish(&statement.question(), seen);
    for (column, kind) in page.columns.iter_mut().zip(kinds) {
        // An expression has no declared type: what its first value is says more than nothing.
        if column.kind.is_empty() {
            kind.unwrap_or("null").clone_into(&mut column.kind);
        }
    }
    Ok(page)
}

/// How the engine would run it.
pub(crate) fn plan(connection: &Connection, statement: &Statement) -> Result<Plan, ToolError> {
    // Compiled alone first: what is appended to other words must be one whole statement by itself.
    prepare(connection, statement)?;
    let explained = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement.clone() };
    let mut prepared = prepare(connection, &explained)?;
    if prepared.is_explain() != 2 {
        return Err(ToolError::new("expected the statement itself, without EXPLAIN before it"));
    }
    let mut rows = prepared.raw_query();
    let mut depths: Vec<(i64, usize)> = vec![(0, 0)];
    let (mut plan, mut truncated) = (String::new(), false);
    while let Some(row) = rows.next().map_err(|error| told(&error))? {
        let read = || -> rusqlite::Result<(i64, i64, String)> { Ok((row.get(0)?, row.get(1)?, row.get(3)?)) };
        let (id, parent, detail) = read().map_err(|error| told(&error))?;
        let depth = depths.iter().find(|(known, _)| *known == parent).map_or(0, |(_, depth)| *depth);
        depths.push((id, depth + 1));
        if plan.len() + detail.len() > 24 * 1024 {
            truncated = true;
            break;
        }
        plan.push_str(&"  ".repeat(depth));
        plan.push_str(&detail);
        plan.push('\n');
    }
    Ok(Plan { plan, truncated })
}

/// Changes rows; how many. One statement is a transaction of its own: all of it happens, or nothing.
pub(crate) fn change(connection: &Connection, statement: &Statement) -> Result<u64, ToolError> {
    let mut prepared = prepare(connection, statement)?;
    if prepared.readonly() {
        return Err(ToolError::new("execute takes one INSERT, UPDATE or DELETE; query reads"));
    }
    if prepared.column_count() > 0 {
        return Err(ToolError::new("leave RETURNING out: execute answers how many rows changed, query reads them"));
    }
    let changed = prepared.raw_execute().map_err(|error| told(&error))?;
    Ok(u64::try_from(changed).unwrap_or_default())
}

fn prepare<'a>(connection: &'a Connection, statement: &Statement) -> Result<rusqlite::Statement<'a>, ToolError> {
    let mut prepared = connection.prepare(&statement.sql).map_err(|error| told(&error))?;
    let (expected, found) = (prepared.parameter_count(), statement.params.len());
    if expected != found {
        return Err(ToolError::new(format!("the statement has {expected} parameters, params has {found}")));
    }
    for (index, value) in statement.params.iter().enumerate() {
        let bound = match value {
            Value::Null => prepared.raw_bind_parameter(index + 1, rusqlite::types::Null),
            Value::Bool(truth) => prepared.raw_bind_parameter(index + 1, truth),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => prepared.raw_bind_parameter(index + 1, whole),
                (None, float) => prepared.raw_bind_parameter(index + 1, float),
            },
            Value::String(text) => prepared.raw_bind_parameter(index + 1, text),
            json @ (Value::Array(_) | Value::Object(_)) => prepared.raw_bind_parameter(index + 1, json.to_string()),
        };
        bound.map_err(|error| told(&error))?;
    }
    Ok(prepared)
}

fn cells(
    row: &Row<'_>,
    count: usize,
    filling: &mut Filling,
    kinds: &mut [Option<&'static str>],
) -> Result<Vec<Value>, ToolError> {
    let mut values = Vec::with_capacity(count);
    for (index, kind) in kinds.iter_mut().enumerate() {
        let (value, name) = match row.get_ref(index).map_err(|error| told(&error))? {
            ValueRef::Null => (Value::Null, None),
            ValueRef::Integer(whole) => (integer(whole), Some("integer")),
            ValueRef::Real(real) => (float(real), Some("real")),
            ValueRef::Text(bytes) => {
                let bytes = bytes.get(..bytes.len().min(filling.longest() + 4)).unwrap_or_default();
                (filling.text(&String::from_utf8_lossy(bytes)), Some("text"))
            }
            ValueRef::Blob(bytes) => {
                let hex = bytes.iter().take(filling.longest()).fold(String::from("X'"), |mut text, byte| {
                    let digits = b"0123456789ABCDEF";
                    for nibble in [byte >> 4, byte & 15] {
                        text.push(digits.get(usize::from(nibble)).copied().map_or('0', char::from));
                    }
                    text
                });
                (filling.text(&(hex + "'")), Some("blob"))
            }
        };
        *kind = kind.or(name);
        values.push(value);
    }
    Ok(values)
}

/// The engine's error in words that help.
pub(crate) fn told(error: &Error) -> ToolError {
    let message = match error {
        Error::MultipleStatement => "one statement at a time: leave out what follows the first semicolon".to_owned(),
        Error::SqlInputError { msg, .. } if msg.contains("not authorized") || msg.contains("prohibited") => {
            format!("{msg}: this server reads tables and calls functions that compute, and does nothing else")
        }
        Error::SqlInputError { msg, offset, .. } => format!("{msg} (at byte {offset} of the statement)"),
        Error::SqliteFailure(failure, words) => {
            let words = words.as_deref().unwrap_or_default();
            match failure.code {
                ErrorCode::OperationInterrupted => {
                    "the statement took too long and was stopped: narrow it, or ask for less".to_owned()
                }
                ErrorCode::OutOfMemory => "the statement needs more memory than it may have: narrow it".to_owned(),
                ErrorCode::TooBig => {
                    "a value is larger than the 4 MiB one may have: take a part of it with substr".to_owned()
                }
                ErrorCode::AuthorizationForStatementDenied => {
                    format!("{words}: this server reads tables and calls functions that compute, and does nothing else")
                }
                ErrorCode::ReadOnly => "the database is open for reading only".to_owned(),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    "somebody else holds a lock on the database; try again in a moment".to_owned()
                }
                ErrorCode::CannotOpen => "the database cannot be opened".to_owned(),
                ErrorCode::DiskFull => "the database's volume is full".to_owned(),
                _ if words.is_empty() => failure.to_string(),
                _ => words.to_owned(),
            }
        }
        other => other.to_string(),
    };
    ToolError::new(message)
}
