//! `cost_get_usage`: what was spent, by Cost Explorer. Every request costs a cent.

use std::sync::Arc;

use aws_sdk_costexplorer::types::{DateInterval, Granularity, GroupDefinition, GroupDefinitionType, MetricValue};
use mcp_kit::{Tool, ToolError};

use super::reading;
use crate::{
    answer::{answer, arguments, own, said},
    place::{Aws, Place, client},
};

const METRIC: &str = "UnblendedCost";

arguments!(Ask {
    ;
    /// First day; default the 1st of this month
    start: String,
    /// Day after the last
    end: String,
    /// DAILY or MONTHLY (default)
    granularity: String,
    /// SERVICE (default), REGION, LINKED_ACCOUNT, USAGE_TYPE, INSTANCE_TYPE or tag:NAME
    group_by: String,
    cursor: String,
});
answer!(Usage { periods: Vec<Period>, metric: String ; next_cursor: String });
answer!(Period { start: String, end: String, estimated: bool, groups: Vec<Group> ; total: String, unit: String });
answer!(Group { name: String, amount: String, unit: String ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![reading(
        aws,
        "cost_get_usage",
        "Get costs",
        "Get costs by day or month, grouped. A request costs USD 0.01.",
        usage,
    )]
}

async fn usage(arguments: Ask, place: Place) -> Result<Usage, ToolError> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |name: &str, text: Option<&str>, default: jiff::civil::Date| match text {
        None => Ok(default),
        Some(text) => text
            .parse::<jiff::civil::Date>()
            .map_err(|_| ToolError::new(format!("{name}: expected a day such as 2026-11-01, found {text:?}"))),
    };
    let start = day("start", arguments.start.as_deref(), today.first_of_month())?;
    let end = day("end", arguments.end.as_deref(), today.tomorrow().unwrap_or(today))?;
    if start >= end {
        return Err(ToolError::new(format!("start: expected a day before end ({end}), found {start}")));
    }
    let granularity = match arguments.granularity.as_deref() {
        None | Some("MONTHLY") => Granularity::Monthly,
        Some("DAILY") => Granularity::Daily,
        Some(other) => return Err(ToolError::new(format!("granularity: expected DAILY or MONTHLY, found {other:?}"))),
    };
    let group = arguments.group_by.as_deref().unwrap_or("SERVICE");
    let group = match group.strip_prefix("tag:") {
        Some(tag) => GroupDefinition::builder().r#type(GroupDefinitionType::Tag).key(tag),
        None => GroupDefinition::builder().r#type(GroupDefinitionType::Dimension).key(group),
    };
    let interval = DateInterval::builder().start(start.to_string()).end(end.to_string()).build();
    let interval = interval.map_err(|error| ToolError::new(error.to_string()))?;
    // Cost Explorer lives in one region of each partition; the SDK's endpoint rules find it.
    let costs = client!(aws_sdk_costexplorer, place.reads());
    let request = costs
        .get_cost_and_usage()
        .time_period(interval)
        .granularity(granularity)
        .metrics(METRIC)
        .group_by(group.build())
        .set_next_page_token(arguments.cursor.clone());
    let answer = place.ask("ce:GetCostAndUsage", request.send()).await?;
    let periods = answer.results_by_time().iter().map(|period| {
        let interval = period.time_period();
        let groups = period.groups().iter().map(|group| {
            let cost = group.metrics().and_then(|metrics| metrics.get(METRIC));
            Group {
                name: group.keys().join(" "),
                amount: said(cost.and_then(MetricValue::amount)),
                unit: said(cost.and_then(MetricValue::unit)),
            }
        });
        let total = period.total().and_then(|total| total.get(METRIC));
        Period {
            start: interval.map_or_else(String::new, |interval| interval.start().to_owned()),
            end: interval.map_or_else(String::new, |interval| interval.end().to_owned()),
            estimated: period.estimated(),
            groups: groups.collect(),
            total: own(total.and_then(MetricValue::amount)),
            unit: own(total.and_then(MetricValue::unit)),
        }
    });
    Ok(Usage { periods: periods.collect(), metric: METRIC.to_owned(), next_cursor: own(answer.next_page_token()) })
}
