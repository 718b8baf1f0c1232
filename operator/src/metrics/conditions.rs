//! The conditions of every server, counted when they are asked for: what is gone is gone from here too.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use kube::runtime::reflector::Store;
use mcp_crds::McpServer;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::{Label, names};
use crate::vocabulary::{ConditionType, Reason};

/// Counts the conditions of the servers in a store.
pub(super) struct Conditions(Store<McpServer>);

impl Conditions {
    pub(super) fn new(servers: Store<McpServer>) -> Self {
        Self(servers)
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Conditions of {} servers", self.0.len())
    }
}

impl Collector for Conditions {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let now = Timestamp::now();
        let mut counts: BTreeMap<[Label; 3], i64> = BTreeMap::new();
        let mut oldest: BTreeMap<[Label; 2], f64> = BTreeMap::new();
        for server in self.0.state() {
            for condition in server.status.iter().flat_map(|status| &status.conditions) {
                // Only words of ours become labels: whoever may write a status could make any number of others.
                let ours = ConditionType::ALL.iter().any(|kind| kind.as_str() == condition.type_)
                    && Reason::ALL.iter().any(|reason| reason.as_str() == condition.reason);
                if !ours {
                    continue;
                }
                let labels = [("type", condition.type_.clone()), ("status", condition.status.clone())];
                let [kind, status] = labels.clone();
                *counts.entry([kind, status, ("reason", condition.reason.clone())]).or_default() += 1;
                let age = now.duration_since(condition.last_transition_time.0).as_secs_f64();
                let longest = oldest.entry(labels).or_default();
                *longest = longest.max(age);
            }
        }
        write(&mut encoder, &names::CONDITIONS, counts)?;
        write(&mut encoder, &names::CONDITION_SECONDS, oldest)
    }
}

fn write<V, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    definition: &names::Definition,
    values: BTreeMap<[Label; N], V>,
) -> Result<(), fmt::Error>
where
    ConstGauge<V>: EncodeMetric,
{
    let mut family = encoder.encode_descriptor(definition.registered(), definition.help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
