//! One statement by its syntax tree: what kind it is, what it calls, which schemas it names.
//!
//! In: the text of a statement. Out: whether it may go to the database. This refuses early and in clear words, and keeps
//! calls out that touch other sessions rather than data. Reading without writing does not rest on it: that is the
//! database's, by transaction and role.

use std::{ops::ControlFlow, thread};

use mcp_kit::ToolError;
use sqlparser::{
    ast::{Expr, ObjectName, Query, SetExpr, Statement, TableFactor, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Location, Token, Tokenizer},
};

/// Room for the deepest tree that the longest statement can have: `1+1+1…` is a tree as deep as it is long.
const STACK: usize = 256 * 1024 * 1024;

/// Functions that act on sessions, files, other servers or the log, by the beginning of their names.
const ACTS: [&str; 34] = [
    "dblink",
    "lo_",
    "lowrite",
    "pg_advisory_",
    "pg_backup_",
    "pg_cancel_backend",
    "pg_copy_",
    "pg_create_",
    "pg_drop_",
    "pg_export_snapshot",
    "pg_file_",
    "pg_log_",
    "pg_logical_",
    "pg_ls_",
    "pg_notify",
    "pg_promote",
    "pg_read_",
    "pg_reload_conf",
    "pg_replication_",
    "pg_rotate_",
    "pg_sleep",
    "pg_start_backup",
    "pg_stat_file",
    "pg_stat_reset",
    "pg_stop_backup",
    "pg_switch_",
    "pg_terminate_backend",
    "pg_try_advisory_",
    "pg_wal_",
    "set_config",
    "setval",
    "nextval",
    "pg_stat_clear",
    "pg_prewarm",
];

/// Functions that run SQL or read tables given as text, which would pass by the limit on schemas.
const INDIRECT: [&str; 9] = [
    "query_to_xml",
    "table_to_xml",
    "schema_to_xml",
    "database_to_xml",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "query_to_",
    "xpath_table",
];

/// What a statement may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SELECT, VALUES or WITH that reads.
    Read,
    /// INSERT, UPDATE, DELETE or MERGE.
    Write,
}

/// Checks a statement; `schemas` is the limit, when there is one.
pub(crate) fn check(sql: &str, kind: Kind, schemas: &[String]) -> Result<(), ToolError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || judge(sql, kind, schemas));
        let judged = thread.ok().and_then(|thread| thread.join().ok());
        judged.unwrap_or_else(|| Err(ToolError::new("the statement is too deep to be read: write it in simpler words")))
    })
}

/// The statement without the semicolon that may end it, which would also end what it becomes a part of. A comment may follow.
pub(crate) fn without_end(sql: &str) -> &str {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().unwrap_or_default();
    let said = tokens.iter().rev().filter(|it| !matches!(it.token, Token::Whitespace(_)));
    let first = said.take_while(|it| it.token == Token::SemiColon).last();
    first.and_then(|it| sql.get(..offset(sql, it.span.start)?)).unwrap_or(sql)
}

fn offset(sql: &str, at: Location) -> Option<usize> {
    let lines = usize::try_from(at.line.checked_sub(1)?).ok()?;
    let before: usize = sql.split_inclusive('\n').take(lines).map(str::len).sum();
    let column = usize::try_from(at.column.checked_sub(1)?).ok()?;
    sql.get(before..)?.char_indices().nth(column).map(|(byte, _)| before + byte)
}

fn judge(sql: &str, kind: Kind, schemas: &[String]) -> Result<(), ToolError> {
    let parsed = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(100).try_with_sql(sql);
    let statements = parsed.and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| ToolError::new(format!("the statement cannot be read: {error}")))?;
    let [statement] = statements.as_slice() else {
        let message = format!("one statement at a time: expected one, found {}", statements.len());
        return Err(ToolError::new(message));
    };
    match (kind, statement) {
        (Kind::Read, Statement::Query(query)) if reads(query) => {}
        (Kind::Read, Statement::Query(_)) => {
            return Err(ToolError::new("a statement that changes data cannot be in a query: this tool only reads"));
        }
        (Kind::Read, _) => {
            return Err(ToolError::new("expected one SELECT (or WITH, VALUES): this tool only reads"));
        }
        (Kind::Write, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_)) => {}
        (Kind::Write, Statement::Query(query)) if !reads(query) => {}
        (Kind::Write, _) => {
            return Err(ToolError::new("expected one INSERT, UPDATE, DELETE or MERGE; query reads"));
        }
    }
    match statement.visit(&mut Names { schemas, kind }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(ToolError::new(message)),
    }
}

/// Whether no part of it is a statement that changes data.
fn reads(query: &Query) -> bool {
    let mut with = query.with.iter().flat_map(|with| &with.cte_tables);
    with.all(|table| reads(&table.query)) && body_reads(&query.body)
}

fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => reads(query),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

struct Names<'a> {
    schemas: &'a [String],
    kind: Kind,
}

