//! What a class makes of a server: what it denies, and what it adds. Pure.
//!
//! In: an `McpServer`, and what is known of the class that it names. Out: a [`Ruling`], which types the server or says all
//! that is wrong. What a class does not allow is denied; a server without one is reached from inside the cluster only and
//! has no identity. Rights that are taken away count for an association that is there, whatever the spec says now.

mod identity;
mod pattern;
mod pods;
mod reach;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use kube::ResourceExt;
use mcp_crds::{
    McpServer, McpServerClass, McpServerClassSpec, McpServerSpec,
    class::{AllowedNamespaces, Defaults as ClassDefaults},
    expose::ExposeType,
};

use super::{Defaults, Problem, Valid, validate};
use crate::vocabulary::Reason;

/// What is known of the class that a server names.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The class, if there is one of that name.
    pub class: Option<Arc<McpServerClass>>,
    /// Labels of the server's namespace.
    pub namespace: BTreeMap<String, String>,
}

/// What comes of it.
#[derive(Clone, Debug)]
pub struct Ruling<'a> {
    /// The server, with what its class adds.
    server: Cow<'a, McpServer>,
    /// Its class, where servers of its namespace may name it.
    class: Option<Arc<McpServerClass>>,
    /// What is denied.
    denied: Vec<Problem>,
    /// Why the pods may have no identity, or not this one.
    revoked: Option<String>,
}

/// Judges a server.
#[must_use]
pub fn rule<'a>(server: &'a McpServer, standing: &Standing) -> Ruling<'a> {
    let spec = &server.spec;
    let mut denied = Denied::default();
    let Some(name) = &spec.class_name else {
        without_class(spec, &mut denied);
        let revoked = denied.words().filter(|_| spec.identity.is_some());
        return Ruling { server: Cow::Borrowed(server), class: None, revoked, denied: denied.0 };
    };
    let namespace = server.namespace().unwrap_or_default();
    let admitted = standing.class.as_ref().filter(|class| {
        class.spec.allowed_namespaces.as_ref().is_some_and(|allowed| admits(allowed, &namespace, &standing.namespace))
    });
    let Some(class) = admitted else {
        let message = match &standing.class {
            None => format!("there is no McpServerClass {name:?}: name one of `kubectl get mcpserverclasses`"),
            Some(_) => format!(
                "McpServerClass {name:?} is not for servers of this namespace: add it to spec.allowedNamespaces of the class"
            ),
        };
        denied.add("spec.className", message);
        return Ruling { server: Cow::Borrowed(server), class: None, revoked: denied.words(), denied: denied.0 };
    };
    identity::check(spec, &class.spec, &mut denied);
    let revoked = denied.words();
    let merged = under(server, &class.spec);
    reach::check(spec, &class.spec, &mut denied);
    pods::check(spec, &merged.spec, &class.spec, &mut denied);
    Ruling { server: Cow::Owned(merged), class: Some(class.clone()), denied: denied.0, revoked }
}

impl Ruling<'_> {
    /// The server typed, or everything that is wrong with it.
    pub fn validate(&self, defaults: &Defaults) -> Result<Valid, Vec<Problem>> {
        let problems = match validate(&self.server, defaults) {
            Ok(mut valid) if self.denied.is_empty() => {
                let relaxed = self.class.as_ref().and_then(|class| class.spec.pod_security.clone());
                valid.pod_security = relaxed.unwrap_or_default();
                return Ok(valid);
            }
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        Err([problems, self.denied.clone()].concat())
    }

    /// Why an association with this role may not be any more, or what the spec asks for may not; nothing if both may.
    #[must_use]
    pub fn revoked(&self, role: Option<&str>) -> Option<String> {
        self.revoked.clone().or_else(|| {
            let role = role.filter(|role| !self.class.as_ref().is_some_and(|it| identity::allows(&it.spec, role)))?;
            Some(format!("spec.className: the class does not allow the role {role} any more"))
        })
    }
}

/// Collects what is denied.
#[derive(Debug, Default)]
struct Denied(Vec<Problem>);

impl Denied {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into(), reason: Reason::ClassDenied });
    }

    /// All of it in one text.
    fn words(&self) -> Option<String> {
        let lines: Vec<_> = self.0.iter().map(|denied| format!("{}: {}", denied.field, denied.message)).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// The schema says so too; this holds where it is older.
fn without_class(spec: &McpServerSpec, denied: &mut Denied) {
    let exposed = spec.expose.as_ref().is_some_and(|expose| expose.type_ != ExposeType::ClusterIP);
    for (asked, field) in [(spec.identity.is_some(), "spec.identity"), (exposed, "spec.expose.type")] {
        if asked {
            denied.add(field, "needs a class that allows it: name an McpServerClass in spec.className");
        }
    }
}

/// Whether servers of a namespace may name the class.
fn admits(allowed: &AllowedNamespaces, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
    let carries = |(key, value): (&String, &mcp_crds::network::LabelValue)| labels.get(key) == Some(&value.0);
    allowed.names.iter().any(|name| name == namespace)
        || allowed.selector.as_ref().is_some_and(|selector| selector.match_labels.iter().all(carries))
}

/// The server with what its class adds.
fn under(server: &McpServer, class: &McpServerClassSpec) -> McpServer {
    let mut server = server.clone();
    let spec = &mut server.spec;
    if let Some(defaults) = &class.defaults {
        fill(spec, defaults.clone());
    }
    let nodes =
        class.scheduling.as_ref().map(|scheduling| &scheduling.node_selector).filter(|labels| !labels.is_empty());
    if let Some(nodes) = nodes {
        // Where a class puts its servers is not for them to change.
        spec.scheduling.get_or_insert_default().node_selector.extend(nodes.clone());
    }
    server
}

/// Puts in what the spec says nothing of.
fn fill(spec: &mut McpServerSpec, defaults: ClassDefaults) {
    let ClassDefaults { session, resources, scheduling, disruption, probes, network, audit, telemetry, .. } = defaults;
    spec.session = spec.session.take().or(session);
    spec.resources = spec.resources.take().or(resources);
    spec.scheduling = spec.scheduling.take().or(scheduling);
    spec.disruption = spec.disruption.take().or(disruption);
    spec.probes = spec.probes.take().or(probes);
    spec.network = spec.network.take().or(network);
    spec.audit = spec.audit.take().or(audit);
    spec.telemetry = spec.telemetry.take().or(telemetry);
    for (key, value) in defaults.pod_labels {
        spec.pod_labels.entry(key).or_insert(value);
    }
    for (key, value) in defaults.pod_annotations {
        spec.pod_annotations.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests;
