//! `rds_get_performance`: the load of a database and where it comes from, by Performance Insights.

use std::sync::Arc;

use aws_sdk_pi::types::{DataPoint, DimensionGroup, MetricQuery, ServiceType};
use mcp_kit::{Tool, ToolError};

use super::{rds::instance, reading};
use crate::{
    answer::{answer, arguments, moment, said, time},
    place::{Aws, Place, client},
};

/// Groups of the load that are told apart.
const GROUPS: i32 = 7;

arguments!(Ask {
    db_instance: String ;
    /// Time or 1h, 2d ago; default 1h
    start: String,
    /// db.wait_event (default), db.sql, db.user, db.host
    group_by: String,
});
answer!(Load { db_instance: String, unit: String, period_seconds: i32, series: Vec<Series> ; });
answer!(Series { group: String, average: f64, peak: f64, points: Vec<Point> ; });
answer!(Point { at: String, value: f64 ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![reading(
        aws,
        "rds_get_performance",
        "Get RDS performance",
        "Load of a database (average active sessions) by Performance Insights.",
        load,
    )]
}

async fn load(arguments: Ask, place: Place) -> Result<Load, ToolError> {
    let group = arguments.group_by.as_deref().unwrap_or("db.wait_event");
    if !["db.wait_event", "db.sql", "db.user", "db.host", "db.application"].contains(&group) {
        let message = "group_by: expected db.wait_event, db.sql, db.user, db.host or db.application";
        return Err(ToolError::new(format!("{message}; found {group:?}")));
    }
    let start = moment(arguments.start.as_deref().unwrap_or("1h"))?;
    let end = moment("0m")?;
    let db = instance(&place, &arguments.db_instance).await?;
    if db.performance_insights_enabled() != Some(true) {
        let name = &arguments.db_instance;
        return Err(ToolError::new(format!(
            "Performance Insights is off for {name}: turn it on, or see the AWS/RDS metrics"
        )));
    }
    let resource = said(db.dbi_resource_id());
    let period = period((end.secs() - start.secs()).max(0));
    let pi = client!(aws_sdk_pi, place.reads());
    let by = DimensionGroup::builder()
        .group(group)
        .limit(GROUPS)
        .build()
        .map_err(|error| ToolError::new(error.to_string()))?;
    let query = MetricQuery::builder().metric("db.load.avg").group_by(by).build();
    let query = query.map_err(|error| ToolError::new(error.to_string()))?;
    let request = pi
        .get_resource_metrics()
        .service_type(ServiceType::Rds)
        .identifier(resource)
        .metric_queries(query)
        .start_time(start)
        .end_time(end)
        .period_in_seconds(period);
    let answer = place.ask("pi:GetResourceMetrics", request.send()).await?;
    let series = answer.metric_list().iter().map(|metric| {
        let key = metric.key();
        let dimensions = key.and_then(|key| key.dimensions());
        let group = dimensions.map(|all| {
            let mut all: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
            all.sort();
            all.join(" ")
        });
        series(group.unwrap_or_else(|| "total".to_owned()), metric.data_points())
    });
    Ok(Load {
        db_instance: arguments.db_instance,
        unit: "average active sessions".to_owned(),
        period_seconds: period,
        series: series.collect(),
    })
}

fn series(group: String, points: &[DataPoint]) -> Series {
    let points: Vec<Point> = points
        .iter()
        .map(|point| Point { at: time(Some(point.timestamp())).unwrap_or_default(), value: point.value() })
        .collect();
    let values = || points.iter().map(|point| point.value);
    let count = u32::try_from(points.len()).map_or(1.0, f64::from).max(1.0);
    Series { group, average: values().sum::<f64>() / count, peak: values().fold(0.0, f64::max), points }
}

/// The shortest period Performance Insights has that makes at most about sixty points.
fn period(seconds: i64) -> i32 {
    match seconds {
        ..=3600 => 60,
        3601..=18_000 => 300,
        18_001..=216_000 => 3600,
        _ => 86_400,
    }
}
