//! `logs_query`: CloudWatch Logs Insights. Log lines are content, so the tool is there only when it is asked for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_cloudwatchlogs::types::QueryStatus;
use mcp_kit::{Tool, ToolError};
use tokio::time::{Instant, sleep};

use super::{READ, tool};
use crate::{
    answer::{answer, arguments, clip, moment, weight},
    place::{Aws, Place, client},
};

/// Of the tool's 30 s, for the query; it is stopped after that.
const PATIENCE: Duration = Duration::from_secs(22);
const EVERY: Duration = Duration::from_millis(400);
const GROUPS: usize = 20;
const ROWS: i32 = 200;
/// One field of one row.
const FIELD: usize = 4096;
/// Of the response budget, kept for what is around the rows.
const FRAME: usize = 2048;

arguments!(Query {
    log_groups: Vec<String>,
    /// Logs Insights, for example fields @timestamp, @message | filter @message like /ERROR/
    query: String ;
    /// Time or 1h, 2d ago; default 1h
    start: String,
    end: String,
    limit: i32,
});
answer!(Rows { rows: Vec<BTreeMap<String, String>>, scanned: f64, matched: f64, truncated: bool ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![tool(aws, "logs_query", "Query logs", "Run a Logs Insights query over log groups.", READ, query)]
}

async fn query(arguments: Query, place: Place) -> Result<Rows, ToolError> {
    let groups = arguments.log_groups;
    if groups.is_empty() || groups.len() > GROUPS {
        return Err(ToolError::new(format!("log_groups: expected 1 to {GROUPS} names, found {}", groups.len())));
    }
    let limit = arguments.limit.unwrap_or(50);
    if !(1..=ROWS).contains(&limit) {
        return Err(ToolError::new(format!("limit: expected 1 to {ROWS}, found {limit}")));
    }
    let start = moment(arguments.start.as_deref().unwrap_or("1h"))?.secs();
    let end = moment(arguments.end.as_deref().unwrap_or("0m"))?.secs();
    if start >= end {
        return Err(ToolError::new("start: expected a time before end"));
    }
    let logs = client!(aws_sdk_cloudwatchlogs, place.reads());
    let request = logs
        .start_query()
        .set_log_group_names(Some(groups))
        .query_string(arguments.query)
        .start_time(start)
        .end_time(end)
        .limit(limit);
    let started = place.ask("logs:StartQuery", request.send()).await?;
    let id = started.query_id().unwrap_or_default().to_owned();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = place.ask("logs:GetQueryResults", logs.get_query_results().query_id(&id).send()).await?;
        match answer.status() {
            Some(QueryStatus::Complete) => {
                let rows = answer.results().iter().map(|row| {
                    // The pointer reads a single line again; it is long and of no use to a model.
                    let fields = row.iter().filter(|field| field.field() != Some("@ptr"));
                    let pair = |field: &aws_sdk_cloudwatchlogs::types::ResultField| {
                        Some((field.field()?.to_owned(), clip(field.value().unwrap_or_default(), FIELD)))
                    };
                    fields.filter_map(pair).collect()
                });
                let (rows, truncated) = fitting(rows, place.call.budget().saturating_sub(FRAME));
                let statistics = answer.statistics();
                return Ok(Rows {
                    rows,
                    scanned: statistics.map_or(0.0, |statistics| statistics.records_scanned()),
                    matched: statistics.map_or(0.0, |statistics| statistics.records_matched()),
                    truncated,
                });
            }
            Some(QueryStatus::Running | QueryStatus::Scheduled | QueryStatus::UnknownValue) | None => {}
            Some(other) => {
                return Err(ToolError::new(format!("the query ended as {}; narrow it or try again", other.as_str())));
            }
        }
        if Instant::now() >= deadline {
            // It would go on, and cost, with nobody waiting.
            place.ask("logs:StopQuery", logs.stop_query().query_id(&id).send()).await?;
            return Err(ToolError::new(
                "the query took longer than 22 s and was stopped; ask for a shorter time or fewer groups",
            ));
        }
        sleep(EVERY).await;
    }
}

type Row = BTreeMap<String, String>;

fn fitting(rows: impl Iterator<Item = Row>, budget: usize) -> (Vec<Row>, bool) {
    let (mut kept, mut left) = (Vec::new(), budget);
    for row in rows {
        let size = weight(&row);
        if size > left {
            return (kept, true);
        }
        left -= size;
        kept.push(row);
    }
    (kept, false)
}
