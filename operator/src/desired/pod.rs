//! The pod: one container under the restricted Pod Security Standard, with probes, and an end without a cut.
//!
//! Every field that the API server would default inside the parts that `diff` guards is set here.
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        Lifecycle, LifecycleHandler, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec,
        SeccompProfile, SecurityContext, SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use mcp_crds::{class::RootFilesystem, scheduling::Spread};

use super::{
    ChildKind, Valid,
    bundled::{Bundled, SETTINGS_DIR},
    config_map, labels,
    names::{self, SETTINGS_VOLUME, TMP_VOLUME},
    probes,
    validate::Runs,
};

/// Name of the MCP port.
pub(super) const MCP_PORT_NAME: &str = "mcp";
/// Name of the container in which the server runs.
pub(super) const CONTAINER: &str = "server";
pub(super) const HEALTH_PORT_NAME: &str = "health";
pub(super) const HEALTH_PORT: i32 = 9090;
const UID: i64 = 10001;
const TMP: &str = "/tmp";
/// The kit's setting of who writes audit records. Source: `mcp-servers/kit/src/settings/audit.rs`.
const AUDIT_WRITER: &str = "MCP_AUDIT_WRITER";
/// Seconds in which endpoints forget the pod while it still answers.
const PRE_STOP_SECONDS: i64 = 3;
/// Seconds between the end of the drain and SIGKILL.
const MARGIN_SECONDS: i64 = 5;

pub(super) fn build(server: &Valid) -> PodSpec {
    let place = &server.scheduling;
    PodSpec {
        // What the API server would default, said aloud: exchanged by hand, it is put back.
        dns_policy: Some("ClusterFirst".to_owned()),
        restart_policy: Some("Always".to_owned()),
        scheduler_name: Some("default-scheduler".to_owned()),
        service_account_name: Some(server.name.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(PRE_STOP_SECONDS + i64::from(server.drain_seconds) + MARGIN_SECONDS),
        node_selector: (!place.node_selector.is_empty()).then(|| place.node_selector.clone()),
        tolerations: (!place.tolerations.is_empty()).then(|| place.tolerations.clone()),
        topology_spread_constraints: spread(server),
        priority_class_name: place.priority_class.clone(),
        runtime_class_name: place.runtime_class.clone(),
        image_pull_secrets: pull_secrets(server),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(server.pod_security.run_as_user.unwrap_or(UID)),
            run_as_group: Some(UID),
            fs_group: Some(UID),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(server)],
        volumes: Some(volumes(server)),
        ..PodSpec::default()
    }
}

fn container(server: &Valid) -> Container {
    let mut container = Container {
        name: CONTAINER.to_owned(),
        image: Some(server.runs.image().to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        env: (!server.env.is_empty()).then(|| server.env.clone()),
        env_from: (!server.env_from.is_empty()).then(|| server.env_from.clone()),
        resources: Some(server.resources.clone()),
        // The end of the log becomes the last words of a container that fails without any.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(server)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            privileged: Some(false),
            read_only_root_filesystem: Some(server.pod_security.root_filesystem == RootFilesystem::ReadOnly),
            ..SecurityContext::default()
        }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: PRE_STOP_SECONDS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..Container::default()
    };
    match &server.runs {
        Runs::Bundled(it) => bundled(&mut container, it.binary, server),
        Runs::Image(it) => {
            container.command = (!it.command.is_empty()).then(|| it.command.clone());
            container.args = (!it.args.is_empty()).then(|| it.args.clone());
            container.ports = Some(vec![tcp(MCP_PORT_NAME, it.port)]);
        }
    }
    probes::add(&mut container, server);
    container
}

/// Ports and arguments of a server of ours. What its own pod has to agree with is an argument, which wins over
/// variables of the spec; the rest is in the settings file.
fn bundled(container: &mut Container, binary: &str, server: &Valid) {
    let args = vec![
        format!("--config={SETTINGS_DIR}/{}", config_map::FILE),
        // Both families where there are two, the one there is elsewhere.
        format!("--listen=[::]:{}", server.runs.port()),
        format!("--health-listen=[::]:{HEALTH_PORT}"),
        format!("--drain-seconds={}", server.drain_seconds),
    ];
    container.command = Some(vec![binary.to_owned()]);
    container.args = Some(args);
    // Variables of this kind are ours alone: validation refuses them in a spec.
    container.env.get_or_insert_default().push(audit_writer());
    container.ports = Some(vec![tcp(MCP_PORT_NAME, server.runs.port()), tcp(HEALTH_PORT_NAME, HEALTH_PORT)]);
}

/// Audit records name the pod that wrote them by what no other pod ever has; a name comes again.
fn audit_writer() -> EnvVar {
    let uid = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: "metadata.uid".to_owned() };
    let value_from = EnvVarSource { field_ref: Some(uid), ..EnvVarSource::default() };
    EnvVar { name: AUDIT_WRITER.to_owned(), value: None, value_from: Some(value_from) }
}

/// How evenly the pods of one template lie over domains; those of the old one are on their way out.
fn spread(server: &Valid) -> Option<Vec<TopologySpreadConstraint>> {
    let over = |spread: &Spread| TopologySpreadConstraint {
        topology_key: spread.topology_key.clone(),
        max_skew: spread.max_skew,
        when_unsatisfiable: spread.when_unsatisfiable.as_str().to_owned(),
        label_selector: Some(labels::selector(server)),
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    let spread = &server.scheduling.spread;
    (!spread.is_empty()).then(|| spread.iter().map(over).collect())
}

fn pull_secrets(server: &Valid) -> Option<Vec<LocalObjectReference>> {
    let named = server.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    (!server.pull_secrets.is_empty()).then(|| named.collect())
}

fn volumes(server: &Valid) -> Vec<Volume> {
    let mut volumes = server.volumes.clone();
    volumes.extend(server.runs.bundled().into_iter().flat_map(Bundled::volumes));
    if config_map::is_wanted(server) {
        volumes.push(Volume {
            name: SETTINGS_VOLUME.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: names::child(ChildKind::ConfigMap, &server.name),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes.push(Volume {
        name: TMP_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: None, size_limit: Some(Quantity("64Mi".to_owned())) }),
        ..Volume::default()
    });
    volumes
}

fn mounts(server: &Valid) -> Vec<VolumeMount> {
    let mut mounts = server.mounts.clone();
    mounts.extend(server.runs.bundled().into_iter().flat_map(Bundled::mounts));
    if config_map::is_wanted(server) {
        mounts.push(VolumeMount {
            name: SETTINGS_VOLUME.to_owned(),
            mount_path: SETTINGS_DIR.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    if !mounts.iter().any(|mount| mount.mount_path == TMP) {
        mounts.push(VolumeMount { name: TMP_VOLUME.to_owned(), mount_path: TMP.to_owned(), ..VolumeMount::default() });
    }
    mounts
}

fn tcp(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}
