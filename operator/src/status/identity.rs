//! The condition IdentityReady, from what is known of the association. Pure.

use mcp_crds::status::IdentityStatus;

use super::conditions::Truth;
use crate::{
    error::Error,
    identity::{Association, plan::Foreign, proof::Proof, tend::State, token},
    rights::AGENT,
    vocabulary::Reason,
};

/// The condition to be, and what it means for the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// The whole story.
    pub message: String,
    /// Whether the pods have to wait.
    pub holds: bool,
    /// Whether only a person can go on.
    pub stalls: bool,
    /// What status holds of the association.
    pub status: Option<IdentityStatus>,
}

impl Identity {
    fn not_yet(reason: Reason, message: String) -> Self {
        Self { truth: Truth::False, reason, message, holds: true, stalls: false, status: None }
    }

    /// The operator does not know its cluster.
    #[must_use]
    pub fn not_configured() -> Self {
        Self { stalls: true, ..Self::not_yet(Reason::AwsNotConfigured, Error::NoCluster.to_string()) }
    }

    /// A class does not allow it. `had` says whether pods had one.
    #[must_use]
    pub fn revoked(why: &str, had: bool) -> Self {
        let rest = if had {
            "the association goes and the pods are stopped. Sessions that AWS gave out before live on until they expire: \
             revoke the sessions of the role to end them now"
        } else {
            "no association is made"
        };
        Self { stalls: true, ..Self::not_yet(Reason::ClassDenied, format!("{why}; {rest}")) }
    }

    /// The same, as far as the pods prove it: some lack credentials, or get those of another mechanism.
    #[must_use]
    pub fn proven(mut self, proof: &Proof, irsa: Option<&str>) -> Self {
        if let Some(first) = proof.lacking.first() {
            let rest = match proof.lacking.len() {
                1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            let next = match (proof.fargate, proof.anew) {
                (true, _) => "Fargate knows no Pod Identity: let them run on other nodes (spec.scheduling)",
                (false, false) => "they may have been admitted before it, and are replaced once",
                (false, true) => {
                    "they were replaced once, which did not help: see that EKS may change pods (its webhook), and that the \
                     add-on eks-pod-identity-agent runs on their nodes; then restart the Deployment"
                }
            };
            let gets = if proof.fargate { "gets" } else { "carries" };
            self.message = format!("{}; but pod {first}{rest} {gets} no credentials of it: {next}", self.message);
            (self.truth, self.reason) = (Truth::False, Reason::PodsPredateAssociation);
        }
        if let Some(role) = irsa {
            let warning = "the ServiceAccount has the annotation eks.amazonaws.com/role-arn (IRSA), and SDKs may take that \
                           role instead: take it off";
            self.message = format!("{}; {warning} ({role})", self.message);
        }
        self
    }

    /// The same in a cluster without the agent: pods carry the means to ask for credentials, and nobody answers.
    #[must_use]
    pub fn agentless(mut self) -> Self {
        self.message = format!(
            "{}; there is no DaemonSet {AGENT} in kube-system, from which pods get their credentials: install the EKS add-on \
             of that name",
            self.message
        );
        self
    }

    /// Something comes first.
    #[must_use]
    pub fn waiting(why: &str) -> Self {
        Self::not_yet(Reason::WaitingForAssociation, format!("no association yet: {why}"))
    }

    /// AWS or the API server did not do it.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        Self::not_yet(error.reason(), error.to_string())
    }

    /// By how far the association is.
    #[must_use]
    pub fn of(state: &State) -> Self {
        match state {
            State::Ready(found) => Self {
                truth: Truth::True,
                reason: Reason::Associated,
                message: format!("{} gives the pods the role {}", found.id, role(found)),
                holds: false,
                stalls: false,
                status: Some(status(found)),
            },
            State::Settling(found, _) => Self {
                status: Some(status(found)),
                ..Self::not_yet(
                    Reason::WaitingForAssociation,
                    format!("{} is there; pods wait some seconds until AWS shows it everywhere", found.id),
                )
            },
            State::Coming(why, found) => Self {
                status: found.as_ref().map(status),
                ..Self::not_yet(Reason::WaitingForAssociation, format!("the association is coming: {why}"))
            },
            State::Foreign(foreign) => {
                Self { stalls: true, ..Self::not_yet(Reason::ForeignAssociation, words(foreign)) }
            }
        }
    }
}

fn role(found: &Association) -> &str {
    found.grant.target_role_arn.as_deref().unwrap_or(&found.grant.role_arn)
}

fn words(foreign: &Foreign) -> String {
    match foreign {
        Foreign::Addons { id, addon } => {
            format!("the ServiceAccount has association {id}, which the add-on {addon} owns: rename the McpServer")
        }
        Foreign::Retained { id } => format!(
            "a deleted server of this name left association {id} on purpose: set spec.identity.adoption to IfTagged to take it \
             over, or delete it"
        ),
        Foreign::Others { id } => format!(
            "the ServiceAccount has association {id}, which somebody else made: delete it, or tag it for this McpServer and set \
             spec.identity.adoption to IfTagged"
        ),
    }
}

/// What status holds of an association.
fn status(found: &Association) -> IdentityStatus {
    let policy = found.grant.policy.as_deref();
    IdentityStatus {
        association_id: Some(found.id.clone()),
        association_arn: Some(found.arn.clone()),
        role_arn: Some(found.grant.role_arn.clone()),
        policy_hash: policy.map(token::of_policy),
        policy_size: policy.map(|policy| i32::try_from(policy.chars().count()).unwrap_or(i32::MAX)),
        external_id: found.external_id.clone(),
    }
}
