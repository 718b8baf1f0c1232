//! Why pods are not ready, in words that do not change while the trouble is the same: kubelet counts retries and
//! back-off in its messages, and a status that follows would be written again and again.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::ResourceExt;

use crate::vocabulary::Reason;

/// Characters of a log's end that a message has room for.
const LAST_WORDS: usize = 300;

/// Characters of a sandbox's id, at least.
const ID: usize = 32;

/// What a runtime says of a sandbox whose first process was killed: runc when it sees that, containerd when it comes later.
const KILLED: [&str; 5] = [
    "OOM-killed",
    "memory limit too low",
    "signal: killed",
    "cannot start a stopped process",
    "cannot start a container that has stopped",
];

/// What keeps pods from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The reason that conditions carry.
    pub reason: Reason,
    /// Which pod, what, and what to do.
    pub message: String,
}

/// What keeps a pod from starting and stands in kubelet's Events alone, with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// A volume cannot be mounted.
    Volume(String),
    /// The sandbox that its containers run in cannot be made.
    Sandbox(String),
}

/// What keeps pods from starting, by name of the pod.
pub type Hindered = BTreeMap<String, Hindrance>;

/// The first trouble, by pod name; that of the Deployment when it cannot even make pods.
#[must_use]
pub fn trouble(pods: &[Arc<Pod>], hindered: &Hindered, deployment: Option<&Deployment>) -> Option<Trouble> {
    let mut alive = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    alive.find_map(|pod| of_pod(pod, hindered)).or_else(|| of_deployment(deployment?))
}

fn of_pod(pod: &Pod, hindered: &Hindered) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if let Some(condition) = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable"))
    {
        let why = condition.message.as_deref().unwrap_or("no node takes it");
        return Some(Trouble {
            reason: Reason::PodsUnschedulable,
            message: format!("pod {name} is not scheduled: {}; {}", without_preemption(why), what_to_free(why)),
        });
    }
    // Kubelet mounts, makes the sandbox, then says so: what it said before is over, though its Event lives for an hour.
    let has_sandbox = conditions.iter().any(|it| it.type_ == "PodReadyToStartContainers" && it.status == "True");
    let waits = status.phase.as_deref().is_none_or(|phase| phase == "Pending") && !has_sandbox;
    if let Some(hindrance) = hindered.get(&name).filter(|_| waits) {
        return Some(of_hindrance(&name, hindrance));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers.into_iter().find_map(|container| of_container(&name, container))
}

fn of_hindrance(pod: &str, hindrance: &Hindrance) -> Trouble {
    match hindrance {
        Hindrance::Volume(why) => Trouble {
            reason: Reason::VolumeNotMounted,
            message: format!("pod {pod} waits for a volume: {why}; create what is missing, or correct spec.volumes"),
        },
        // Which of the runtime's processes dies, and with which words, differs from one try to the next.
        Hindrance::Sandbox(why) if KILLED.iter().any(|words| why.contains(words)) => Trouble {
            reason: Reason::PodSandboxFailed,
            message: format!(
                "pod {pod} cannot start: the sandbox that its container runs in is killed at its start, as happens when \
                 the memory limit is too low for it; raise spec.resources.limits.memory"
            ),
        },
        Hindrance::Sandbox(why) => Trouble {
            reason: Reason::PodSandboxFailed,
            message: format!(
                "pod {pod} cannot start, the node cannot make its sandbox: {}; look at the node and at its network \
                 plugin (kubectl describe pod {pod})",
                without_ids(why),
            ),
        },
    }
}

/// Words without the ids of sandboxes: each try has another.
fn without_ids(words: &str) -> String {
    let is_id = |word: &&str| word.len() >= ID && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = words.trim_start_matches("(combined from similar events): ");
    let parts = words.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let steady = parts.map(|part| {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_id(&word) { part.replacen(word, "…", 1) } else { part.to_owned() }
    });
    steady.collect()
}

/// The scheduler's words without its look at whom it might evict, which no server of ours may ask for.
fn without_preemption(why: &str) -> &str {
    let why = why.split("preemption:").next().unwrap_or_default().trim();
    why.trim_end_matches("no new claims to deallocate,").trim().trim_end_matches('.')
}

