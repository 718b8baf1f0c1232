//! CPU and memory: what the user asked for, or what a bundled server needs.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use mcp_crds::{pod::Resources, quantity::Quantity as Written};

use super::{Problems, Runs};

/// What a bundled server gets when the spec says nothing: room for a few hundred connections.
const BUNDLED: [(&str, &str, Option<&str>); 2] = [("cpu", "50m", None), ("memory", "32Mi", Some("256Mi"))];

pub(super) fn resources(
    spec: Option<&Resources>,
    runs: Option<&Runs>,
    problems: &mut Problems,
) -> ResourceRequirements {
    let Some(spec) = spec else {
        return match runs {
            Some(Runs::Filesystem { .. }) => bundled(),
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

fn bundled() -> ResourceRequirements {
    let named = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    ResourceRequirements {
        requests: Some(BUNDLED.iter().map(|(name, request, _)| named(name, request)).collect()),
        limits: Some(BUNDLED.iter().filter_map(|(name, _, limit)| Some(named(name, (*limit)?))).collect()),
        ..ResourceRequirements::default()
    }
}
