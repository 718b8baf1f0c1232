//! Texts a person picks to begin with.

use mcp_kit::{Arguments, Message, Prompt};

/// Everything this server suggests.
pub(crate) fn all() -> [Prompt; 2] {
    [analyze_table(), write_query()]
}

fn analyze_table() -> Prompt {
    let write = |given: &Arguments| {
        let table = given.get_or("table", "");
        let question = given.get("question").map(|text| format!(" Above all: {text}")).unwrap_or_default();
        vec![Message::user(format!(
            "Analyze the table {table}.{question}\n\
             1. describe_table {table}.\n\
             2. query: how many rows there are, and for the columns that matter how many values, NULLs, the smallest and \
             the largest.\n\
             3. query: a few rows, and what is unusual in them.\n\
             Use aggregates rather than all rows. Say what the table holds, how good its data are, and which questions it \
             answers; show the statements you rely on."
        ))]
    };
    Prompt::new("analyze_table", "Analyze a table", "What a table holds and how good its data are", write)
        .required("table", "Name of the table, with its schema where there are several")
        .optional("question", "What you want to know above all")
}

fn write_query() -> Prompt {
    let write = |given: &Arguments| {
        vec![Message::user(format!(
            "Write one SELECT that answers: {}\n\
             1. search_schema and describe_table: find the tables and columns; do not guess names.\n\
             2. Put values that come from the question into params, not into the text.\n\
             3. explain_query: see that it does not read more than it must.\n\
             4. query: run it with a small limit, and check that the rows answer the question.\n\
             Show the final statement and what it returned.",
            given.get_or("question", "")
        ))]
    };
    Prompt::new("write_query", "Write a query", "From a question to a statement that was tried", write)
        .required("question", "What you want to know")
}
