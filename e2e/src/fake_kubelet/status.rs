//! What happens next to a fake pod, and what its status then says.
//!
//! In: the pod as the API server has it. Out: a step, and the status for it. Pure. An image whose name contains
//! `does-not-exist` cannot be pulled, and one that is no reference is refused, in the kubelet's own words. Other names
//! stand for servers that do not speak MCP ([`double`]).

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use crate::doubles::Behaviour;

/// The server that a pod stands for. Of an image with `half-` in its name every second pod speaks MCP.
#[must_use]
pub fn double(pod: &Pod, number: u32) -> Behaviour {
    let image = containers_of(pod).first().map(image).unwrap_or_default();
    if image.contains("half-") && number.is_multiple_of(2) { Behaviour::Mcp } else { Behaviour::of_image(image) }
}

/// The next thing to do for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is somebody else's, or it is where it should be.
    Nothing,
    /// Nobody has chosen a node.
    Bind,
    /// Its containers begin to run.
    Start,
    /// Its containers pass their probes.
    MakeReady,
    /// The first pull of an image fails.
    RefuseImage,
    /// And is not tried again at once.
    BackOff,
    /// It is to go, and now it is gone.
    Finish,
}

/// Decides for one pod.
#[must_use]
pub fn next(pod: &Pod, node: &str) -> Step {
    let assigned = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    if assigned.is_some_and(|assigned| assigned != node) {
        return Step::Nothing;
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return if assigned.is_some() { Step::Finish } else { Step::Nothing };
    }
    if assigned.is_none() {
        let gated =
            pod.spec.as_ref().is_some_and(|spec| spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
        return if gated { Step::Nothing } else { Step::Bind };
    }
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waiting: Vec<String> =
        containers.iter().filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone()).collect();
    let refused = containers_of(pod).iter().any(|container| pull_error(image(container)).is_some());
    match status.phase.as_deref() {
        Some("Succeeded" | "Failed") => Step::Nothing,
        _ if refused && waiting.is_empty() => Step::RefuseImage,
        _ if waiting.iter().any(|reason| reason == "ErrImagePull") => Step::BackOff,
        _ if refused => Step::Nothing,
        Some("Running")
            if containers.iter().all(|container| container.ready) && ready_condition(pod) == gates_pass(pod) =>
        {
            Step::Nothing
        }
        Some("Running") => Step::MakeReady,
        _ => Step::Start,
    }
}

/// Running, not ready yet.
#[must_use]
pub fn started(pod: &Pod, host: Ipv4Addr, address: Ipv4Addr, now: &str) -> Value {
    let init: Vec<Value> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            let state = if sidecar {
                json!({"running": {"startedAt": now}})
            } else {
                json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}})
            };
            running(container, &state, true)
        })
        .collect();
    let containers: Vec<Value> = containers_of(pod)
        .iter()
        .map(|container| running(container, &json!({"running": {"startedAt": now}}), false))
        .collect();
    json!({
        "phase": "Running", "startTime": now,
        "hostIP": host.to_string(), "hostIPs": [{"ip": host.to_string()}],
        "podIP": address.to_string(), "podIPs": [{"ip": address.to_string()}],
        "initContainerStatuses": init, "containerStatuses": containers,
        "conditions": conditions(pod, &[("Initialized", true), ("ContainersReady", false), ("Ready", false)], now),
    })
}

/// Ready, as far as its readiness gates allow.
#[must_use]
pub fn ready(pod: &Pod, now: &str) -> Value {
    let mut containers =
        serde_json::to_value(pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()))
            .unwrap_or_default();
    for container in containers.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        container.insert("ready".into(), true.into());
        container.insert("started".into(), true.into());
    }
    let conditions =
        conditions(pod, &[("Initialized", true), ("ContainersReady", true), ("Ready", gates_pass(pod))], now);
    json!({"containerStatuses": containers, "conditions": conditions})
}

/// Pending, with the error of the first pull.
#[must_use]
pub fn image_refused(pod: &Pod, host: Ipv4Addr, now: &str) -> Value {
    let containers: Vec<Value> = containers_of(pod)
        .iter()
        .map(|container| {
            let (reason, message) =
                pull_error(image(container)).unwrap_or_else(|| ("ContainerCreating".to_owned(), String::new()));
            waiting(container, &reason, &message)
        })
        .collect();
    json!({
        "phase": "Pending", "startTime": now, "hostIP": host.to_string(), "containerStatuses": containers,
        "conditions": conditions(pod, &[("Initialized", true), ("ContainersReady", false), ("Ready", false)], now),
    })
}

/// Pending, waiting before the next pull.
#[must_use]
pub fn backing_off(pod: &Pod) -> Value {
    let containers: Vec<Value> = containers_of(pod)
        .iter()
        .map(|container| match pull_error(image(container)) {
            Some((reason, message)) if reason == "ErrImagePull" => {
                let text = format!("Back-off pulling image \"{}\": ErrImagePull: {message}", image(container));
                waiting(container, "ImagePullBackOff", &text)
            }
            Some((reason, message)) => waiting(container, &reason, &message),
            None => waiting(container, "ContainerCreating", ""),
        })
        .collect();
    json!({"containerStatuses": containers})
}

