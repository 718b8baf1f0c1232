//! Where pods run and how many may be missing, typed.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::util::intstr::IntOrString};
use mcp_crds::scheduling::{self, Share, Spread};

use super::{Problems, metadata};
use crate::desired::disruption::Budget;

/// Where pods run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduling {
    /// Labels that a node must carry.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods bear.
    pub tolerations: Vec<core::Toleration>,
    /// How evenly they lie over which domains.
    pub spread: Vec<Spread>,
    /// Their PriorityClass.
    pub priority_class: Option<String>,
    /// Their RuntimeClass.
    pub runtime_class: Option<String>,
}

/// Where pods lie evenly when the spec does not say: a zone or a node that is lost takes few of them along.
const SPREAD: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];

pub(super) fn scheduling(spec: Option<&scheduling::Scheduling>, problems: &mut Problems) -> Scheduling {
    let spec = spec.cloned().unwrap_or_default();
    metadata::check_labels("spec.scheduling.nodeSelector", &spec.node_selector, problems);
    let spread = spec.topology_spread.unwrap_or_else(|| SPREAD.map(over).into());
    let keys = || spread.iter().map(|spread| spread.topology_key.as_str());
    problems.duplicates("spec.scheduling.topologySpread", keys());
    for key in keys().filter(|key| !metadata::is_key(key)) {
        let field = format!("spec.scheduling.topologySpread[{key}]");
        problems.add(field, "is not the key of a label: write for example topology.kubernetes.io/zone");
    }
    Scheduling {
        node_selector: spec.node_selector.into_iter().map(|(key, value)| (key, value.0)).collect(),
        tolerations: spec.tolerations.iter().enumerate().map(|(at, it)| toleration(at, it, problems)).collect(),
        spread,
        priority_class: spec.priority_class_name,
        runtime_class: spec.runtime_class_name,
    }
}

fn over(key: &str) -> Spread {
    Spread { topology_key: key.to_owned(), max_skew: 1, ..Spread::default() }
}

fn toleration(index: usize, it: &scheduling::Toleration, problems: &mut Problems) -> core::Toleration {
    let field = format!("spec.scheduling.tolerations[{index}]");
    let equal = it.operator == scheduling::TolerationOperator::Equal;
    if (equal && it.key.is_none()) || (!equal && it.value.is_some()) {
        problems.add(&field, "operator Equal needs a key, and operator Exists takes no value");
    }
    if it.key.as_ref().is_some_and(|key| !metadata::is_key(key)) {
        problems.add(format!("{field}.key"), "is not the key of a taint: write for example example.com/gpu");
    }
    if it.toleration_seconds.is_some() && it.effect != Some(scheduling::TaintEffect::NoExecute) {
        problems.add(&field, "tolerationSeconds needs effect NoExecute: only then does a pod leave after a while");
    }
    core::Toleration {
        key: it.key.clone(),
        operator: Some(it.operator.as_str().to_owned()),
        value: it.value.clone().filter(|value| !value.is_empty()),
        effect: it.effect.map(|effect| effect.as_str().to_owned()),
        toleration_seconds: it.toleration_seconds,
    }
}

pub(super) fn disruption(spec: Option<&scheduling::Disruption>, problems: &mut Problems) -> Budget {
    match spec.map(|spec| (&spec.min_available, &spec.max_unavailable)) {
        None => Budget::default(),
        Some((Some(least), None)) => Budget::MinAvailable(share("minAvailable", least, problems)),
        Some((None, Some(most))) => Budget::MaxUnavailable(share("maxUnavailable", most, problems)),
        Some(_) => {
            problems.add("spec.disruption", "set exactly one of minAvailable and maxUnavailable");
            Budget::default()
        }
    }
}

fn share(name: &str, share: &Share, problems: &mut Problems) -> IntOrString {
    let percent = |text: &str| text.strip_suffix('%').and_then(|it| it.parse::<u8>().ok()).is_some_and(|it| it <= 100);
    let (typed, fits) = match share {
        Share::Number(number) => (IntOrString::Int(*number), *number >= 0),
        Share::Percent(text) => (IntOrString::String(text.clone()), percent(text)),
    };
    if !fits {
        problems.add(format!("spec.disruption.{name}"), "is not a number of pods: write for example 1 or 50%");
    }
    typed
}
