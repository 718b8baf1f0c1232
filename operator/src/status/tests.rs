#![expect(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use serde_json::json;

use super::{pods::Hindrance, *};

static NO_EVENTS: Hindered = Hindered::new();

fn server(replicas: i32) -> McpServer {
    let mut server: McpServer = serde_json::from_value(json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "files", "namespace": "team", "generation": 3},
        "spec": {"server": {"image": {"ref": "a"}}},
    }))
    .unwrap();
    server.spec.replicas = replicas;
    server
}

fn deployment(replicas: i32, ready: i32) -> Deployment {
    let mut deployment = Deployment::default();
    deployment.metadata.generation = Some(1);
    deployment.status = Some(DeploymentStatus {
        observed_generation: Some(1),
        replicas: Some(replicas),
        updated_replicas: Some(replicas),
        ready_replicas: Some(ready),
        available_replicas: Some(ready),
        conditions: Some(vec![DeploymentCondition {
            type_: "Available".to_owned(),
            status: if ready == replicas { "True" } else { "False" }.to_owned(),
            ..DeploymentCondition::default()
        }]),
        ..DeploymentStatus::default()
    });
    deployment
}

fn pod(status: serde_json::Value) -> Arc<Pod> {
    Arc::new(serde_json::from_value(json!({"metadata": {"name": "files-1"}, "status": status})).unwrap())
}