fn pull_error(image: &str) -> Option<(String, String)> {
    if image.contains(":::") {
        let message = format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
        );
        return Some(("InvalidImageName".into(), message));
    }
    image.contains("does-not-exist").then(|| {
        let message = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
        );
        ("ErrImagePull".into(), message)
    })
}

fn containers_of(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

fn image(container: &Container) -> &str {
    container.image.as_deref().unwrap_or_default()
}

fn running(container: &Container, state: &Value, ready: bool) -> Value {
    json!({
        "name": container.name, "image": image(container), "imageID": format!("fake://{}", image(container)),
        "containerID": format!("fake://{}", container.name), "restartCount": 0, "ready": ready, "started": ready, "state": state,
    })
}

fn waiting(container: &Container, reason: &str, message: &str) -> Value {
    json!({
        "name": container.name, "image": image(container), "imageID": "", "restartCount": 0, "ready": false, "started": false,
        "state": {"waiting": {"reason": reason, "message": message}},
    })
}

fn condition_is(pod: &Pod, kind: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == kind && condition.status == "True")
}

fn ready_condition(pod: &Pod) -> bool {
    condition_is(pod, "Ready")
}

fn gates_pass(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    gates.into_iter().flatten().all(|gate| condition_is(pod, &gate.condition_type))
}

/// Ours on top of everybody else's (readiness gates, the scheduler), since a merge patch replaces lists.
fn conditions(pod: &Pod, ours: &[(&str, bool)], now: &str) -> Vec<Value> {
    let there = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let others = there.iter().filter(|condition| ours.iter().all(|(kind, _)| condition.type_ != *kind));
    let mut all: Vec<Value> = others.filter_map(|condition| serde_json::to_value(condition).ok()).collect();
    for (kind, is) in ours {
        all.push(json!({"type": kind, "status": if *is { "True" } else { "False" }, "lastTransitionTime": now}));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T09:00:00Z";

    fn pod(image: &str) -> Pod {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "a"},
            "spec": {"nodeName": "n", "containers": [{"name": "web", "image": image}]},
        });
        serde_json::from_value(pod).unwrap()
    }

    fn with(pod: &Pod, status: &Value) -> Pod {
        let mut value = serde_json::to_value(pod).unwrap();
        let merged = value["status"]
            .as_object()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .chain(status.as_object().cloned().unwrap());
        value["status"] = merged.collect::<serde_json::Map<_, _>>().into();
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pod_is_bound_started_made_ready_and_left_alone() {
        let mut unbound = pod("web:1");
        unbound.spec.as_mut().unwrap().node_name = None;
        assert_eq!(next(&unbound, "n"), Step::Bind);
        let bound = pod("web:1");
        assert_eq!(next(&bound, "n"), Step::Start);
        assert_eq!(next(&bound, "other"), Step::Nothing);
        let address = Ipv4Addr::new(10, 244, 0, 2);
        let running = with(&bound, &started(&bound, Ipv4Addr::new(10, 244, 0, 1), address, NOW));
        assert_eq!(running.status.as_ref().unwrap().pod_ip.as_deref(), Some("10.244.0.2"));
        assert_eq!(next(&running, "n"), Step::MakeReady);
        let done = with(&running, &ready(&running, NOW));
        assert!(ready_condition(&done));
        assert_eq!(next(&done, "n"), Step::Nothing);
    }

    #[test]
    fn a_missing_image_is_told_as_the_kubelet_tells_it() {
        let new = pod("localhost/does-not-exist:1");
        assert_eq!(next(&new, "n"), Step::RefuseImage);
        let refused = with(&new, &image_refused(&new, Ipv4Addr::LOCALHOST, NOW));
        assert_eq!(next(&refused, "n"), Step::BackOff);
        let waiting = with(&refused, &backing_off(&refused));
        assert_eq!(next(&waiting, "n"), Step::Nothing);
        let state = waiting.status.unwrap().container_statuses.unwrap()[0].state.clone().unwrap().waiting.unwrap();
        assert_eq!(state.reason.as_deref(), Some("ImagePullBackOff"));
        assert!(
            state.message.unwrap().starts_with("Back-off pulling image \"localhost/does-not-exist:1\": ErrImagePull")
        );
    }

    #[test]
    fn readiness_gates_hold_a_pod_back_and_let_it_go() {
        let mut gated = pod("web:1");
        gated.spec.as_mut().unwrap().readiness_gates =
            serde_json::from_value(json!([{"conditionType": "lb"}])).unwrap();
        let address = Ipv4Addr::new(10, 244, 0, 2);
        let running = with(&gated, &started(&gated, address, address, NOW));
        let held = with(&running, &ready(&running, NOW));
        assert!(!ready_condition(&held));
        assert_eq!(next(&held, "n"), Step::Nothing);
        let passed = with(&held, &json!({"conditions": [{"type": "lb", "status": "True"}]}));
        assert_eq!(next(&passed, "n"), Step::MakeReady);
    }

    #[test]
    fn a_deleted_pod_is_finished_once_it_had_a_node() {
        let mut going = pod("web:1");
        going.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
        assert_eq!(next(&going, "n"), Step::Finish);
    }
}
