//! How servers of a class may be reached, and what they may reach.

use mcp_crds::{
    McpServerClassSpec, McpServerSpec, class::AllowedEgress, expose::ExposeType, expose::Scheme, network::Egress,
};

use super::{Denied, pattern::ends};
use crate::desired::network::Cidr;

/// Everywhere: where a spec gives ports without addresses, or switches the policy off.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

pub(super) fn check(spec: &McpServerSpec, class: &McpServerClassSpec, denied: &mut Denied) {
    if let Some(expose) = &spec.expose {
        let allowed = class.expose.clone().unwrap_or_default();
        if expose.type_ != ExposeType::ClusterIP && !allowed.allowed_types.contains(&expose.type_) {
            let message = format!(
                "the class does not allow {}: its expose.allowedTypes says what it does",
                expose.type_.as_str()
            );
            denied.add("spec.expose.type", message);
        }
        if expose.scheme != Scheme::Internal && !allowed.allowed_schemes.contains(&expose.scheme) {
            let message = format!(
                "the class does not allow {}: its expose.allowedSchemes says what it does",
                expose.scheme.as_str()
            );
            denied.add("spec.expose.scheme", message);
        }
        if let Some(group) = expose.group.as_ref().filter(|group| !allowed.allowed_groups.contains(group)) {
            let message = format!("the class does not allow {group}: its expose.allowedGroups says what it does");
            denied.add("spec.expose.group", message);
        }
    }
    let Some(network) = &spec.network else { return };
    let allowed = class.egress.clone().unwrap_or_default();
    if !network.enabled && !is_everywhere_allowed(&allowed) {
        denied.add(
            "spec.network.enabled",
            "without a policy the pods reach everything, and the class does not allow that: take it out, or allow \
             0.0.0.0/0 and ::/0 in egress.allowedCidrs of the class",
        );
    }
    egress(&network.egress.clone().unwrap_or_default(), &allowed, denied);
}

fn egress(asked: &Egress, allowed: &AllowedEgress, denied: &mut Denied) {
    for host in asked.hosts.iter().filter(|host| !ends(&allowed.allowed_hosts, host)) {
        let message = format!("the class does not allow {host}: its egress.allowedHosts says what it does");
        denied.add("spec.network.egress.hosts", message);
    }
    for cidr in asked.cidrs.iter().filter(|cidr| !lies_in(cidr, allowed)) {
        let message = format!("the class does not allow {cidr}: its egress.allowedCidrs says what it does");
        denied.add("spec.network.egress.cidrs", message);
    }
    if asked.cidrs.is_empty() && !asked.ports.is_empty() && !is_everywhere_allowed(allowed) {
        denied.add(
            "spec.network.egress.ports",
            "ports without cidrs mean every address, and the class does not allow that: write cidrs that lie in its \
             egress.allowedCidrs",
        );
    }
}

fn is_everywhere_allowed(allowed: &AllowedEgress) -> bool {
    EVERYWHERE.iter().all(|cidr| lies_in(cidr, allowed))
}

/// Whether a block lies in one that is allowed; what is no block is refused elsewhere.
fn lies_in(cidr: &str, allowed: &AllowedEgress) -> bool {
    let Ok(cidr) = cidr.parse::<Cidr>() else { return true };
    allowed.allowed_cidrs.iter().filter_map(|block| block.parse::<Cidr>().ok()).any(|block| block.contains(cidr))
}
