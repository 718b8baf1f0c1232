//! One SELECT run, and its values as JSON.
//!
//! In: a statement that was checked, a transaction that only reads. Out: a page. The statement becomes a subquery whose
//! columns the database writes as text, cut where they are too long: so every type there is, or will be, has a value,
//! written by who knows it best, and no row can fill this process's memory.

use std::fmt::Write as _;

use mcp_kit::{Call, ToolError};
use serde_json::Value;
use tokio_postgres::{
    Row, Statement as Prepared, Transaction,
    types::{Kind, ToSql, Type},
};

use super::{gate, params::Param, trouble::Trouble};
use crate::{
    answer::{Column, Filling, Page, float, integer},
    store::{Plan, Statement},
};

/// Cells that come from the database at once.
const CELLS: usize = 512;
/// Lines of a plan, and bytes.
const PLAN: usize = 24 * 1024;

/// How a column becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Bool,
    Integer,
    Float,
    Json,
    Text,
}

/// Compiles the statement alone, as it was written: errors point into it, and it is one whole statement.
pub(crate) async fn prepare(transaction: &Transaction<'_>, statement: &Statement) -> Result<Prepared, Trouble> {
    let prepared = transaction.prepare(&statement.sql).await.map_err(|error| Trouble::of(&error, true))?;
    let (expected, found) = (prepared.params().len(), statement.params.len());
    if expected == found {
        return Ok(prepared);
    }
    let message = format!("the statement has {expected} parameters, params has {found}");
    Err(Trouble::Statement(ToolError::new(message)))
}

/// A page of what the statement reads.
pub(crate) async fn page(
    transaction: &Transaction<'_>,
    call: &Call,
    statement: &Statement,
    seen: u64,
    limit: Option<u32>,
) -> Result<Page, Trouble> {
    let prepared = prepare(transaction, statement).await?;
    let columns = prepared
        .columns()
        .iter()
        .map(|column| Column { name: column.name().to_owned(), kind: column.type_().name().to_owned() });
    let mut filling = Filling::new(columns.collect(), call, limit).map_err(Trouble::Statement)?;
    let wrapped = wrap(statement, &prepared, filling.longest(), seen, filling.wanted());
    let told = |error: tokio_postgres::Error| Trouble::of(&error, false);
    let question = transaction.prepare_typed(&wrapped, prepared.params()).await.map_err(told)?;
    let portal = transaction.bind_raw(&question, params(statement)).await.map_err(told)?;
    let shapes: Vec<Shape> = prepared.columns().iter().map(|column| shape(column.type_())).collect();
    let at_once = i32::try_from(CELLS / shapes.len().max(1)).unwrap_or(1).max(1);
    'pages: loop {
        let rows = transaction.query_portal(&portal, at_once).await.map_err(told)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let cells = cells(row, &shapes, &mut filling).map_err(told)?;
            if !filling.push(cells) {
                break 'pages;
            }
        }
    }
    Ok(filling.finish(&statement.question(), seen))
}

/// How the database would run it.
pub(crate) async fn plan(transaction: &Transaction<'_>, statement: &Statement) -> Result<Plan, Trouble> {
    let prepared = prepare(transaction, statement).await?;
    let told = |error: tokio_postgres::Error| Trouble::of(&error, false);
    let explain = format!("EXPLAIN (FORMAT TEXT) {}", statement.sql);
    let question = transaction.prepare_typed(&explain, prepared.params()).await.map_err(told)?;
    let portal = transaction.bind_raw(&question, params(statement)).await.map_err(told)?;
    let (mut plan, mut truncated) = (String::new(), false);
    for row in transaction.query_portal(&portal, 1000).await.map_err(told)? {
        let line: String = row.try_get(0).map_err(told)?;
        truncated = plan.len() + line.len() > PLAN;
        if truncated {
            break;
        }
        plan.push_str(&line);
        plan.push('\n');
    }
    Ok(Plan { plan, truncated })
}

