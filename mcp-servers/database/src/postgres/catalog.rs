//! What the database says about itself, as far as this role may read it and the limit on schemas goes.

use tokio_postgres::{Error, Row, Transaction, types::Type};

use super::trouble::Trouble;
use crate::store::{Description, Field, Found, Index, Reference, Table, no_table};

/// Tables and views this role may read: $1 a schema or NULL, $2 the limit on schemas (all, if empty).
const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::int8 END,
    left(obj_description(c.oid, 'pg_class'), 1000)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND ($1 IS NULL OR n.nspname = $1) AND (cardinality($2) = 0 OR n.nspname = ANY ($2))
    AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
ORDER BY 2, 3 LIMIT 10000";

const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
    EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)),
    left(pg_get_expr(d.adbin, d.adrelid), 1000), left(col_description(a.attrelid, a.attnum), 1000)
FROM pg_catalog.pg_attribute AS a
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const INDEXES: &str = "
SELECT c.relname::text, i.indisunique, ARRAY(
    SELECT pg_get_indexdef(i.indexrelid, place, true) FROM generate_series(1, i.indnkeyatts) AS place)
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = $1 ORDER BY 1";

const REFERENCES: &str = "
SELECT ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (num, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY place),
    k.confrelid::regclass::text,
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (num, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY place)
FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = $1 AND k.contype = 'f' ORDER BY k.conname";

/// Names of columns of the tables with these oids that contain $2.
const SEARCH: &str = "
SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped AND position(lower($2) IN lower(a.attname)) > 0
ORDER BY a.attrelid, a.attnum LIMIT 2000";

/// Schemas whose tables this transaction has touched although neither the limit ($1) nor a view within it leads there.
/// A lock is held on everything a statement read, whatever words it used: this asks the engine, not the text.
const BEYOND: &str = "
WITH RECURSIVE reach (oid) AS (
    SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1)
    UNION
    SELECT d.refobjid FROM reach JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = reach.oid
        JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
SELECT DISTINCT n.nspname::text FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_class AS c ON c.oid = l.relation JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND n.nspname !~ '^pg_'
    AND coalesce(i.indrelid, c.oid) NOT IN (SELECT oid FROM reach)
ORDER BY 1";

type Told<T> = Result<T, Trouble>;

pub(crate) async fn tables(within: &Transaction<'_>, schema: Option<&str>, limit: &[String]) -> Told<Vec<Table>> {
    Ok(listed(within, schema, limit).await?.into_iter().map(|(_, table)| table).collect())
}

async fn listed(within: &Transaction<'_>, schema: Option<&str>, limit: &[String]) -> Told<Vec<(u32, Table)>> {
    let rows = within.query_typed(TABLES, &[(&schema, Type::TEXT), (&limit, Type::TEXT_ARRAY)]).await.map_err(told)?;
    let table = |row: Row| {
        Ok((
            row.try_get(0)?,
            Table {
                schema: row.try_get(1)?,
                name: row.try_get(2)?,
                kind: row.try_get(3)?,
                estimated_rows: row.try_get(4)?,
                comment: row.try_get(5)?,
            },
        ))
    };
    rows.into_iter().map(table).collect::<Result<_, Error>>().map_err(told)
}

pub(crate) async fn describe(
    within: &Transaction<'_>,
    schema: Option<&str>,
    name: &str,
    limit: &[String],
) -> Told<Description> {
    let all = listed(within, schema, limit).await?;
    let named = |table: &Table| table.name == name || format!("{}.{}", table.schema, table.name) == name;
    let mut fitting = all.into_iter().filter(|(_, table)| named(table));
    let (oid, table) = match (fitting.next(), fitting.next()) {
        (Some(found), None) => found,
        (None, _) => return Err(Trouble::Statement(no_table(name))),
        (Some((_, one)), Some((_, other))) => {
            let message =
                format!("{name:?} is in the schemas {} and {}: name the schema too", one.schema, other.schema);
            return Err(Trouble::Statement(mcp_kit::ToolError::new(message)));
        }
    };
    let about = [(&oid as &(dyn tokio_postgres::types::ToSql + Sync), Type::OID)];
    let columns = within.query_typed(COLUMNS, &about).await.map_err(told)?;
    let indexes = within.query_typed(INDEXES, &about).await.map_err(told)?;
    let references = within.query_typed(REFERENCES, &about).await.map_err(told)?;
    let read = || {
        Ok(Description {
            table,
            columns: columns.iter().map(field).collect::<Result<_, Error>>()?,
            indexes: indexes
                .iter()
                .map(|row| Ok(Index { name: row.try_get(0)?, unique: row.try_get(1)?, columns: row.try_get(2)? }))
                .collect::<Result<_, Error>>()?,
            foreign_keys: references
                .iter()
                .map(|row| {
                    Ok(Reference { columns: row.try_get(0)?, table: row.try_get(1)?, references: row.try_get(2)? })
                })
                .collect::<Result<_, Error>>()?,
        })
    };
    read().map_err(told)
}

pub(crate) async fn search(within: &Transaction<'_>, text: &str, limit: &[String]) -> Told<Vec<Found>> {
    let tables = listed(within, None, limit).await?;
    let wanted = text.to_lowercase();
    let oids: Vec<u32> = tables.iter().map(|(oid, _)| *oid).collect();
    let rows = within.query_typed(SEARCH, &[(&oids, Type::OID_ARRAY), (&text, Type::TEXT)]).await.map_err(told)?;
    let mut columns = Vec::new();
    for row in &rows {
        let read = || Ok((row.try_get::<_, u32>(0)?, row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?));
        columns.push(read().map_err(told)?);
    }
    let mut found = Vec::new();
    for (oid, table) in tables {
        let Table { schema, name, kind, .. } = table;
        if name.to_lowercase().contains(&wanted) {
            found.push(Found { schema: schema.clone(), table: name.clone(), column: None, kind });
        }
        for (_, column, kind) in columns.iter().filter(|(of, _, _)| *of == oid) {
            let (schema, table, column, kind) = (schema.clone(), name.clone(), Some(column.clone()), kind.clone());
            found.push(Found { schema, table, column, kind });
        }
    }
    Ok(found)
}

/// The schemas beyond the limit that this transaction has read.
pub(crate) async fn beyond(within: &Transaction<'_>, limit: &[String]) -> Told<Vec<String>> {
    let rows = within.query_typed(BEYOND, &[(&limit, Type::TEXT_ARRAY)]).await.map_err(told)?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>().map_err(told)
}

fn field(row: &Row) -> Result<Field, Error> {
    Ok(Field {
        name: row.try_get(0)?,
        kind: row.try_get(1)?,
        nullable: row.try_get(2)?,
        primary_key: row.try_get(3)?,
        default: row.try_get(4)?,
        comment: row.try_get(5)?,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn told(error: Error) -> Trouble {
    Trouble::of(&error, false)
}
