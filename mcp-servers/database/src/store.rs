//! The one database behind the tools: what both engines are asked, and where each does it.
//!
//! In: questions of tools. Out: answers in one shape, whichever engine gave them.

use std::{sync::Arc, time::Duration};

use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{answer::Page, postgres::Postgres, sqlite::Sqlite};

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) params: Vec<Value>,
}

impl Statement {
    /// What tells this question from others.
    pub(crate) fn question(&self) -> String {
        format!("{}\u{0}{}", self.sql, Value::Array(self.params.clone()))
    }
}

/// A table or view.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `table`, `view`, `materialized view`, `foreign table` or `virtual table`.
    pub(crate) kind: String,
    /// Rows, as far as the engine knows without counting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) estimated_rows: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    pub(crate) primary_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// An index.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) unique: bool,
    pub(crate) columns: Vec<String>,
}

/// A foreign key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Reference {
    pub(crate) columns: Vec<String>,
    pub(crate) table: String,
    pub(crate) references: Vec<String>,
}

/// Everything about one table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Description {
    #[serde(flatten)]
    pub(crate) table: Table,
    pub(crate) columns: Vec<Field>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) foreign_keys: Vec<Reference>,
}

/// A table or column whose name was looked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    pub(crate) schema: String,
    pub(crate) table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// How the engine would run a statement.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    /// One step a line, indented below the step that needs it.
    pub(crate) plan: String,
    pub(crate) truncated: bool,
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Store {
    /// The longest a statement may take.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Sqlite(it) => it.patience(),
            Self::Postgres(it) => it.patience(),
        }
    }

    /// A page of what the statement reads, after the rows that were `seen` before.
    pub(crate) async fn query(
        &self,
        call: Call,
        statement: Statement,
        seen: u64,
        limit: Option<u32>,
    ) -> Result<Page, ToolError> {
        match self {
            Self::Sqlite(it) => it.query(call, statement, seen, limit).await,
            Self::Postgres(it) => it.query(&call, &statement, seen, limit).await,
        }
    }

    /// How the engine would run it.
    pub(crate) async fn explain(&self, call: Call, statement: Statement) -> Result<Plan, ToolError> {
        match self {
            Self::Sqlite(it) => it.explain(call, statement).await,
            Self::Postgres(it) => it.explain(&call, &statement).await,
        }
    }

    /// Changes rows by one statement; how many.
    pub(crate) async fn execute(&self, call: Call, statement: Statement) -> Result<u64, ToolError> {
        match self {
            Self::Sqlite(it) => it.execute(call, statement).await,
            Self::Postgres(it) => it.execute(&call, &statement).await,
        }
    }

    /// Tables and views by name, those of one schema or of all.
    pub(crate) async fn tables(&self, call: Call, schema: Option<String>) -> Result<Vec<Table>, ToolError> {
        match self {
            Self::Sqlite(it) => it.tables(call, schema).await,
            Self::Postgres(it) => it.tables(&call, schema.as_deref()).await,
        }
    }

    /// Everything about one table.
    pub(crate) async fn describe(
        &self,
        call: Call,
        schema: Option<String>,
        table: String,
    ) -> Result<Description, ToolError> {
        match self {
            Self::Sqlite(it) => it.describe(call, schema, table).await,
            Self::Postgres(it) => it.describe(&call, schema.as_deref(), &table).await,
        }
    }

    /// Tables and columns whose name contains the text.
    pub(crate) async fn search(&self, call: Call, text: String) -> Result<Vec<Found>, ToolError> {
        match self {
            Self::Sqlite(it) => it.search(call, text).await,
            Self::Postgres(it) => it.search(&call, &text).await,
        }
    }
}

/// The answer to a name that no table has.
pub(crate) fn no_table(name: &str) -> ToolError {
    ToolError::new(format!("there is no table or view {name:?}; list_tables names them"))
}
