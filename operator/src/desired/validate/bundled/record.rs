//! What a bundled server records of its calls, and where it sends it.

use mcp_crds::{
    McpServerSpec,
    watch::{Audit, AuditSink},
};

use super::{super::Problems, database::POSTGRES_PORT, upstream};
use crate::desired::bundled::{Bundled, From};

pub(super) fn add(bundled: &mut Bundled, spec: &McpServerSpec, problems: &mut Problems) {
    if let Some(it) = &spec.audit {
        audit(bundled, it, spec, problems);
    }
    if let Some(url) = spec.telemetry.as_ref().and_then(|telemetry| telemetry.otlp_endpoint.as_ref()) {
        bundled.set("otlpEndpoint", url.clone());
        upstream::call_url(bundled, "spec.telemetry.otlpEndpoint", url, problems);
    }
}

fn audit(bundled: &mut Bundled, audit: &Audit, spec: &McpServerSpec, problems: &mut Problems) {
    if audit.sinks.is_empty() {
        problems.add("spec.audit.sinks", "is empty: name Stdout or Postgres, or leave it out for Stdout");
    }
    let sinks: Vec<_> = audit.sinks.iter().filter_map(|sink| name(*sink)).collect();
    if !sinks.is_empty() && sinks != ["stdout"] {
        bundled.set("audit", sinks);
    }
    if audit.required {
        bundled.set("auditRequired", true);
    }
    match (audit.sinks.contains(&AuditSink::Postgres), &audit.postgres) {
        (false, None) => {}
        (true, Some(postgres)) => {
            bundled.read("auditPostgres", "audit-postgres", From::Secret, &postgres.secret_ref);
            if let Some(ca) = &postgres.ca_config_map_ref {
                bundled.read("auditPostgresCa", "audit-postgres-ca", From::ConfigMap, ca);
            }
            upstream::guess(bundled, POSTGRES_PORT, spec);
        }
        _ => {
            let message = "set audit.postgres with the sink Postgres, and only then: it says where the table is";
            problems.add("spec.audit.postgres", message);
        }
    }
}

/// The kit's name of a sink; none for one that it does not have.
fn name(sink: AuditSink) -> Option<&'static str> {
    match sink {
        AuditSink::Stdout => Some("stdout"),
        AuditSink::Postgres => Some("postgres"),
        AuditSink::CloudWatchLogs => None,
    }
}
