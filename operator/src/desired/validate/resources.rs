//! CPU and memory: what the user asked for, or what a bundled server needs.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use mcp_crds::{pod::Resources, quantity::Quantity as Written};

use super::{Problems, Runs};
use crate::desired::bundled::Amounts;

pub(super) fn resources(
    spec: Option<&Resources>,
    runs: Option<&Runs>,
    problems: &mut Problems,
) -> ResourceRequirements {
    let Some(spec) = spec else {
        return match runs {
            Some(Runs::Bundled(server)) => own(server.resources),
            _ => ResourceRequirements::default(),
        };
    };
    for (list, amounts) in [("requests", &spec.requests), ("limits", &spec.limits)] {
        for (name, amount) in amounts {
            if amount.millis().is_none() {
                let field = format!("spec.resources.{list}[{name}]");
                problems.add(field, format!("{:?} is not a quantity: write for example 500m or 256Mi", amount.0));
            }
        }
    }
    for (name, request) in &spec.requests {
        if let Some(limit) = spec.limits.get(name)
            && request.millis() > limit.millis()
        {
            let field = format!("spec.resources.requests[{name}]");
            problems
                .add(field, format!("{request} is more than the limit {limit}: raise the limit or lower the request"));
        }
    }
    ResourceRequirements {
        requests: typed(&spec.requests),
        limits: typed(&spec.limits),
        ..ResourceRequirements::default()
    }
}

fn typed(amounts: &BTreeMap<String, Written>) -> Option<BTreeMap<String, Quantity>> {
    let typed = |(name, amount): (&String, &Written)| (name.clone(), Quantity(amount.0.clone()));
    (!amounts.is_empty()).then(|| amounts.iter().map(typed).collect())
}

/// What a bundled server gets when the spec says nothing: room for a few hundred connections.
fn own(amounts: Amounts) -> ResourceRequirements {
    let named = |(name, amount): (&str, Quantity)| (name.to_owned(), amount);
    ResourceRequirements {
        requests: Some(amounts.requests().into_iter().map(named).collect()),
        limits: Some(amounts.limits().into_iter().map(named).collect()),
        ..ResourceRequirements::default()
    }
}
