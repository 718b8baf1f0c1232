//! What the cluster should hold for one server: pure, one builder a kind, infallible after `validate`.
//!
//! In: a [`Valid`] server, and the versions of what it names. Out: [`Child`] objects in the order in which they are applied.
//! May not touch: clients, clocks, the environment.

pub mod bundled;
pub mod child;
pub mod class;
pub mod config_map;
pub mod deployment;
pub mod disruption;
pub mod exposure;
pub mod hosts;
pub mod ingress;
pub mod labels;
pub mod names;
pub mod network;
mod nlb;
pub mod pod;
pub mod probes;
pub mod roll;
pub mod scaled_object;
pub mod service;
pub mod service_account;
pub mod validate;

pub use child::{Child, ChildKind};
pub use class::{Ruling, Standing, rule};
pub use validate::{Defaults, Problem, Valid, is_guarded, validate};

/// Builds every child of a server, in the order in which they are to be applied.
#[must_use]
pub fn build(server: &Valid, named: &roll::Named) -> Vec<Child> {
    let settings = config_map::build(server);
    let deployment = deployment::build(server, roll::annotations(settings.as_ref(), named, server.identity.as_ref()));
    let children = [
        Some(Child::seal(ChildKind::ServiceAccount, server, &service_account::build(server))),
        settings.map(|settings| Child::seal(ChildKind::ConfigMap, server, &settings)),
        network::build(server).map(|policy| Child::seal(ChildKind::NetworkPolicy, server, &policy)),
        Some(Child::seal(ChildKind::Service, server, &service::build(server))),
        Some(Child {
            begins_with: deployment::begins_with(server),
            ..Child::seal(ChildKind::Deployment, server, &deployment)
        }),
        ingress::build(server).map(|ingress| Child::seal(ChildKind::Ingress, server, &ingress)),
        disruption::build(server).map(|budget| Child::seal(ChildKind::PodDisruptionBudget, server, &budget)),
        scaled_object::build(server).map(|scaled| Child::seal(ChildKind::ScaledObject, server, &scaled)),
    ];
    children.into_iter().flatten().collect()
}
