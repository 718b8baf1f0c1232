//! `verify-audit` and `audit-schema`: every server has them, since every server writes an audit.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, value_parser};
use futures::TryStreamExt;
use serde::Deserialize;
use tokio_postgres::types::ToSql;

use super::{
    postgres::{Settings, Trouble},
    verify::Report,
};

/// The longest line that is looked at.
const LINE: u64 = 1024 * 1024;

const VERIFY: &str = "verify-audit";
const SCHEMA: &str = "audit-schema";

/// The commands.
pub(crate) fn commands() -> [Command; 2] {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let verify = Command::new(VERIFY)
        .about("Walk the audit's chains and name what was altered, removed or cut off (exit code 1)")
        .arg(path("postgres", "A file with the connection URI of the audit's database"))
        .arg(path("postgres-ca", "Certificates to trust, as PEM [default: those browsers trust]").requires("postgres"))
        .arg(
            path("file", "JSON lines as the servers wrote them to stdout; - is standard input")
                .required_unless_present("postgres"),
        )
        .arg(
            Arg::new("head")
                .long("head")
                .value_name("NUMBER:HASH")
                .requires("postgres")
                .value_parser(head)
                .help("A checkpoint that was noted before: it must still be there"),
        );
    let schema = Command::new(SCHEMA).about("Print the SQL that makes the audit's tables in PostgreSQL");
    [verify, schema]
}

fn head(text: &str) -> Result<(u64, String), String> {
    let parsed = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned())));
    parsed.ok_or_else(|| "expected NUMBER:HASH, as verify-audit prints them".to_owned())
}

/// Runs the command that was given, if one was.
pub(crate) fn run(matches: &ArgMatches) -> Option<ExitCode> {
    match matches.subcommand()? {
        (SCHEMA, _) => {
            print!("{}", include_str!("schema.sql"));
            Some(ExitCode::SUCCESS)
        }
        (VERIFY, matches) => Some(verify(matches).unwrap_or_else(|error| {
            eprintln!("{VERIFY}: {error}");
            ExitCode::from(2)
        })),
        _ => None,
    }
}

/// Why nothing can be said about an audit.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the audit cannot be read: {0}")]
    Postgres(#[from] Trouble),
    #[error("the audit cannot be read: {0}")]
    File(#[from] std::io::Error),
}

fn verify(matches: &ArgMatches) -> Result<ExitCode, Unread> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let mut good = true;
    if let Some(uri) = path("postgres") {
        let settings = Settings { uri, ca: path("postgres-ca") };
        let known = matches.get_one::<(u64, String)>("head");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (told, right) = runtime.block_on(table(&settings, known))?.finish(true);
        print!("{told}");
        good &= right;
    }
    if let Some(path) = path("file") {
        let lines: Box<dyn Read> =
            if path.as_os_str() == "-" { Box::new(std::io::stdin()) } else { Box::new(File::open(path)?) };
        let (told, right) = file(BufReader::new(lines))?.finish(false);
        print!("{told}");
        good &= right;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn table(settings: &Settings, known: Option<&(u64, String)>) -> Result<Report, Trouble> {
    let mut connection = settings.connect().await?;
    // Both tables as of one moment: writers go on meanwhile.
    let isolation = tokio_postgres::IsolationLevel::RepeatableRead;
    let transaction = connection.client.build_transaction().read_only(true).isolation_level(isolation).start().await?;
    let mut report = Report::default();
    let rows = transaction.query("SELECT record FROM mcp_audit_checkpoint ORDER BY number", &[]).await?;
    let checkpoints = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    report.checkpoints(checkpoints.into_iter(), known.map(|(number, hash)| (*number, hash.as_str())));
    let statement = "SELECT chain, sequence, record FROM mcp_audit ORDER BY chain, sequence";
    let rows = transaction.query_raw(statement, std::iter::empty::<&dyn ToSql>()).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await? {
        let (chain, sequence, record): (&str, i64, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        report.line(record, Some((chain, sequence.cast_unsigned())));
    }
    Ok(report)
}

/// What a log agent may have wrapped around a line.
#[derive(Deserialize)]
struct Wrapped {
    log: Option<String>,
    message: Option<String>,
}

/// Lines that are no audit records are somebody else's and passed over.
fn file(mut lines: impl BufRead) -> Result<Report, std::io::Error> {
    let mut report = Report::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(report);
        }
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim();
        if line.starts_with(r#"{"kind":"audit""#) {
            report.line(line, None);
        } else if let Ok(Wrapped { log, message }) = serde_json::from_str(line)
            && let Some(inner) = log.or(message)
            && inner.starts_with(r#"{"kind":"audit""#)
        {
            report.line(inner.trim(), None);
        }
    }
}
