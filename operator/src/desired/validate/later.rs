//! Parts of the API that this version does not act on.
//!
//! Where leaving one out would loosen security or run the wrong thing, the spec is refused; where only a convenience is
//! missed, the server runs and status says so. An entry goes when its part is there. What bundled servers enforce
//! themselves cannot be asked of `server.image`.

use mcp_crds::{
    McpServerSpec,
    auth::AuthMode,
    kinds::image::Transport,
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
    if let Some(member) = spec.server.member().filter(|member| matches!(*member, "product" | "order")) {
        let field = format!("spec.server.{member}");
        refuse(true, &field, "this sample server cannot run yet: aws, database, custom, filesystem and image can");
    }
    if let Some(image) = &spec.server.image {
        refuse(
            image.transport == Transport::Stdio,
            "spec.server.image.transport",
            "there is no bridge to stdio yet: set it to StreamableHttp, for a server that speaks HTTP",
        );
    }
    refuse(
        spec.tools.as_ref().is_some_and(|tools| tools.on_change == OnChange::Block),
        "spec.tools.onChange",
        "a changed tool list does not stop a server yet: set it to Accept or Warn",
    );
    if let Some(audit) = spec.audit.as_ref().filter(|_| spec.server.image.is_none()) {
        refuse(
            audit.required && audit.sinks.contains(&AuditSink::CloudWatchLogs),
            "spec.audit.sinks",
            "records are not sent to CloudWatch Logs yet, and required says that none may be missed: use Stdout, which \
             the cluster's log agent takes there, or Postgres",
        );
    }
    if spec.server.image.is_some() {
        others(spec, &mut refuse);
    }
    let hosts = spec.network.as_ref().and_then(|network| Some(!network.egress.as_ref()?.hosts.is_empty()));
    refuse(
        hosts == Some(true),
        "spec.network.egress.hosts",
        "names of hosts are not enforced yet: write cidrs and ports instead",
    );
}

/// What the runtime of bundled servers enforces, and nobody does in front of a server that is only known by its image.
fn others(spec: &McpServerSpec, refuse: &mut impl FnMut(bool, &str, &str)) {
    let auth = spec.auth.clone().unwrap_or_default();
    refuse(
        auth.mode != AuthMode::None,
        "spec.auth.mode",
        "only bundled servers ask who calls: set it to None, and let the server of spec.server.image ask by itself",
    );
    refuse(
        auth.rate_limit.is_some(),
        "spec.auth.rateLimit",
        "only bundled servers limit calls: take it out, and let the server of spec.server.image do it by itself",
    );
    let tools = spec.tools.clone().unwrap_or_default();
    for (names, field) in [(tools.allow, "spec.tools.allow"), (tools.deny, "spec.tools.deny")] {
        refuse(
            !names.is_empty(),
            field,
            "only bundled servers hide and refuse tools: take it out, and choose the tools in the server of \
             spec.server.image",
        );
    }
    refuse(
        tools.consent_key_ref.is_some(),
        "spec.tools.consentKeyRef",
        "only bundled servers ask for consent: take it out",
    );
    refuse(
        spec.audit.as_ref().is_some_and(|audit| audit.required),
        "spec.audit.required",
        "only bundled servers wait for their records: set it to false",
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
    let is_image = spec.server.image.is_some();
    let sinks = spec.audit.as_ref().map(|audit| audit.sinks.as_slice()).unwrap_or_default();
    let missed = |sink: &AuditSink| *sink == AuditSink::CloudWatchLogs || (is_image && *sink != AuditSink::Stdout);
    leave(sinks.iter().any(missed), "spec.audit.sinks");
    let telemetry = spec.telemetry.clone().unwrap_or_default();
    leave(is_image && telemetry.otlp_endpoint.is_some(), "spec.telemetry.otlpEndpoint");
    leave(telemetry.metrics.is_some_and(|metrics| metrics.pod_monitor), "spec.telemetry.metrics.podMonitor");
    let conformance = spec.conformance.as_ref().is_some_and(|it| it.schedule != ConformanceSchedule::Never);
    leave(conformance, "spec.conformance");
    fields
}
