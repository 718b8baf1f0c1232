//! What the cluster should hold for one server: pure, one builder a kind, infallible after `validate`.
//!
//! In: a [`Valid`] server. Out: [`Child`] objects in the order in which they are applied. May not touch: clients,
//! clocks, the environment.

pub mod child;
pub mod deployment;
pub mod hosts;
pub mod labels;
pub mod pod;
pub mod service;
pub mod service_account;
pub mod validate;

pub use child::{Child, ChildKind};
pub use validate::{Defaults, Problem, Valid, validate};

/// Builds every child of a server, in the order in which they are to be applied.
#[must_use]
pub fn build(server: &Valid) -> Vec<Child> {
    vec![
        Child::seal(ChildKind::ServiceAccount, server, &service_account::build(server)),
        Child::seal(ChildKind::Service, server, &service::build(server)),
        Child::seal(ChildKind::Deployment, server, &deployment::build(server)),
    ]
}
