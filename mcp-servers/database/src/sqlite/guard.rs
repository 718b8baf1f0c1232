//! The locks on every connection: what may be said at all, how large anything may grow, how long it may take.
//!
//! In: a connection and what it is for. Out: the same, locked for good. The authorizer is asked by the engine for every
//! single thing a statement would do, when it is compiled: whatever is not on the list is refused, whichever words ask.

use std::time::{Duration, Instant};

use mcp_kit::{Call, ToolError};
use rusqlite::{
    Connection,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};

use super::read::told;
use crate::tools::LONGEST;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read,
    Write,
}

/// Memory of the engine as a whole, in bytes: what goes beyond it fails, and the process lives.
const HEAP: u32 = 64 * 1024 * 1024;
/// Steps of the engine's machine between two looks at the clock.
const STEPS: i32 = 1000;

/// How large anything may grow.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, 4 * 1024 * 1024),
    (Limit::SQLITE_LIMIT_COLUMN, 500),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 500),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
];

/// The pragmas that describe the schema, read as tables by our own questions too; and the one by which full-text indexes
/// notice changes.
const PRAGMAS: [&str; 8] = [
    "data_version",
    "table_list",
    "table_info",
    "table_xinfo",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
];

/// Tables of the engine itself that hold more than the schema.
const HIDDEN: [&str; 6] = ["sqlite_dbpage", "dbstat", "sqlite_stmt", "bytecode", "tables_used", "fts3tokenize"];

/// The functions that compute something from their arguments and nothing else.
const FUNCTIONS: &str = " \
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling changes char coalesce concat concat_ws cos cosh \
    count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor \
    format glob group_concat hex if ifnull iif instr json json_array json_array_length json_each json_error_position \
    json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty json_quote \
    json_remove json_replace json_set json_tree json_type json_valid jsonb jsonb_array jsonb_each jsonb_extract \
    jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set \
    jsonb_tree julianday lag last_value lead length like likelihood likely ln log log10 log2 lower ltrim match max \
    median min mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont percentile_disc pi pow \
    power printf quote radians random randomblob rank replace round row_number rtrim sign sin sinh soundex sqrt \
    sqlite_version strftime string_agg substr substring subtype sum tan tanh time timediff total trim trunc typeof \
    unhex unicode unistr unistr_quote unixepoch unlikely upper zeroblob bm25 highlight snippet rtreecheck \
    matchinfo offsets optimize_never last_insert_rowid total_changes ";

/// Locks a connection.
pub(crate) fn lock(connection: &mut Connection, right: Right) -> rusqlite::Result<()> {
    for (what, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
    ] {
        connection.set_db_config(what, on)?;
    }
    for (limit, value) in LIMITS {
        connection.set_limit(limit, value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, i32::try_from(LONGEST + 64).unwrap_or(i32::MAX))?;
    connection.pragma_update(None, "hard_heap_limit", HEAP)?;
    // What a statement sorts lies in memory, which is bounded, and never in files.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if right == Right::Read {
        connection.pragma_update(None, "query_only", true)?;
    }
    connection.authorizer(Some(move |context: AuthContext<'_>| judge(&context, right)))
}

/// Stops statements of this connection when their time is over or nobody waits any more.
pub(crate) fn watch(connection: &mut Connection, call: &Call, patience: Duration) -> Result<(), ToolError> {
    let (call, end) = (call.clone(), Instant::now() + patience);
    let over = move || Instant::now() >= end || call.check().is_err();
    connection.progress_handler(STEPS, Some(over)).map_err(|error| told(&error))
}

fn judge(context: &AuthContext<'_>, right: Right) -> Authorization {
    let own = |table: &str| !table.to_ascii_lowercase().starts_with("sqlite_");
    let main = context.database_name.is_none_or(|name| name == "main");
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. } => !HIDDEN.contains(&table_name.to_ascii_lowercase().as_str()),
        AuthAction::Function { function_name } => {
            FUNCTIONS.contains(&format!(" {} ", function_name.to_ascii_lowercase()))
        }
        AuthAction::Pragma { pragma_name, .. } => PRAGMAS.contains(&pragma_name.to_ascii_lowercase().as_str()),
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. } => right == Right::Write && main && own(table_name),
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
