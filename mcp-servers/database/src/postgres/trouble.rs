//! What went wrong, told apart by whose fault it is: the statement's, or the database's, which counts towards its circuit
//! breaker. Addresses, users and passwords are in no message.

use std::fmt::Write as _;

use mcp_kit::ToolError;
use tokio_postgres::{
    Error,
    error::{DbError, ErrorPosition, SqlState},
};

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The caller can do better. The connection is as good as before.
    Statement(ToolError),
    /// The database does not serve. The connection is given up.
    Upstream(ToolError),
}

impl From<Trouble> for ToolError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Statement(error) | Trouble::Upstream(error) => error,
        }
    }
}

impl Trouble {
    /// An error of the driver. `as_written` says that positions in it are those of the caller's own text.
    pub(crate) fn of(error: &Error, as_written: bool) -> Self {
        match error.as_db_error() {
            Some(error) => Self::told(error, as_written),
            None if error.is_closed() => upstream("the database closed the connection; try again"),
            None => upstream("the database cannot be reached, or does not answer in order; try again in a moment"),
        }
    }

    fn told(error: &DbError, as_written: bool) -> Self {
        let code = error.code();
        let message = error.message();
        if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            return Self::Statement(ToolError::new(format!("{message}: this tool only reads")));
        }
        if *code == SqlState::QUERY_CANCELED {
            let message = "the statement took longer than it may and was stopped: narrow it, or ask for less";
            return Self::Statement(ToolError::new(message));
        }
        if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return upstream("the database refuses this server's login; its operator has to mend that");
        }
        // 08 connection, 53 resources, 57P shutdown, 58 system, XX internal: nothing the caller wrote.
        let class = code.code().get(..2).unwrap_or_default();
        if matches!(class, "08" | "53" | "58" | "XX") || code.code().starts_with("57P") {
            return upstream("the database cannot serve now; try again in a moment");
        }
        let mut words = message.to_owned();
        if let (true, Some(ErrorPosition::Original(position))) = (as_written, error.position()) {
            let _ = write!(words, " (at character {position} of the statement)");
        }
        for more in [error.detail(), error.hint()].into_iter().flatten() {
            words.push_str("; ");
            words.push_str(more);
        }
        Self::Statement(ToolError::new(words.chars().take(2000).collect::<String>()))
    }
}

fn upstream(message: &str) -> Trouble {
    Trouble::Upstream(ToolError::upstream(message))
}