impl Names<'_> {
    fn function(&self, name: &ObjectName) -> ControlFlow<String> {
        let parts = parts(name);
        let last = parts.last().map(String::as_str).unwrap_or_default();
        // A default may call it, and so may an INSERT.
        let sequence = self.kind == Kind::Write && last == "nextval";
        if ACTS.iter().any(|begin| last.starts_with(begin)) && !sequence {
            let message = format!("{last} is not called here: it acts on sessions, files, sequences or other servers");
            return ControlFlow::Break(message);
        }
        if !self.schemas.is_empty() && INDIRECT.iter().any(|begin| last.starts_with(begin)) {
            return ControlFlow::Break(format!(
                "{last} is not called here: it would reach beyond the schemas of this server"
            ));
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Names<'_> {
    type Break = String;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        if self.schemas.is_empty() {
            return ControlFlow::Continue(());
        }
        let parts = parts(relation);
        let refused = match parts.as_slice() {
            // A name alone is looked up in the schemas of this server, and in pg_catalog, which has these names.
            [name] if name.starts_with("pg_") => Some("pg_catalog"),
            [.., schema, _] if !self.schemas.contains(schema) => Some(schema.as_str()),
            _ => None,
        };
        match refused {
            None => ControlFlow::Continue(()),
            Some(schema) => ControlFlow::Break(format!(
                "schema {schema:?} is not among those of this server: {}",
                self.schemas.join(", ")
            )),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.function(name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        match expression {
            Expr::Function(function) => self.function(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The parts of a name as PostgreSQL reads them: in lower case unless quoted.
fn parts(name: &ObjectName) -> Vec<String> {
    let idents = name.0.iter().filter_map(|part| part.as_ident());
    idents
        .map(|ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Result<(), String> {
        check(sql, Kind::Read, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_only_reads_passes() {
        for sql in [
            "SELECT 1",
            "SELECT 1;",
            "-- why\nSELECT $1::int + 1 /* and; so */",
            "WITH a AS (SELECT 1 AS x) SELECT x FROM a UNION ALL SELECT 2",
            "VALUES (1, 'a'), (2, 'b;c')",
            "(SELECT 1) ORDER BY 1 LIMIT 3",
            "SELECT * FROM generate_series(1, 3) AS n, LATERAL (SELECT n * 2) AS m",
            "SELECT data->>'a' FROM t WHERE tags && ARRAY['x'] AND name ~* '^a' AND at > now() - interval '1 day'",
            "SELECT count(*) FILTER (WHERE x) OVER (PARTITION BY y ORDER BY z) FROM t",
            "SELECT E'\\'; DROP TABLE t; --'",
            "SELECT $$; DROP TABLE t$$",
        ] {
            assert_eq!(read(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn a_semicolon_at_the_end_is_taken_off_and_no_other() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1;", "SELECT 1"),
            ("SELECT 'ü;' -- a;\n\n AS é ; ;\n-- end; /*", "SELECT 'ü;' -- a;\n\n AS é "),
            ("SELECT ';' /* ; */", "SELECT ';' /* ; */"),
        ] {
            assert_eq!(without_end(sql), expected);
        }
    }

    #[test]
    fn anything_else_is_refused_in_clear_words() {
        for (sql, words) in [
            ("", "found 0"),
            ("SELECT 1; SELECT 2", "found 2"),
            ("SELECT 1 /* */; -- \nDELETE FROM t", "found 2"),
            ("DELETE FROM t", "only reads"),
            ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "changes data"),
            ("SELECT * INTO u FROM t", "changes data"),
            ("COMMIT", "only reads"),
            ("SET TRANSACTION READ WRITE", "only reads"),
            ("EXPLAIN ANALYZE SELECT 1", "only reads"),
            ("SELECT pg_sleep(1)", "pg_sleep is not called"),
            ("SELECT * FROM pg_catalog.PG_SLEEP(1)", "pg_sleep is not called"),
            ("SELECT 1 WHERE EXISTS (SELECT set_config('a', 'b', false))", "set_config is not called"),
            ("SELECT (", "cannot be read"),
        ] {
            let error = read(sql).unwrap_err();
            assert!(error.contains(words), "{sql}: {error}");
        }
    }

    #[test]
    fn only_the_servers_schemas_are_named() {
        let schemas = ["shop".to_owned()];
        let check = |sql| check(sql, Kind::Read, &schemas);
        for sql in ["SELECT * FROM items", "SELECT * FROM SHOP.items", "WITH x AS (SELECT 1) SELECT * FROM x"] {
            assert_eq!(check(sql), Ok(()), "{sql}");
        }
        for sql in [
            "SELECT * FROM hr.pay",
            "SELECT (SELECT max(x) FROM hr.pay)",
            "SELECT * FROM \"Shop\".items",
            "SELECT * FROM db.hr.pay",
            "SELECT * FROM pg_class",
            "SELECT * FROM information_schema.tables",
            "SELECT query_to_xml('SELECT * FROM hr.pay', true, true, '')",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn the_deepest_statement_does_not_end_the_process() {
        let chain = format!("SELECT 1{}", "+1".repeat(8_000));
        assert_eq!(read(&chain), Ok(()));
        let nested = format!("SELECT {}1{}", "(".repeat(8_000), ")".repeat(8_000));
        assert!(read(&nested).is_err());
        let not = format!("SELECT {} true", "NOT ".repeat(4_000));
        assert!(read(&not).is_err());
    }
}
