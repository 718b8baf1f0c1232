//! `cloudwatch_get_metric_statistics`, `cloudwatch_list_metrics`, `cloudwatch_list_alarms`, `cloudwatch_describe_alarm`,
//! `cloudwatch_get_dashboard`.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, DimensionFilter, HistoryItemType, MetricAlarm, StandardUnit, StateValue, Statistic,
};
use mcp_kit::{Tool, ToolError};
use serde_json::Value;

use super::{listing, reading, spread::paged};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, moment, own, said, time},
    place::{Aws, Place, client},
};

/// CloudWatch gives at most 1,440 points; a model needs fewer.
const POINTS: i64 = 120;
const HISTORY: i32 = 10;

arguments!(Statistics {
    namespace: String, metric: String ;
    dimensions: BTreeMap<String, String>,
    /// Average (default), Sum, Minimum, Maximum, SampleCount or a percentile such as p99
    statistic: String,
    /// Time or 3h, 7d ago; default 3h
    start: String,
    end: String,
    period_seconds: i32,
});
arguments!(Metrics { ; namespace: String, metric: String, dimensions: BTreeMap<String, String>, cursor: String });
arguments!(Alarms {
    ;
    /// OK, ALARM or INSUFFICIENT_DATA
    state: String,
    prefix: String,
    cursor: String,
});
arguments!(OneAlarm { alarm: String ; });
arguments!(OneDashboard { dashboard: String ; });
paged!(Metrics, Alarms);

answer!(Measured { metric: String, statistic: String, period_seconds: i32, points: Vec<Point> ; unit: String });
answer!(Point { at: String, value: f64 ; });
answer!(FoundMetric { namespace: String, metric: String, dimensions: BTreeMap<String, String> ; });
answer!(FoundAlarm { name: String, region: String, state: String ; metric: String, reason: String, since: String });
answer!(Alarm {
    name: String, state: String, actions: Vec<String>, dimensions: BTreeMap<String, String>, history: Vec<Change> ;
    description: String, reason: String, since: String, namespace: String, metric: String, statistic: String,
    comparison: String, threshold: f64, period_seconds: i32, periods: i32, datapoints_to_alarm: i32,
    missing_data: String, rule: String, actions_enabled: bool,
});
answer!(Change { summary: String ; at: String, kind: String });
answer!(Dashboard { dashboard: String, body: Value ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        reading(
            aws,
            "cloudwatch_get_metric_statistics",
            "Get metric statistics",
            "Get a metric over time. Container Insights: namespaces ContainerInsights, ECS/ContainerInsights.",
            statistics,
        ),
        listing(aws, "cloudwatch_list_metrics", "List metrics", "List metrics and their dimensions.", false, metrics),
        listing(aws, "cloudwatch_list_alarms", "List alarms", "List alarms, by state and name prefix.", true, alarms),
        reading(
            aws,
            "cloudwatch_describe_alarm",
            "Describe alarm",
            "Describe one alarm with its latest changes.",
            alarm,
        ),
        reading(aws, "cloudwatch_get_dashboard", "Get dashboard", "Get the widgets of a dashboard.", dashboard),
    ]
}

