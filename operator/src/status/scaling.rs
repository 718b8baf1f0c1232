//! The condition Scaling: who decides the number of pods, and whether that works. Pure.
//!
//! In: the spec, what there is of KEDA, the ScaledObject with KEDA's own conditions. Out: a condition while the spec scales
//! or KEDA still may.
//! Source of KEDA's conditions: <https://keda.sh/docs/latest/reference/scaledobject-spec/>.

use mcp_crds::{McpServerSpec, scaling::Autoscaling};
use serde_json::Value;

use super::conditions::{Conditions, Truth, bounded};
use crate::{
    desired::scaled_object::{Keda, PAUSED, cpu},
    vocabulary::{ConditionType, Reason},
};

/// Bytes of KEDA's words in a message.
const WORDS_LIMIT: usize = 240;

/// What there is of KEDA, and of the server's ScaledObject.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scaling<'a> {
    /// Whether KEDA is there, and whether it may write the number of pods.
    pub keda: Keda,
    /// The ScaledObject of the server's name.
    pub object: Option<&'a Value>,
}

impl Scaling<'_> {
    /// Whether somebody else than the operator decides the number of pods.
    #[must_use]
    pub fn decides(&self, spec: &McpServerSpec) -> bool {
        spec.autoscaling.is_some() || self.keda.holds
    }
}

/// Sets the condition, if it is of interest.
pub(super) fn set(conditions: &mut Conditions<'_>, spec: &McpServerSpec, namespace: &str, scaling: &Scaling<'_>) {
    let object = scaling.object.filter(|_| scaling.keda.holds);
    let (truth, reason, message) = match (&spec.autoscaling, object) {
        (None, None) => return,
        (None, Some(object)) => (Truth::False, Reason::HandingBack, handing_back(namespace, object)),
        (Some(_), _) if !scaling.keda.installed => (
            Truth::False,
            Reason::KedaMissing,
            "the cluster has no KEDA (no scaledobjects.keda.sh), so the number of pods stays as it is: install KEDA 2, or \
             take spec.autoscaling out"
                .to_owned(),
        ),
        (Some(autoscaling), object) => judge(autoscaling, object),
    };
    conditions.set(ConditionType::Scaling, truth, reason, &message);
}

/// By what KEDA says of the ScaledObject.
fn judge(autoscaling: &Autoscaling, object: Option<&Value>) -> (Truth, Reason, String) {
    let annotated =
        |object: &Value| object.pointer("/metadata/annotations").is_some_and(|all| all.get(PAUSED).is_some());
    let ready = object.and_then(|object| keda(object, "Ready"));
    // KEDA before 2.21 does not say it, and has it in Ready.
    let blind = object.and_then(|object| keda(object, "HPAActive")).filter(|(status, _)| *status == "False");
    let paused = object.and_then(|object| keda(object, "Paused")).is_some_and(|(status, _)| status == "True");
    match ready {
        _ if autoscaling.paused => {
            let message = "spec.autoscaling.paused is true: the number of pods stays as it is".to_owned();
            (Truth::False, Reason::ScalingPaused, message)
        }
        _ if paused || object.is_some_and(annotated) => {
            let message = format!(
                "somebody has paused the ScaledObject, so the number of pods stays as it is: take its annotations {PAUSED}… \
                 off"
            );
            (Truth::False, Reason::ScalingPaused, message)
        }
        Some(("True", _)) => match blind {
            Some((_, words)) => (Truth::Unknown, Reason::WaitingForMetrics, waiting_for_metrics(words)),
            None => (Truth::True, Reason::Autoscaling, owner(autoscaling)),
        },
        // Unknown without a word is before its first look.
        Some((status, words)) if status == "False" || !words.is_empty() => {
            let message = format!("KEDA cannot scale by spec.autoscaling; it says: {}", bounded(words, WORDS_LIMIT));
            (Truth::False, Reason::ScalerFailed, message)
        }
        _ => (
            Truth::Unknown,
            Reason::WaitingForKeda,
            "KEDA has not looked at the ScaledObject yet: if that stays so, its operator does not run".to_owned(),
        ),
    }
}

/// Who decides the number of pods, between which bounds, by what.
fn owner(autoscaling: &Autoscaling) -> String {
    let Autoscaling { min_replicas, max_replicas, memory, schedule, prometheus, .. } = autoscaling;
    let mut by = Vec::new();
    by.extend(cpu(autoscaling).map(|share| format!("cpu at {} %", share.utilization)));
    by.extend(memory.as_ref().map(|share| format!("memory at {} %", share.utilization)));
    by.extend((!schedule.is_empty()).then(|| "schedule".to_owned()));
    by.extend(prometheus.as_ref().map(|_| "prometheus".to_owned()));
    format!(
        "KEDA decides the number of pods, {min_replicas} to {max_replicas}, by {}; spec.replicas counts when \
         spec.autoscaling is taken out",
        by.join(", ")
    )
}

/// A pod tells its use half a minute after its start, so that this is the way of every new server.
fn waiting_for_metrics(words: &str) -> String {
    format!(
        "the number of pods stays as it is until there are metrics to scale by; if that stays so, look at metrics-server, \
         or at what spec.autoscaling names. KEDA says: {}",
        bounded(words, WORDS_LIMIT)
    )
}

fn handing_back(namespace: &str, object: &Value) -> String {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    format!(
        "waiting until the ScaledObject is gone, then spec.replicas counts; if it stays, KEDA is not there to let go of it: \
         start KEDA, or kubectl -n {namespace} patch scaledobject {name} --type merge -p \
         '{{\"metadata\":{{\"finalizers\":null}}}}'"
    )
}

