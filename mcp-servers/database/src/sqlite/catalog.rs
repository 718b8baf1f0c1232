//! What the database says about itself. A SQLite file has one schema, `main`.

use mcp_kit::ToolError;
use rusqlite::Connection;

use super::read::told;
use crate::store::{Description, Field, Found, Index, Reference, Table, no_table};

const TABLES: &str = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', \
                      'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

/// Only `main` is known.
pub(crate) fn known(schema: Option<&str>) -> Result<(), ToolError> {
    match schema {
        None | Some("main") => Ok(()),
        Some(other) => Err(ToolError::new(format!("there is no schema {other:?}: SQLite has one, main"))),
    }
}

pub(crate) fn tables(connection: &Connection) -> Result<Vec<Table>, ToolError> {
    let read = || -> rusqlite::Result<Vec<Table>> {
        let mut statement = connection.prepare(TABLES)?;
        let rows = statement.query_map([], |row| {
            let kind: String = row.get(1)?;
            let kind = if kind == "virtual" { "virtual table".to_owned() } else { kind };
            Ok(Table { schema: "main".into(), name: row.get(0)?, kind, estimated_rows: None, comment: None })
        })?;
        rows.collect()
    };
    read().map_err(|error| told(&error))
}

pub(crate) fn describe(connection: &Connection, name: &str) -> Result<Description, ToolError> {
    let name = name.strip_prefix("main.").unwrap_or(name);
    let table = tables(connection)?.into_iter().find(|table| table.name.eq_ignore_ascii_case(name));
    let table = table.ok_or_else(|| no_table(name))?;
    let read = || {
        Ok(Description {
            columns: columns(connection, &table.name)?,
            indexes: indexes(connection, &table.name)?,
            foreign_keys: references(connection, &table.name)?,
            table,
        })
    };
    read().map_err(|error: rusqlite::Error| told(&error))
}

pub(crate) fn search(connection: &Connection, text: &str) -> Result<Vec<Found>, ToolError> {
    let wanted = text.to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&wanted);
    let mut found = Vec::new();
    for table in tables(connection)? {
        let found_column = |column: Option<String>, kind: String| Found {
            schema: table.schema.clone(),
            table: table.name.clone(),
            column,
            kind,
        };
        if matches(&table.name) {
            found.push(found_column(None, table.kind.clone()));
        }
        let columns = columns(connection, &table.name).map_err(|error| told(&error))?;
        let columns = columns.into_iter().filter(|field| matches(&field.name));
        found.extend(columns.map(|field| found_column(Some(field.name), field.kind)));
    }
    Ok(found)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Field>> {
    let mut statement = connection
        .prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1) ORDER BY cid")?;
    let rows = statement.query_map([table], |row| {
        let primary_key = row.get::<_, i64>(4)? > 0;
        Ok(Field {
            name: row.get(0)?,
            kind: row.get::<_, String>(1)?.to_ascii_lowercase(),
            nullable: !row.get::<_, bool>(2)?,
            primary_key,
            default: row.get(3)?,
            comment: None,
        })
    })?;
    rows.collect()
}

fn indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Index>> {
    let mut statement = connection.prepare("SELECT name, \"unique\" FROM pragma_index_list(?1) ORDER BY name")?;
    let rows = statement.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    let mut indexes = Vec::new();
    for row in rows {
        let (name, unique) = row?;
        let mut statement =
            connection.prepare("SELECT coalesce(name, 'expression') FROM pragma_index_info(?1) ORDER BY seqno")?;
        let columns = statement.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        indexes.push(Index { name, unique, columns });
    }
    Ok(indexes)
}

fn references(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Reference>> {
    let mut statement = connection.prepare(
        "SELECT id, \"table\", \"from\", coalesce(\"to\", '') FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let rows = statement.query_map([table], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    let mut keys: Vec<(i64, Reference)> = Vec::new();
    for row in rows {
        let (id, table, from, to) = row?;
        match keys.last_mut().filter(|(known, _)| *known == id) {
            Some((_, key)) => {
                key.columns.push(from);
                key.references.push(to);
            }
            None => keys.push((id, Reference { columns: vec![from], table, references: vec![to] })),
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}