async fn statistics(arguments: Statistics, place: Place) -> Result<Measured, ToolError> {
    let start = moment(arguments.start.as_deref().unwrap_or("3h"))?;
    let end = moment(arguments.end.as_deref().unwrap_or("0m"))?;
    let span = end.secs() - start.secs();
    if span <= 0 {
        return Err(ToolError::new("start: expected a time before end"));
    }
    let period = arguments.period_seconds.unwrap_or_else(|| period(span));
    let fits = period > 0 && (period < 60 || period % 60 == 0) && span / i64::from(period) <= 1440;
    if !fits {
        let shortest = (span / 1440 / 60 + 1) * 60;
        let message =
            format!("period_seconds: expected a multiple of 60 from {shortest} on for this span, found {period}");
        return Err(ToolError::new(message));
    }
    let name = arguments.statistic.as_deref().unwrap_or("Average");
    let statistic = Statistic::from(name);
    let known = Statistic::values().contains(&statistic.as_str());
    let cloudwatch = client!(aws_sdk_cloudwatch, place.reads());
    let mut request = cloudwatch
        .get_metric_statistics()
        .namespace(&arguments.namespace)
        .metric_name(&arguments.metric)
        .set_dimensions(arguments.dimensions.as_ref().map(dimensions))
        .start_time(start)
        .end_time(end)
        .period(period);
    request = if known { request.statistics(statistic) } else { request.extended_statistics(name) };
    let answer = place.ask("cloudwatch:GetMetricStatistics", request.send()).await?;
    let mut points: Vec<Point> = answer
        .datapoints()
        .iter()
        .filter_map(|point| {
            let value = match name {
                "Average" => point.average(),
                "Sum" => point.sum(),
                "Minimum" => point.minimum(),
                "Maximum" => point.maximum(),
                "SampleCount" => point.sample_count(),
                _ => point.extended_statistics().and_then(|all| all.get(name).copied()),
            };
            Some(Point { at: time(point.timestamp())?, value: value? })
        })
        .collect();
    // CloudWatch gives them in no order.
    points.sort_by(|one, other| one.at.cmp(&other.at));
    let unit = answer.datapoints().first().and_then(|point| point.unit()).map(StandardUnit::as_str);
    Ok(Measured {
        metric: arguments.metric,
        statistic: name.to_owned(),
        period_seconds: period,
        points,
        unit: own(unit),
    })
}

/// The shortest whole minute that makes at most [`POINTS`] points.
fn period(span: i64) -> i32 {
    i32::try_from((span / POINTS / 60 + 1) * 60).unwrap_or(86_400)
}

fn dimensions(named: &BTreeMap<String, String>) -> Vec<Dimension> {
    named.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect()
}

async fn metrics(
    arguments: Arc<Metrics>,
    place: Place,
    token: Option<String>,
) -> Result<Chunk<FoundMetric>, ToolError> {
    let cloudwatch = client!(aws_sdk_cloudwatch, place.reads());
    let filters = arguments.dimensions.iter().flatten();
    let filters = filters.map(|(name, value)| DimensionFilter::builder().name(name).value(value).build());
    let request = cloudwatch
        .list_metrics()
        .set_namespace(arguments.namespace.clone())
        .set_metric_name(arguments.metric.clone())
        .set_dimensions(Some(filters.collect()))
        .set_next_token(token);
    let answer = place.ask("cloudwatch:ListMetrics", request.send()).await?;
    let found = answer.metrics().iter().map(|metric| FoundMetric {
        namespace: said(metric.namespace()),
        metric: said(metric.metric_name()),
        dimensions: named(metric.dimensions()),
    });
    Ok(Chunk::new(found.collect(), answer.next_token()))
}

fn named(dimensions: &[Dimension]) -> BTreeMap<String, String> {
    dimensions.iter().map(|dimension| (said(dimension.name()), said(dimension.value()))).collect()
}

async fn alarms(arguments: Arc<Alarms>, place: Place, token: Option<String>) -> Result<Chunk<FoundAlarm>, ToolError> {
    let state = arguments.state.as_deref().map(StateValue::from);
    if let Some(state) = state.as_ref().filter(|state| !StateValue::values().contains(&state.as_str())) {
        return Err(ToolError::new(format!(
            "state: expected OK, ALARM or INSUFFICIENT_DATA, found {:?}",
            state.as_str()
        )));
    }
    let cloudwatch = client!(aws_sdk_cloudwatch, place.reads());
    let request = cloudwatch
        .describe_alarms()
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .set_state_value(state)
        .set_alarm_name_prefix(arguments.prefix.clone())
        .max_records(PAGE)
        .set_next_token(token);
    let answer = place.ask("cloudwatch:DescribeAlarms", request.send()).await?;
    let of_metrics = answer.metric_alarms().iter().map(|alarm| FoundAlarm {
        name: said(alarm.alarm_name()),
        region: place.region.clone(),
        state: said(alarm.state_value().map(StateValue::as_str)),
        metric: own(alarm.metric_name()),
        reason: own(alarm.state_reason()),
        since: time(alarm.state_updated_timestamp()),
    });
    let composite = answer.composite_alarms().iter().map(|alarm| FoundAlarm {
        name: said(alarm.alarm_name()),
        region: place.region.clone(),
        state: said(alarm.state_value().map(StateValue::as_str)),
        metric: None,
        reason: own(alarm.state_reason()),
        since: time(alarm.state_updated_timestamp()),
    });
    Ok(Chunk::new(of_metrics.chain(composite).collect(), answer.next_token()))
}