/// Changes rows; how many.
pub(crate) async fn change(transaction: &Transaction<'_>, statement: &Statement) -> Result<u64, Trouble> {
    let prepared = prepare(transaction, statement).await?;
    if !prepared.columns().is_empty() {
        let message = "leave RETURNING out: execute answers how many rows changed, query reads them";
        return Err(Trouble::Statement(ToolError::new(message)));
    }
    let changed = transaction.execute_raw(&prepared, params(statement)).await;
    changed.map_err(|error| Trouble::of(&error, false))
}

fn params(statement: &Statement) -> Vec<Box<dyn ToSql + Sync + Send>> {
    statement.params.iter().map(|value| Box::new(Param(value.clone())) as Box<dyn ToSql + Sync + Send>).collect()
}

/// The statement as a subquery with columns of text.
fn wrap(statement: &Statement, prepared: &Prepared, longest: usize, seen: u64, wanted: usize) -> String {
    let (mut selected, mut names) = (String::new(), String::new());
    for (index, column) in prepared.columns().iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let text = expression(&format!("c{index}"), column.type_());
        let _ = write!(selected, "{comma}pg_catalog.left({text}, {})", longest + 1);
        let _ = write!(names, "{comma}c{index}");
    }
    // A line break, since the statement may end with a comment.
    let sql = gate::without_end(&statement.sql);
    format!("SELECT {selected} FROM (\n{sql}\n) AS q ({names}) OFFSET {seen} LIMIT {wanted}")
}

/// A column as text: ISO 8601 for times, JSON for lists.
fn expression(column: &str, kind: &Type) -> String {
    match *kind {
        Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => format!("(pg_catalog.to_json({column}) #>> '{{}}')"),
        _ => match kind.kind() {
            Kind::Array(element) if plain(element) => format!("pg_catalog.to_json({column})::pg_catalog.text"),
            Kind::Array(_) => format!("pg_catalog.to_json({column}::pg_catalog.text[])::pg_catalog.text"),
            _ => format!("{column}::pg_catalog.text"),
        },
    }
}

/// Types of elements whose JSON says all.
fn plain(kind: &Type) -> bool {
    let known = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::TEXT,
        Type::VARCHAR,
        Type::DATE,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::JSON,
        Type::JSONB,
    ];
    known.contains(kind)
}

fn shape(kind: &Type) -> Shape {
    match *kind {
        Type::BOOL => Shape::Bool,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Shape::Integer,
        Type::FLOAT4 | Type::FLOAT8 => Shape::Float,
        Type::JSON | Type::JSONB => Shape::Json,
        _ => match kind.kind() {
            Kind::Array(_) => Shape::Json,
            Kind::Domain(inner) => match shape(inner) {
                // An array is written as JSON by its type's name, which a domain hides.
                Shape::Json if matches!(inner.kind(), Kind::Array(_)) => Shape::Text,
                known => known,
            },
            _ => Shape::Text,
        },
    }
}

fn cells(row: &Row, shapes: &[Shape], filling: &mut Filling) -> Result<Vec<Value>, tokio_postgres::Error> {
    let cell = |(index, shape): (usize, &Shape)| {
        let Some(text) = row.try_get::<_, Option<&str>>(index)? else { return Ok(Value::Null) };
        Ok(match shape {
            Shape::Bool => Value::Bool(text == "true"),
            Shape::Integer => text.parse().map_or_else(|_| filling.text(text), integer),
            Shape::Float => text.parse::<f64>().map_or_else(|_| filling.text(text), float),
            // What was cut is no JSON any more, and stays text.
            Shape::Json => match serde_json::from_str(text) {
                Ok(value) => filling.json(value),
                Err(_) => filling.text(text),
            },
            Shape::Text => filling.text(text),
        })
    };
    shapes.iter().enumerate().map(cell).collect()
}
