//! Autoscaling: bounds that fit together, and triggers that can tell anything.

use mcp_crds::McpServerSpec;

use super::{Problems, is_stateful};
use crate::desired::scaled_object;

pub(super) fn scaling(spec: &McpServerSpec, problems: &mut Problems) {
    let Some(autoscaling) = &spec.autoscaling else { return };
    let (fewest, most) = (autoscaling.min_replicas, autoscaling.max_replicas);
    if fewest < 0 || most < 1 || fewest > most {
        let message =
            format!("{fewest} to {most} pods cannot be: use 0 or more, and maxReplicas of at least minReplicas and 1");
        problems.add("spec.autoscaling.minReplicas", message);
    }
    if fewest == 0 && autoscaling.schedule.is_empty() && autoscaling.prometheus.is_none() {
        problems.add(
            "spec.autoscaling.minReplicas",
            "0 needs a prometheus or schedule trigger: CPU and memory cannot tell when to start the first pod; set it to \
             1 or add one",
        );
    }
    if fewest == 0 && is_stateful(spec) {
        problems
            .add("spec.autoscaling.minReplicas", "0 ends sessions: set it to 1 or more, or session.mode to Stateless");
    }
    problems.duplicates("spec.autoscaling.schedule", autoscaling.schedule.iter().map(|entry| entry.name.as_str()));
    for entry in &autoscaling.schedule {
        let field = format!("spec.autoscaling.schedule[{}]", entry.name);
        if !(1..=most).contains(&entry.replicas) {
            let message = format!("{} pods are asked for: use 1 to maxReplicas, which is {most}", entry.replicas);
            problems.add(format!("{field}.replicas"), message);
        }
        if entry.start == entry.end {
            problems.add(format!("{field}.end"), "is its start: write when the pods may go again");
        }
    }
    let asked = [("cpu", scaled_object::cpu(autoscaling).is_some()), ("memory", autoscaling.memory.is_some())];
    for (name, _) in asked.iter().filter(|(name, asked)| *asked && !is_requested(spec, name)) {
        problems.add(
            format!("spec.resources.requests[{name}]"),
            format!(
                "is not set, and spec.autoscaling measures {name} against it: set it, or scale by schedule or prometheus"
            ),
        );
    }
}

/// Whether pods request this: a limit is a request where there is none, and a bundled server has both by itself.
fn is_requested(spec: &McpServerSpec, name: &str) -> bool {
    match &spec.resources {
        Some(resources) => resources.requests.contains_key(name) || resources.limits.contains_key(name),
        None => spec.server.image.is_none(),
    }
}
