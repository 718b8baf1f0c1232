//! What can go wrong with a call to AWS, by class. Pure.
//!
//! In: the code of an error, as AWS names it. Out: a [`Class`], which decides when to try again and what status says.
//! Throttling and missing rights are in no model of the API: only the code tells them.
//! Source: <https://docs.aws.amazon.com/eks/latest/APIReference/CommonErrors.html>.

use std::fmt;

/// A call to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `ListPodIdentityAssociations`.
    List,
    /// `DescribePodIdentityAssociation`.
    Describe,
    /// `CreatePodIdentityAssociation`.
    Create,
    /// `UpdatePodIdentityAssociation`.
    Update,
    /// `DeletePodIdentityAssociation`.
    Delete,
    /// `TagResource`.
    Tag,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 6] = [Self::List, Self::Describe, Self::Create, Self::Update, Self::Delete, Self::Tag];

    /// The call's name, as AWS and its policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "ListPodIdentityAssociations",
            Self::Describe => "DescribePodIdentityAssociation",
            Self::Create => "CreatePodIdentityAssociation",
            Self::Update => "UpdatePodIdentityAssociation",
            Self::Delete => "DeletePodIdentityAssociation",
            Self::Tag => "TagResource",
        }
    }

    /// Whether the call changes something.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete | Self::Tag)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Too many requests: nothing was done, try later.
    Throttled,
    /// The caller lacks a right, or the right to pass the role.
    Denied,
    /// The caller has no credentials, or they have expired.
    NoCredentials,
    /// There is no such association, or no such cluster.
    NotFound,
    /// The key has an association.
    InUse,
    /// The cluster has as many associations as it may have.
    Limit,
    /// AWS does not take the request as it is: say, the role does not trust EKS.
    Invalid,
    /// AWS could not do it now: nothing was done, try again.
    Transient,
    /// No answer came: it may have been done.
    Lost,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Throttled,
        Self::Denied,
        Self::NoCredentials,
        Self::NotFound,
        Self::InUse,
        Self::Limit,
        Self::Invalid,
        Self::Transient,
        Self::Lost,
    ];

    /// The class of an error by its code and, where that is not known, its HTTP status.
    #[must_use]
    pub fn of(code: Option<&str>, status: Option<u16>) -> Self {
        // Some services put a namespace before the code, or a URL after it.
        let code = code.unwrap_or_default().rsplit('#').next().unwrap_or_default();
        match code.split(':').next().unwrap_or_default() {
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottledException"
            | "SlowDown" => Self::Throttled,
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired" => {
                Self::Denied
            }
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "MissingAuthenticationToken"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature" => Self::NoCredentials,
            "ResourceNotFoundException" | "NotFoundException" => Self::NotFound,
            "ResourceInUseException" => Self::InUse,
            "ResourceLimitExceededException" | "ServiceQuotaExceededException" | "LimitExceededException" => {
                Self::Limit
            }
            "InvalidParameterException"
            | "InvalidRequestException"
            | "BadRequestException"
            | "ClientException"
            | "ValidationException"
            | "ValidationError" => Self::Invalid,
            "ServerException"
            | "ServiceUnavailableException"
            | "ServiceUnavailable"
            | "InternalFailure"
            | "InternalServerException"
            | "InternalServerError"
            | "RequestTimeout"
            | "RequestTimeoutException" => Self::Transient,
            _ => match status {
                Some(429) => Self::Throttled,
                Some(401 | 403) => Self::Denied,
                Some(404) => Self::NotFound,
                Some(409) => Self::InUse,
                Some(400..=499) => Self::Invalid,
                Some(_) => Self::Transient,
                None => Self::Lost,
            },
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} {subject}: {message}")]
pub struct Failure {
    /// Which call.
    pub call: Call,
    /// Of what: a key, or an id.
    pub subject: String,
    /// What kind of failure it is.
    pub class: Class,
    /// What AWS said, or what came instead of an answer.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::Class::{self, *};

    #[test]
    fn the_code_tells_the_class_and_the_status_where_the_code_is_unknown() {
        let cases = [
            (Some("ThrottlingException"), Some(400), Throttled),
            (Some("TooManyRequestsException"), Some(429), Throttled),
            (Some("AccessDeniedException"), Some(403), Denied),
            (Some("ExpiredTokenException"), Some(403), NoCredentials),
            (Some("UnrecognizedClientException"), Some(403), NoCredentials),
            (Some("ResourceNotFoundException"), Some(404), NotFound),
            (Some("com.amazonaws.eks#ResourceInUseException:http://x"), Some(409), InUse),
            (Some("ResourceLimitExceededException"), Some(400), Limit),
            (Some("InvalidParameterException"), Some(400), Invalid),
            (Some("InvalidRequestException"), Some(400), Invalid),
            (Some("ServerException"), Some(500), Transient),
            (Some("Strange"), Some(502), Transient),
            (Some("Strange"), Some(418), Invalid),
            (None, Some(429), Throttled),
            (None, Some(503), Transient),
            (None, None, Lost),
        ];
        for (code, status, class) in cases {
            assert_eq!(Class::of(code, status), class, "{code:?} {status:?}");
        }
    }
}