fn waiting(reason: &str, message: &str) -> Arc<Pod> {
    pod(json!({"containerStatuses": [{
        "name": "server", "image": "ghcr.io/acme/x:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]}))
}

/// Conditions as `Type=Status/Reason`.
fn summary(status: &McpServerStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
}

fn compute_with(
    server: &McpServer,
    verdict: Verdict,
    deployment: Option<Deployment>,
    pods: &[Arc<Pod>],
) -> McpServerStatus {
    let reachable = deployment.is_some();
    let serving = deployment.as_ref().is_some_and(|it| it.status.as_ref().unwrap().available_replicas > Some(0));
    let probe = if serving { Report::Spoke(Arc::default()) } else { Report::Nobody };
    let hindered = &NO_EVENTS;
    let (address, scaling) = (Some("http://files/mcp".to_owned()), Scaling::default());
    let facts = Facts {
        verdict,
        deployment,
        pods,
        hindered,
        reachable,
        address,
        probe,
        scaling,
        exposing: Exposing::default(),
        identity: None,
    };
    compute(server, &McpServerStatus::default(), &facts, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_server_whose_pods_are_ready_serves() {
    let status = compute_with(&server(2), Verdict::Applied, Some(deployment(2, 2)), &[]);
    let expected = ["Ready=True/Serving", "Accepted=True/Valid", "Available=True/Serving", "Verified=True/ToolsListed"];
    assert_eq!(summary(&status), expected);
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.selector.as_deref(), Some("mcp-eks.dev/server=files"));
}

#[test]
fn one_pod_of_two_serves_and_is_not_the_minimum() {
    let status = compute_with(&server(2), Verdict::Applied, Some(deployment(2, 1)), &[]);
    let expected = [
        "Ready=True/Serving",
        "Accepted=True/Valid",
        "Available=False/WaitingForPods",
        "Verified=True/ToolsListed",
        "Reconciling=True/Progressing",
    ];
    assert_eq!(summary(&status), expected);
}

#[test]
fn pods_behind_a_service_that_is_not_ours_are_not_ready_for_anybody() {
    let facts = |verdict| Facts {
        verdict,
        deployment: Some(deployment(2, 2)),
        pods: &[],
        hindered: &NO_EVENTS,
        reachable: false,
        address: Some("http://files/mcp".to_owned()),
        probe: Report::Spoke(Arc::default()),
        scaling: Scaling::default(),
        exposing: Exposing::default(),
        identity: None,
    };
    let conflict = facts(Verdict::Conflict(vec!["Service files".to_owned()]));
    let status = compute(&server(2), &McpServerStatus::default(), &conflict, Timestamp::UNIX_EPOCH);
    assert_eq!(summary(&status)[0], "Ready=False/NameConflict");
    assert_eq!(status.address, None, "the address is somebody else's");
    let failed = facts(Verdict::Failed { reason: Reason::ApplyRefused, message: "quota".to_owned() });
    let status = compute(&server(2), &McpServerStatus::default(), &failed, Timestamp::UNIX_EPOCH);
    assert_eq!(summary(&status)[0], "Ready=False/ApplyRefused");
}

#[test]
fn a_running_container_that_is_not_ready_has_not_crashed() {
    let container = |started: bool| {
        pod(json!({"containerStatuses": [{
            "name": "server", "image": "a", "imageID": "", "ready": false, "restartCount": 1, "started": started,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        }]}))
    };
    let reason = |pod| summary(&compute_with(&server(1), Verdict::Applied, Some(deployment(1, 0)), &[pod]))[0].clone();
    assert_eq!(reason(container(true)), "Ready=False/WaitingForPods");
    assert_eq!(reason(container(false)), "Ready=False/PodsCrashLooping");
}

#[test]
fn last_words_are_the_last_and_carry_no_time() {
    let log = |second: u8| format!("{}\n2026-11-21T10:00:0{second}Z ERROR no such root\n", "noise ".repeat(300));
    let ended = |second| {
        let end = json!({"terminated": {"exitCode": 2, "reason": "Error", "message": log(second)}});
        let status = json!({"containerStatuses": [{
            "name": "server", "image": "a", "imageID": "", "ready": false, "restartCount": 1, "state": end,
        }]});
        compute_with(&server(1), Verdict::Applied, Some(deployment(1, 0)), &[pod(status)])
    };
    assert_eq!(ended(1), ended(2));
    assert!(
        ended(1).conditions[0].message.contains("ERROR no such root (kubectl logs"),
        "{:?}",
        ended(1).conditions[0]
    );
}

#[test]
fn a_rollout_that_does_not_come_to_an_end_says_where_to_look() {
    let mut stuck = deployment(1, 0);
    stuck.status.as_mut().unwrap().conditions.as_mut().unwrap().push(DeploymentCondition {
        type_: "Progressing".to_owned(),
        status: "False".to_owned(),
        reason: Some("ProgressDeadlineExceeded".to_owned()),
        ..DeploymentCondition::default()
    });
    let status = compute_with(&server(1), Verdict::Applied, Some(stuck), &[]);
    assert_eq!(summary(&status)[0], "Ready=False/RolloutStuck");
}

#[test]
fn before_there_are_pods_it_is_working_on_it() {
    let status = compute_with(&server(2), Verdict::Applied, None, &[]);
    let expected = [
        "Ready=False/Progressing",
        "Accepted=True/Valid",
        "Available=False/WaitingForPods",
        "Verified=Unknown/WaitingForPods",
        "Reconciling=True/Progressing",
    ];
    assert_eq!(summary(&status), expected);
}

#[test]
fn an_invalid_edit_stalls_while_the_old_pods_serve_on() {
    let problem =
        Problem { field: "spec.server".to_owned(), message: "set exactly one".to_owned(), reason: Reason::InvalidSpec };
    let status = compute_with(&server(2), Verdict::Invalid(vec![problem]), Some(deployment(2, 2)), &[]);
    let expected = [
        "Ready=True/Serving",
        "Accepted=False/InvalidSpec",
        "Available=True/Serving",
        "Verified=True/ToolsListed",
        "Stalled=True/InvalidSpec",
    ];
    assert_eq!(summary(&status), expected);
    assert!(status.conditions[0].message.ends_with("is not accepted: spec.server: set exactly one"), "{status:?}");
}

#[test]
fn a_refused_deployment_is_why_there_are_no_pods() {
    let facts = Facts {
        verdict: Verdict::Failed { reason: Reason::ApplyRefused, message: "no such field".to_owned() },
        deployment: None,
        pods: &[],
        hindered: &NO_EVENTS,
        reachable: true,
        address: None,
        probe: Report::Nobody,
        scaling: Scaling::default(),
        exposing: Exposing::default(),
        identity: None,
    };
    let status = compute(&server(2), &McpServerStatus::default(), &facts, Timestamp::UNIX_EPOCH);
    assert_eq!(summary(&status)[0], "Ready=False/ApplyRefused");
}

#[test]
fn nobody_waits_for_the_pods_of_a_spec_that_is_not_accepted() {
    let problem = Problem { field: "spec.env".to_owned(), message: "twice".to_owned(), reason: Reason::InvalidSpec };
    let status = compute_with(&server(2), Verdict::Invalid(vec![problem]), None, &[]);
    let expected = ["Ready=False/InvalidSpec", "Accepted=False/InvalidSpec", "Available=False/InvalidSpec"];
    assert_eq!(summary(&status)[..3], expected);
    assert!(status.conditions[2].message.contains("see Accepted"), "{status:?}");
}

#[test]
fn a_taken_name_stalls_and_says_which() {
    let status = compute_with(&server(2), Verdict::Conflict(vec!["Service files".to_owned()]), None, &[]);
    assert_eq!(summary(&status)[0], "Ready=False/NameConflict");
    assert!(status.conditions[0].message.contains("Service files"));
}

#[test]
fn no_pods_by_request_is_neither_ready_nor_failed() {
    let status = compute_with(&server(0), Verdict::Applied, Some(deployment(0, 0)), &[]);
    let expected = [
        "Ready=False/ScaledToZero",
        "Accepted=True/Valid",
        "Available=False/ScaledToZero",
        "Verified=Unknown/ScaledToZero",
    ];
    assert_eq!(summary(&status), expected);
}

#[test]
fn both_faces_of_a_failing_pull_read_the_same() {
    let error = r#"rpc error: code = NotFound desc = failed to pull and unpack image "ghcr.io/acme/x:1": not found"#;
    let status = |pod| compute_with(&server(1), Verdict::Applied, Some(deployment(1, 0)), &[pod]);
    let first = status(waiting("ErrImagePull", error));
    let second = status(waiting("ImagePullBackOff", &format!("Back-off pulling image \"x\": ErrImagePull: {error}")));
    assert_eq!(first, second);
    assert_eq!(summary(&first)[0], "Ready=False/ImagePullFailed");
    assert!(first.conditions[0].message.contains("ghcr.io/acme/x:1 cannot be pulled: not found"));
}

#[test]
fn a_container_that_cannot_be_made_says_what_is_missing_and_what_to_do() {
    let cases = [
        (
            waiting("CreateContainerConfigError", "secret \"token\" not found"),
            "secret \"token\" not found; create what is missing, or mark it optional in spec.env or spec.envFrom",
        ),
        (
            waiting("CreateContainerError", "exec: \"serve\": executable file not found in $PATH"),
            "executable file not found in $PATH; check the image and spec.server.image.command (kubectl describe pod",
        ),
    ];
    for (pod, words) in cases {
        let found = pods::trouble(&[pod], &Hindered::default(), None).unwrap();
        assert_eq!(found.reason, Reason::PodConfigMissing);
        assert!(found.message.contains(words), "{}", found.message);
    }
}

#[test]
fn a_crash_loop_names_exit_code_and_last_words_in_every_phase() {
    let ended = json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "no such root\n"}});
    let phase = |state: serde_json::Value| {
        let status = pod(json!({"containerStatuses": [{
            "name": "server", "image": "a", "imageID": "", "ready": false, "restartCount": 4,
            "state": state, "lastState": ended,
        }]}));
        compute_with(&server(1), Verdict::Applied, Some(deployment(1, 0)), &[status])
    };
    let back_off = phase(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}));
    assert_eq!(back_off, phase(json!({"running": {}})));
    assert_eq!(back_off, phase(ended.clone()));
    assert!(back_off.conditions[0].message.contains("ends with exit code 2 (Error): no such root"));
}

#[test]
fn transition_times_move_only_with_the_status() {
    let facts = |ready| Facts {
        verdict: Verdict::Applied,
        deployment: Some(deployment(2, ready)),
        pods: &[],
        hindered: &NO_EVENTS,
        reachable: true,
        address: None,
        probe: if ready > 0 { Report::Spoke(Arc::default()) } else { Report::Nobody },
        scaling: Scaling::default(),
        exposing: Exposing::default(),
        identity: None,
    };
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let first = compute(&server(2), &McpServerStatus::default(), &facts(2), at(1));
    assert_eq!(compute(&server(2), &first, &facts(2), at(2)), first, "the second look changes nothing");
    let later = compute(&server(2), &first, &facts(0), at(3));
    let times: Vec<_> =
        later.conditions.iter().map(|c| (c.type_.as_str(), c.last_transition_time.0.as_second())).collect();
    assert_eq!(times, [("Ready", 3), ("Accepted", 1), ("Available", 3), ("Verified", 3), ("Reconciling", 3)]);
}

#[test]
fn whatever_an_error_says_the_status_stays_small_and_printable() {
    let message = "\u{1b}[31m".to_owned() + &"x".repeat(100_000);
    let status = compute_with(&server(2), Verdict::Failed { reason: Reason::ApplyRefused, message }, None, &[]);
    let text = serde_json::to_string(&status).unwrap();
    assert!(text.len() < 4096 && !text.contains("\\u001b"), "{} bytes", text.len());
    assert_eq!(summary(&status)[4], "Reconciling=True/ApplyRefused");
}

#[test]
fn what_cannot_be_done_yet_stalls_with_a_reason_of_its_own() {
    let problem = |reason| Problem { field: "spec.auth.mode".to_owned(), message: "not yet".to_owned(), reason };
    let later = Verdict::Invalid(vec![problem(Reason::NotYetSupported)]);
    let status = compute_with(&server(2), later, None, &[]);
    let expected = ["Ready=False/NotYetSupported", "Accepted=False/NotYetSupported"];
    assert_eq!(&summary(&status)[..2], expected);
    assert_eq!(summary(&status).last().unwrap(), "Stalled=True/NotYetSupported");
    let both = Verdict::Invalid(vec![problem(Reason::NotYetSupported), problem(Reason::InvalidSpec)]);
    assert_eq!(summary(&compute_with(&server(2), both, None, &[])).last().unwrap(), "Stalled=True/InvalidSpec");
}

#[test]
fn a_convenience_that_is_missing_has_a_condition_only_if_it_is_asked_for() {
    let mut asking = server(2);
    asking.spec.autoscaling = Some(mcp_crds::scaling::Autoscaling::default());
    asking.spec.telemetry = Some(serde_json::from_value(json!({"otlpEndpoint": "http://collector:4317"})).unwrap());
    let status = compute_with(&asking, Verdict::Applied, Some(deployment(2, 2)), &[]);
    assert!(summary(&status).contains(&"Scaling=False/KedaMissing".to_owned()), "{status:?}");
    assert_eq!(summary(&status)[0], "Ready=True/Serving", "the server runs without it");
    let accepted = status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    assert!(accepted.message.ends_with("not acted on yet: spec.telemetry.otlpEndpoint"), "{accepted:?}");
    let plain = compute_with(&server(2), Verdict::Applied, Some(deployment(2, 2)), &[]);
    assert_eq!(plain.conditions.len(), 4, "{:?}", summary(&plain));
}

#[test]
fn a_paused_server_tells_the_truth_about_its_pods_and_is_not_worked_on() {
    let status = compute_with(&server(2), Verdict::Paused, Some(deployment(2, 2)), &[]);
    assert_eq!(
        summary(&status),
        ["Ready=True/Serving", "Accepted=True/Paused", "Available=True/Serving", "Verified=True/ToolsListed"]
    );
    let crashed = waiting("ErrImagePull", "no such tag: not found");
    let status = compute_with(&server(2), Verdict::Paused, Some(deployment(2, 0)), &[crashed]);
    assert_eq!(
        summary(&status),
        [
            "Ready=False/ImagePullFailed",
            "Accepted=True/Paused",
            "Available=False/ImagePullFailed",
            "Verified=Unknown/WaitingForPods"
        ]
    );
    let status = compute_with(&server(2), Verdict::Paused, None, &[]);
    assert_eq!(summary(&status)[0], "Ready=False/Paused");
}

#[test]
fn a_volume_that_is_not_there_is_named_until_the_pod_starts() {
    let why = "MountVolume.SetUp failed for volume \"data\" : configmap \"nope\" not found";
    let hindered = Hindered::from([("files-1".to_owned(), Hindrance::Volume(why.to_owned()))]);
    let reason = |phase: &str| hindered_reason(&hindered, json!({"phase": phase}));
    assert_eq!(reason("Pending").0, "VolumeNotMounted");
    assert!(reason("Pending").1.contains("configmap \"nope\" not found"));
    assert_eq!(reason("Running").0, "WaitingForPods");
    let mounted = json!({"phase": "Pending", "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}]});
    assert_eq!(hindered_reason(&hindered, mounted).0, "WaitingForPods", "the Event is older than the sandbox");
}

#[test]
fn a_sandbox_that_cannot_be_made_is_explained_in_words_that_stay() {
    let message = |why: &str| {
        let hindered = Hindered::from([("files-1".to_owned(), Hindrance::Sandbox(why.to_owned()))]);
        let (reason, message) = hindered_reason(&hindered, json!({"phase": "Pending"}));
        assert_eq!(reason, "PodSandboxFailed");
        message
    };
    let first = message("OCI runtime create failed: container init was OOM-killed (memory limit too low?): unknown");
    assert!(first.contains("raise spec.resources.limits.memory"), "{first}");
    assert_eq!(first, message("failed to start shim: signal: killed"));
    let later =
        format!("failed to start sandbox container task \"{}\": cannot start a stopped process", "8".repeat(64));
    assert_eq!(first, message(&later), "the next try ends a moment later");
    assert_eq!(first, message("OCI runtime start failed: cannot start a container that has stopped: unknown"));
    let network = |id: &str| message(&format!("failed to setup network for sandbox \"{}\": no address", id.repeat(32)));
    assert!(network("a1").contains("sandbox \"…\": no address; look at the node"), "{}", network("a1"));
    assert_eq!(network("a1"), network("b2"));
}

/// Reason and message of a server whose one pod has this status.
fn hindered_reason(hindered: &Hindered, status: serde_json::Value) -> (String, String) {
    let pods = [pod(status)];
    let facts = Facts {
        verdict: Verdict::Applied,
        deployment: Some(deployment(1, 0)),
        pods: &pods,
        hindered,
        reachable: true,
        address: None,
        probe: Report::Nobody,
        scaling: Scaling::default(),
        exposing: Exposing::default(),
        identity: None,
    };
    let status = compute(&server(1), &McpServerStatus::default(), &facts, Timestamp::UNIX_EPOCH);
    (status.conditions[0].reason.clone(), status.conditions[0].message.clone())
}

#[test]
fn an_init_container_that_fails_is_the_reason() {
    let init = json!({"initContainerStatuses": [{
        "name": "copy", "image": "a", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    }]});
    let status = compute_with(&server(1), Verdict::Applied, Some(deployment(1, 0)), &[pod(init)]);
    assert_eq!(summary(&status)[0], "Ready=False/PodsCrashLooping");
    assert!(status.conditions[0].message.contains("container copy ends with exit code 3"), "{status:?}");
}

#[test]
fn while_keda_decides_the_number_of_pods_the_spec_does_not() {
    let compute_scaled = |pods: i32, ready: i32| {
        let mut scaled = server(7);
        scaled.spec.autoscaling = Some(mcp_crds::scaling::Autoscaling::default());
        let mut deployment = deployment(pods, ready);
        let spec = json!({"replicas": pods, "selector": {}, "template": {}});
        deployment.spec = Some(serde_json::from_value(spec).unwrap());
        compute_with(&scaled, Verdict::Applied, Some(deployment), &[])
    };
    let steady = compute_scaled(3, 3);
    assert_eq!(summary(&steady)[0], "Ready=True/Serving");
    assert_eq!(steady.conditions[0].message, "3 of 3 pods are ready");
    assert!(steady.conditions.iter().all(|condition| condition.type_ != "Reconciling"), "{:?}", summary(&steady));
    let asleep = compute_scaled(0, 0);
    assert_eq!(summary(&asleep)[0], "Ready=False/ScaledToZero");
    assert!(asleep.conditions[0].message.contains("nothing in spec.autoscaling asks for a pod"), "{asleep:?}");
}