/// What to do about it, by the part of the spec that it is about.
fn what_to_free(why: &str) -> &'static str {
    if why.to_lowercase().contains("persistentvolume") {
        "create the claim that is missing, or correct spec.volumes"
    } else if why.contains("Insufficient") {
        "lower spec.resources.requests, or add nodes"
    } else {
        "correct spec.scheduling, or add nodes that it allows"
    }
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<Trouble> {
    if container.ready {
        return None;
    }
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    let said = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            Some(Trouble {
                reason: Reason::ImagePullFailed,
                message: format!(
                    "pod {pod}: image {} cannot be pulled: {}; check the name, the tag and the pull rights (kubectl describe pod {pod})",
                    container.image,
                    cause(said),
                ),
            })
        }
        "CreateContainerConfigError" => Some(Trouble {
            reason: Reason::PodConfigMissing,
            message: format!(
                "pod {pod} cannot start: {said}; create what is missing, or mark it optional in spec.env or spec.envFrom"
            ),
        }),
        "CreateContainerError" => Some(Trouble {
            reason: Reason::PodConfigMissing,
            message: format!(
                "pod {pod} cannot start: {said}; check the image and spec.server.image.command (kubectl describe pod {pod})"
            ),
        }),
        // A container that has started and is not ready yet is at work, whatever happened before.
        _ if container.started == Some(true) => None,
        _ => ended(container).map(|how| Trouble {
            reason: Reason::PodsCrashLooping,
            message: format!("pod {pod}: container {} {how} (kubectl logs --previous {pod})", container.name),
        }),
    }
}

/// How the container ended last, if it ended.
fn ended(container: &ContainerStatus) -> Option<String> {
    let of_state = |state: &Option<ContainerState>| state.as_ref().and_then(|state| state.terminated.clone());
    let end = of_state(&container.last_state).or_else(|| of_state(&container.state))?;
    let reason = end.reason.as_deref().unwrap_or("Error");
    let last_words = last_words(end.message.as_deref().unwrap_or_default());
    let last_words = if last_words.is_empty() { last_words } else { format!(": {last_words}") };
    Some(match reason {
        "OOMKilled" => format!(
            "was killed for using more memory than its limit{} (OOMKilled): raise spec.resources.limits.memory",
            memory_limit(container).map(|limit| format!(" of {limit}")).unwrap_or_default(),
        ),
        _ => format!("ends with exit code {} ({reason}){last_words}", end.exit_code),
    })
}

/// The limit that the node holds the container to.
fn memory_limit(container: &ContainerStatus) -> Option<&str> {
    Some(container.resources.as_ref()?.limits.as_ref()?.get("memory")?.0.as_str())
}

/// The end of a log, without times: they differ from one try to the next, while the trouble is the same.
fn last_words(log: &str) -> String {
    let without_time = |line: &str| {
        let (first, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if first.parse::<jiff::Timestamp>().is_ok() { rest.trim().to_owned() } else { line.trim().to_owned() }
    };
    let lines: Vec<_> = log.lines().map(without_time).filter(|line| !line.is_empty()).collect();
    let text = lines.join("; ");
    let skipped = text.chars().count().saturating_sub(LAST_WORDS);
    let end: String = text.chars().skip(skipped).collect();
    if skipped == 0 { end } else { format!("…{end}") }
}

/// The innermost cause of a pull error: what comes before it names connections and attempts, which change.
fn cause(said: &str) -> &str {
    let last = said.rsplit(": ").next().unwrap_or_default().trim();
    if last.is_empty() || last.starts_with("Back-off") { "the registry does not have it or refuses it" } else { last }
}

fn of_deployment(deployment: &Deployment) -> Option<Trouble> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let find = |kind: &str, status: &str| conditions.iter().find(|it| it.type_ == kind && it.status == status);
    if let Some(refused) = find("ReplicaFailure", "True") {
        let why = refused.message.as_deref().unwrap_or("the cluster refuses to make pods");
        return Some(Trouble { reason: Reason::PodsRefused, message: format!("no pod can be made: {why}") });
    }
    find("Progressing", "False").map(|_| Trouble {
        reason: Reason::RolloutStuck,
        message:
            "no pod has become ready for minutes, and kubelet gives no reason: look at the events of the pods, for \
                  example for a volume whose ConfigMap, Secret or claim is missing (kubectl describe pods)"
                .to_owned(),
    })
}