async fn alarm(arguments: OneAlarm, place: Place) -> Result<Alarm, ToolError> {
    let cloudwatch = client!(aws_sdk_cloudwatch, place.reads());
    let request = cloudwatch
        .describe_alarms()
        .alarm_names(&arguments.alarm)
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm);
    let answer = place.ask("cloudwatch:DescribeAlarms", request.send()).await?;
    let mut alarm = if let Some(alarm) = answer.metric_alarms().first() {
        of_metric(alarm)
    } else if let Some(alarm) = answer.composite_alarms().first() {
        Alarm {
            name: said(alarm.alarm_name()),
            state: said(alarm.state_value().map(StateValue::as_str)),
            actions: alarm.alarm_actions().to_vec(),
            description: own(alarm.alarm_description()),
            reason: own(alarm.state_reason()),
            since: time(alarm.state_updated_timestamp()),
            rule: own(alarm.alarm_rule()),
            actions_enabled: alarm.actions_enabled(),
            ..Alarm::empty()
        }
    } else {
        let name = &arguments.alarm;
        return Err(ToolError::new(format!(
            "not found in {}: alarm {name:?}; cloudwatch_list_alarms names them",
            place.region
        )));
    };
    let request = cloudwatch.describe_alarm_history().alarm_name(&arguments.alarm).max_records(HISTORY);
    let answer = place.ask("cloudwatch:DescribeAlarmHistory", request.send()).await?;
    let history = answer.alarm_history_items().iter().map(|item| Change {
        summary: said(item.history_summary()),
        at: time(item.timestamp()),
        kind: own(item.history_item_type().map(HistoryItemType::as_str)),
    });
    alarm.history = history.collect();
    Ok(alarm)
}

impl Alarm {
    const fn empty() -> Self {
        Self {
            name: String::new(),
            state: String::new(),
            actions: Vec::new(),
            dimensions: BTreeMap::new(),
            history: Vec::new(),
            description: None,
            reason: None,
            since: None,
            namespace: None,
            metric: None,
            statistic: None,
            comparison: None,
            threshold: None,
            period_seconds: None,
            periods: None,
            datapoints_to_alarm: None,
            missing_data: None,
            rule: None,
            actions_enabled: None,
        }
    }
}

fn of_metric(alarm: &MetricAlarm) -> Alarm {
    Alarm {
        name: said(alarm.alarm_name()),
        state: said(alarm.state_value().map(StateValue::as_str)),
        actions: alarm.alarm_actions().to_vec(),
        dimensions: named(alarm.dimensions()),
        history: Vec::new(),
        description: own(alarm.alarm_description()),
        reason: own(alarm.state_reason()),
        since: time(alarm.state_updated_timestamp()),
        namespace: own(alarm.namespace()),
        metric: own(alarm.metric_name()),
        statistic: own(alarm.statistic().map(Statistic::as_str).or(alarm.extended_statistic())),
        comparison: own(alarm.comparison_operator().map(aws_sdk_cloudwatch::types::ComparisonOperator::as_str)),
        threshold: alarm.threshold(),
        period_seconds: alarm.period(),
        periods: alarm.evaluation_periods(),
        datapoints_to_alarm: alarm.datapoints_to_alarm(),
        missing_data: own(alarm.treat_missing_data()),
        rule: None,
        actions_enabled: alarm.actions_enabled(),
    }
}

async fn dashboard(arguments: OneDashboard, place: Place) -> Result<Dashboard, ToolError> {
    let cloudwatch = client!(aws_sdk_cloudwatch, place.reads());
    let request = cloudwatch.get_dashboard().dashboard_name(&arguments.dashboard);
    let answer = place.ask("cloudwatch:GetDashboard", request.send()).await?;
    let body = answer.dashboard_body().unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Ok(Dashboard { dashboard: arguments.dashboard, body })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_period_makes_few_points() {
        assert_eq!(super::period(3600), 60);
        assert_eq!(super::period(3 * 3600), 120);
        assert_eq!(super::period(30 * 86_400), 21_660);
    }
}
