//! What can go wrong in the shell, by class: the class decides when to try again, the reason what status says.

use std::time::Duration;

use kube::core::Status;

use crate::{identity, identity::Failure, vocabulary::Reason};

/// A failed reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered with an error.
    #[error("{action} {object}: {}", said(source))]
    Api {
        /// What was tried, for example `apply`.
        action: &'static str,
        /// Kind and name of the object.
        object: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// AWS answered with an error, or not at all.
    #[error(transparent)]
    Aws(#[from] Failure),
    /// The server has or had an association, and the operator does not know where.
    #[error(
        "the operator does not know which EKS cluster this is: start it with --cluster-name (MCP_EKS_CLUSTER_NAME)"
    )]
    NoCluster,
    /// A call or the whole reconcile took too long.
    #[error("{action} {object}: no answer within {}s", limit.as_secs())]
    Deadline {
        /// What was tried.
        action: &'static str,
        /// Kind and name of the object.
        object: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The Secret with the probe's key holds none.
    #[error(
        "Secret {secret}: expected an Ed25519 key, as PKCS#8 in DER, under {file}, and found none: delete the Secret, and \
         the operator makes another"
    )]
    Key {
        /// Its name.
        secret: &'static str,
        /// Where in it the key should be.
        file: &'static str,
    },
    /// The reconcile panicked.
    #[error("the operator panicked: {0}; this is a bug, please report it with the log")]
    Panic(String),
    /// Something that cannot be happened, such as an object that does not serialise.
    #[error("{0}")]
    Internal(String),
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody else wrote first: look again at once.
    Conflict,
    /// Too many requests: back off.
    Throttled,
    /// It may pass by itself: back off.
    Transient,
    /// The operator lacks a right: retry slowly, loudly.
    Denied,
    /// The object is refused: retry slowly, the cluster's rules may change.
    Refused,
    /// A bug of ours.
    Bug,
}

impl Error {
    /// When to try again.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => class_of(status),
                _ => Class::Transient,
            },
            Self::Aws(failure) => match failure.class {
                identity::Class::Throttled => Class::Throttled,
                identity::Class::Denied | identity::Class::NoCredentials => Class::Denied,
                identity::Class::Limit | identity::Class::Invalid | identity::Class::NotFound => Class::Refused,
                identity::Class::InUse | identity::Class::Transient | identity::Class::Lost => Class::Transient,
            },
            Self::NoCluster => Class::Denied,
            Self::Deadline { .. } => Class::Transient,
            Self::Key { .. } => Class::Refused,
            Self::Panic(_) | Self::Internal(_) => Class::Bug,
        }
    }

    /// What status says of it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.class() {
            _ if matches!(self, Self::NoCluster) => Reason::AwsNotConfigured,
            Class::Throttled if self.is_of_aws() => Reason::AwsThrottled,
            Class::Denied if self.is_of_aws() => Reason::AwsDenied,
            Class::Refused if self.is_of_aws() => Reason::AwsRefused,
            _ if self.is_of_aws() => Reason::AwsUnavailable,
            Class::Denied | Class::Refused => Reason::ApplyRefused,
            Class::Bug => Reason::Bug,
            Class::Conflict | Class::Throttled | Class::Transient => Reason::ApiUnavailable,
        }
    }

    fn is_of_aws(&self) -> bool {
        matches!(self, Self::Aws(_))
    }
}

/// What the API server said, without the client's wrapping.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

fn class_of(status: &Status) -> Class {
    match status.code {
        409 => Class::Conflict,
        429 => Class::Throttled,
        // A namespace on its way out refuses every create; that is not ours to fight.
        401 | 403 => Class::Denied,
        400 | 404 | 405 | 413 | 422 => Class::Refused,
        _ => Class::Transient,
    }
}
