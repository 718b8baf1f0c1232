//! The tools as values: arguments, results, and which question of the store each is.

use std::time::Duration;

use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    answer::Page,
    cursor,
    store::{Description, Found, Plan, Statement, Store, Table},
};

/// The longest statement, in bytes. What a parser does with it grows with its length.
pub(crate) const LONGEST: usize = 16 * 1024;
/// The most parameters of a statement.
const PARAMS: usize = 500;
/// Tables of one page.
const TABLES: usize = 200;
/// What one search answers at most.
const FOUND: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// One SELECT. Order it, else pages may overlap.
    sql: String,
    /// Values of $1, $2, ... (SQLite: ?1, ?2, ...).
    params: Option<Vec<Value>>,
    /// Rows of a page, 1 to 1000; 100 if absent.
    limit: Option<u32>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Explain {
    /// The statement; it is not run.
    sql: String,
    params: Option<Vec<Value>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Execute {
    /// One INSERT, UPDATE, DELETE or MERGE, without RETURNING.
    sql: String,
    /// Values of $1, $2, ... (SQLite: ?1, ?2, ...).
    params: Option<Vec<Value>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListTables {
    schema: Option<String>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Describe {
    table: String,
    schema: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Part of a name; case does not matter.
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Tables {
    tables: Vec<Table>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Matches {
    matches: Vec<Found>,
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
struct Changed {
    rows_affected: u64,
}

/// Everything this server offers.
pub(crate) fn all(store: &Store) -> Vec<Tool> {
    // The engine's own limit comes first: it says what was too slow.
    let patience = store.patience() + Duration::from_secs(5);
    let tools = vec![query(store), explain(store), tables(store), describe(store), search(store), execute(store)];
    tools.into_iter().map(|tool| tool.with_timeout(patience)).collect()
}

fn query(store: &Store) -> Tool {
    let store = store.clone();
    let description = "Run one SELECT and get a page of rows with the types of their columns. Integers beyond 2^53 and \
                       decimals are strings. Nothing can be changed.";
    Tool::new("query", "Query", description, Hints::READ, move |given: Query, call: Call| {
        let store = store.clone();
        async move {
            let statement = statement(given.sql, given.params)?;
            let seen = cursor::read(&statement.question(), given.cursor.as_deref())?;
            let page: Page = store.query(call, statement, seen, given.limit).await?;
            Ok(Reply::new(page))
        }
    })
}

fn explain(store: &Store) -> Tool {
    let store = store.clone();
    let description = "Show how the database would run a statement, without running it.";
    Tool::new("explain_query", "Explain query", description, Hints::READ, move |given: Explain, call: Call| {
        let store = store.clone();
        async move {
            let plan: Plan = store.explain(call, statement(given.sql, given.params)?).await?;
            Ok(Reply::new(plan))
        }
    })
}

fn tables(store: &Store) -> Tool {
    let store = store.clone();
    let description = "List tables and views with their schema, kind and comment.";
    Tool::new("list_tables", "List tables", description, Hints::READ, move |given: ListTables, call: Call| {
        let store = store.clone();
        async move {
            let question = format!("tables {:?}", given.schema);
            let seen = cursor::read(&question, given.cursor.as_deref())?;
            let budget = call.budget() - 1024;
            let all = store.tables(call, given.schema).await?;
            let rest = all.into_iter().skip(usize::try_from(seen).unwrap_or(usize::MAX));
            let (tables, truncated) = within(rest, TABLES, budget);
            let next = seen + u64::try_from(tables.len()).unwrap_or_default();
            let next_cursor = truncated.then(|| cursor::write(&question, next));
            Ok(Reply::new(Tables { tables, truncated, next_cursor }))
        }
    })
}

fn describe(store: &Store) -> Tool {
    let store = store.clone();
    let description = "Describe a table or view: columns, types, keys, indexes.";
    Tool::new("describe_table", "Describe table", description, Hints::READ, move |given: Describe, call: Call| {
        let store = store.clone();
        async move {
            let description: Description = store.describe(call, given.schema, given.table).await?;
            Ok(Reply::new(description))
        }
    })
}

fn search(store: &Store) -> Tool {
    let store = store.clone();
    let description = "Find tables and columns by a part of their name.";
    Tool::new("search_schema", "Search schema", description, Hints::READ, move |given: Search, call: Call| {
        let store = store.clone();
        async move {
            if given.text.is_empty() || given.text.len() > 200 {
                return Err(ToolError::new("expected a text of 1 to 200 characters to look for"));
            }
            let budget = call.budget() - 1024;
            let (matches, truncated) = within(store.search(call, given.text).await?.into_iter(), FOUND, budget);
            Ok(Reply::new(Matches { matches, truncated }))
        }
    })
}

fn execute(store: &Store) -> Tool {
    let store = store.clone();
    let hints = Hints { read_only: false, destructive: true, idempotent: false, open_world: false };
    let description =
        "Run one INSERT, UPDATE, DELETE or MERGE in a transaction of its own. All of it happens, or nothing.";
    Tool::new("execute", "Execute", description, hints, move |given: Execute, call: Call| {
        let store = store.clone();
        async move {
            let rows_affected = store.execute(call, statement(given.sql, given.params)?).await?;
            Ok(Reply::new(Changed { rows_affected }))
        }
    })
}

fn statement(sql: String, params: Option<Vec<Value>>) -> Result<Statement, ToolError> {
    let params = params.unwrap_or_default();
    if sql.len() > LONGEST {
        let message =
            format!("the statement has {} bytes, at most {LONGEST} are taken: use params for values", sql.len());
        return Err(ToolError::new(message));
    }
    if sql.contains('\0') {
        return Err(ToolError::new("the statement contains a NUL character, which no database takes"));
    }
    if params.len() > PARAMS {
        return Err(ToolError::new(format!("expected at most {PARAMS} params, found {}", params.len())));
    }
    Ok(Statement { sql, params })
}

/// The first of a list, as many as fit, and whether there are more.
fn within<T: Serialize>(list: impl Iterator<Item = T>, most: usize, budget: usize) -> (Vec<T>, bool) {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for one in list {
        bytes += serde_json::to_string(&one).map_or(0, |json| json.len() + 1);
        if kept.len() == most || (bytes > budget && !kept.is_empty()) {
            return (kept, true);
        }
        kept.push(one);
    }
    (kept, false)
}
