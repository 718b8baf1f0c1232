//! Parts of the API that this version does not act on.
//!
//! Where leaving one out would loosen security or run the wrong thing, the spec is refused; where only a convenience is
//! missed, the server runs and status says so. An entry goes when its part is there.

use mcp_crds::{
    McpServerSpec,
    auth::AuthMode,
    kinds::{Writes, filesystem::Access, image::Transport},
    session::SessionMode,
    tools::OnChange,
    watch::{AuditSink, ConformanceSchedule},
};

use super::Problems;

/// Adds a problem for every field that must not be left out silently.
pub(super) fn refused(spec: &McpServerSpec, problems: &mut Problems) {
    let mut refuse = |asked: bool, field: &str, message: &str| {
        if asked {
            problems.not_yet(field, message);
        }
    };
    refuse(
        spec.class_name.is_some(),
        "spec.className",
        "classes are not enforced yet: take it out, with the identity and load balancer that need it",
    );
    if let Some(member) = spec.server.member().filter(|member| !matches!(*member, "filesystem" | "image")) {
        let field = format!("spec.server.{member}");
        refuse(true, &field, "this server cannot run yet: filesystem and image can");
    }
    if let Some(filesystem) = &spec.server.filesystem {
        let read_write = filesystem.roots.iter().any(|root| root.access == Access::ReadWrite);
        refuse(
            filesystem.writes != Writes::Off || read_write,
            "spec.server.filesystem.writes",
            "the server cannot write yet: set it to Off, and the access of every root to ReadOnly",
        );
    }
    if let Some(image) = &spec.server.image {
        refuse(
            image.transport == Transport::Stdio,
            "spec.server.image.transport",
            "there is no bridge to stdio yet: set it to StreamableHttp, for a server that speaks HTTP",
        );
    }
    if let Some(session) = &spec.session {
        refuse(
            session.mode == SessionMode::Stateful,
            "spec.session.mode",
            "requests are not kept on one pod yet: set it to Stateless",
        );
    }
    if let Some(auth) = &spec.auth {
        refuse(auth.mode != AuthMode::None, "spec.auth.mode", "nobody is asked who they are yet: set it to None");
        refuse(auth.rate_limit.is_some(), "spec.auth.rateLimit", "calls are not limited yet: take it out");
    }
    if let Some(tools) = &spec.tools {
        refuse(!tools.allow.is_empty(), "spec.tools.allow", "tools are not gated yet: take it out");
        refuse(!tools.deny.is_empty(), "spec.tools.deny", "tools are not gated yet: take it out");
        refuse(
            tools.on_change == OnChange::Block,
            "spec.tools.onChange",
            "a changed tool list does not stop a server yet: set it to Accept or Warn",
        );
    }
    if let Some(audit) = &spec.audit {
        refuse(audit.required, "spec.audit.required", "nothing waits for audit records yet: set it to false");
    }
    let hosts = spec.network.as_ref().and_then(|network| Some(!network.egress.as_ref()?.hosts.is_empty()));
    refuse(
        hosts == Some(true),
        "spec.network.egress.hosts",
        "names of hosts are not enforced yet: write cidrs and ports instead",
    );
}

/// Fields that are left out without harm: the server runs, and status says so.
#[must_use]
pub fn left_out(spec: &McpServerSpec) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let mut leave = |asked: bool, field: &'static str| {
        if asked {
            fields.push(field);
        }
    };
    leave(spec.tools.as_ref().is_some_and(|tools| tools.on_change == OnChange::Warn), "spec.tools.onChange");
    let sinks = spec.audit.as_ref().map(|audit| audit.sinks.as_slice()).unwrap_or_default();
    leave(sinks.iter().any(|sink| *sink != AuditSink::Stdout), "spec.audit.sinks");
    let telemetry = spec.telemetry.clone().unwrap_or_default();
    leave(telemetry.otlp_endpoint.is_some(), "spec.telemetry.otlpEndpoint");
    leave(telemetry.metrics.is_some_and(|metrics| metrics.pod_monitor), "spec.telemetry.metrics.podMonitor");
    let conformance = spec.conformance.as_ref().is_some_and(|it| it.schedule != ConformanceSchedule::Never);
    leave(conformance, "spec.conformance");
    fields
}