/// Status and message of a condition that KEDA has set.
fn keda<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| condition.get("type").is_some_and(|it| it == kind))?;
    let text = |member: &str| found.get(member).and_then(Value::as_str).unwrap_or_default();
    Some((text("status"), text("message")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const THERE: Keda = Keda { installed: true, holds: true };

    /// The condition as `Status/Reason`, and its message.
    fn scaling(autoscaling: Value, keda: Keda, object: Option<Value>) -> Option<(String, String)> {
        let spec = json!({"server": {"aws": {}}, "autoscaling": autoscaling});
        let spec: McpServerSpec = serde_json::from_value(spec).unwrap();
        let mut conditions = Conditions::new(&[], None, Timestamp::UNIX_EPOCH);
        set(&mut conditions, &spec, "team", &Scaling { keda, object: object.as_ref() });
        conditions.finish().pop().map(|it| (format!("{}/{}", it.status, it.reason), it.message))
    }

    #[expect(clippy::unnecessary_wraps, reason = "a row of the table may have none")]
    fn says(kind: &str, status: &str, message: &str) -> Option<Value> {
        let conditions = json!([{"type": kind, "status": status, "message": message}]);
        Some(json!({"metadata": {"name": "files"}, "status": {"conditions": conditions}}))
    }

    /// What KEDA says of a ScaledObject that it takes, and of the HorizontalPodAutoscaler that it has made.
    #[expect(clippy::unnecessary_wraps, reason = "a row of the table may have none")]
    fn says_of_both(active: &str, message: &str) -> Option<Value> {
        let conditions = json!([
            {"type": "Ready", "status": "True", "reason": "ScaledObjectReady"},
            {"type": "HPAActive", "status": active, "message": message},
        ]);
        Some(json!({"metadata": {"name": "files"}, "status": {"conditions": conditions}}))
    }

    #[test]
    fn the_condition_follows_keda() {
        let asked = json!({"maxReplicas": 10});
        let paused = json!({"maxReplicas": 10, "paused": true});
        let by_hand = Some(json!({"metadata": {"name": "files", "annotations": {PAUSED: "true"}}}));
        let cases = [
            (asked.clone(), Keda::default(), None, "False/KedaMissing"),
            (asked.clone(), Keda { installed: true, holds: false }, None, "Unknown/WaitingForKeda"),
            (asked.clone(), THERE, Some(json!({"metadata": {"name": "files"}})), "Unknown/WaitingForKeda"),
            (asked.clone(), THERE, says("Ready", "Unknown", ""), "Unknown/WaitingForKeda"),
            (asked.clone(), THERE, says("Ready", "True", "ok"), "True/Autoscaling"),
            (asked.clone(), THERE, says_of_both("True", ""), "True/Autoscaling"),
            (asked.clone(), THERE, says_of_both("False", "no metrics returned"), "Unknown/WaitingForMetrics"),
            (asked.clone(), THERE, says("HPAActive", "False", ""), "Unknown/WaitingForKeda"),
            (asked.clone(), THERE, says("Ready", "False", "no such zone"), "False/ScalerFailed"),
            (asked.clone(), THERE, says("Ready", "Unknown", "some triggers do not work"), "False/ScalerFailed"),
            (asked.clone(), THERE, says("Paused", "True", ""), "False/ScalingPaused"),
            (asked.clone(), THERE, by_hand, "False/ScalingPaused"),
            (paused.clone(), THERE, says("Ready", "True", "ok"), "False/ScalingPaused"),
            (paused, THERE, says_of_both("False", ""), "False/ScalingPaused"),
            (Value::Null, THERE, says("Ready", "True", "ok"), "False/HandingBack"),
        ];
        for (autoscaling, keda, object, expected) in cases {
            let case = format!("{autoscaling} {keda:?} {object:?}");
            assert_eq!(scaling(autoscaling, keda, object).unwrap().0, expected, "{case}");
        }
        assert_eq!(scaling(Value::Null, Keda { installed: true, holds: false }, None), None);
        let foreign = says("Ready", "True", "ok");
        assert_eq!(scaling(Value::Null, Keda { installed: true, holds: false }, foreign), None, "theirs is theirs");
    }

    #[test]
    fn the_message_says_who_decides_by_what_and_what_to_do() {
        let message = |autoscaling, object| scaling(autoscaling, THERE, object).unwrap().1;
        let entry = json!({"name": "a", "timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "replicas": 2});
        let by = json!({"minReplicas": 0, "maxReplicas": 4, "memory": {"utilization": 70}, "schedule": [entry]});
        assert_eq!(
            message(by, says("Ready", "True", "")),
            "KEDA decides the number of pods, 0 to 4, by memory at 70 %, schedule; spec.replicas counts when \
             spec.autoscaling is taken out"
        );
        let long = says("Ready", "False", &"x".repeat(5000));
        assert!(message(json!({"maxReplicas": 2}), long).len() < 400);
        let blind = message(json!({"maxReplicas": 2}), says_of_both("False", "no metrics returned from the API"));
        assert!(blind.contains("metrics-server") && blind.ends_with("no metrics returned from the API"), "{blind}");
        let back = message(Value::Null, says("Ready", "True", ""));
        assert!(back.contains("kubectl -n team patch scaledobject files --type merge"), "{back}");
    }
}
