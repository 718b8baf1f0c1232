//! What went wrong at AWS, as a sentence that says what to do. Nothing secret gets into it.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use mcp_kit::ToolError;

use crate::{answer::clip, place::Place};

/// A failed request.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) code: String,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No policy allows it, or one denies it.
    Denied,
    /// What was asked for is not there.
    NotFound,
    /// AWS says it is asked too often.
    Throttled,
    /// The credentials are past their time or not known to AWS.
    Expired,
    /// There are no credentials at all, or a role could not be assumed.
    NoCredentials,
    /// AWS does not answer, or says that it cannot.
    Down,
    /// Anything else that AWS says of the request.
    Refused,
}

pub(crate) const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "SlowDown",
    "LimitExceededException",
    "BandwidthLimitExceeded",
];
const EXPIRED: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
];
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AccessDeniedFault",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "NotAuthorized",
    "AuthorizationError",
    "Forbidden",
];

/// Reads the SDK's error.
pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(service) = error.as_service_error() {
        let code = service.code().unwrap_or_default();
        let message = service.message().unwrap_or_default();
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        return Fault { kind: kind(code, status), code: code.to_owned(), message: clip(message, 500) };
    }
    let credentials = causes(error).find_map(|error| error.downcast_ref::<CredentialsError>());
    if let Some(credentials) = credentials {
        return Fault { kind: Kind::NoCredentials, code: String::new(), message: of_credentials(credentials) };
    }
    let last = causes(error).last().map_or_else(String::new, |error| clip(&error.to_string(), 200));
    let kind = if matches!(error, SdkError::ConstructionFailure(_)) { Kind::Refused } else { Kind::Down };
    Fault { kind, code: String::new(), message: last }
}

fn kind(code: &str, status: u16) -> Kind {
    if THROTTLED.contains(&code) {
        Kind::Throttled
    } else if EXPIRED.contains(&code) {
        Kind::Expired
    } else if DENIED.contains(&code) {
        Kind::Denied
    } else if code.contains("NotFound") || code.starts_with("NoSuch") {
        Kind::NotFound
    } else {
        // Answers without a body (to HEAD) and codes nobody listed.
        match (code, status) {
            (_, 500..) => Kind::Down,
            (_, 429) => Kind::Throttled,
            ("", 401 | 403) => Kind::Denied,
            ("", 404) => Kind::NotFound,
            _ => Kind::Refused,
        }
    }
}

/// An error and what caused it, down to the first cause.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What STS said of the role, or where credentials were looked for in vain.
fn of_credentials(error: &CredentialsError) -> String {
    let said =
        causes(error).find_map(|error| error.downcast_ref::<aws_sdk_sts::operation::assume_role::AssumeRoleError>());
    match said {
        Some(said) => format!("STS answered {}: {}", said.code().unwrap_or("?"), clip(said.message().unwrap_or("?"), 300)),
        None => "looked in the environment (AWS_ACCESS_KEY_ID), in the profile of ~/.aws, for a web identity, for container \
                 credentials (EKS Pod Identity) and at the instance metadata"
            .to_owned(),
    }
}

impl Fault {
    /// One word for the audit record: AWS's own code, where it gave one.
    pub(crate) fn word(&self) -> &str {
        match self.kind {
            _ if !self.code.is_empty() => &self.code,
            Kind::NoCredentials => "no_credentials",
            Kind::Refused => "not_sent",
            _ => "no_answer",
        }
    }

    /// The same, known to be throttling where the time ended while waiting.
    pub(crate) fn throttled(mut self, throttled: bool) -> Self {
        if throttled && self.kind == Kind::Down {
            self.kind = Kind::Throttled;
            "throttled".clone_into(&mut self.code);
        }
        self
    }

    /// Whether it says something about the upstream rather than the request: it counts for the circuit breaker.
    pub(crate) fn is_upstream(&self) -> bool {
        matches!(self.kind, Kind::Down | Kind::Throttled)
    }

    /// The sentence.
    pub(crate) fn told(&self, place: &Place, action: &str) -> ToolError {
        let Self { code, message, .. } = self;
        let region = &place.region;
        let at =
            place.account().map_or_else(|| format!("in {region}"), |alias| format!("in {region} of account {alias}"));
        match self.kind {
            Kind::Denied => ToolError::new(format!(
                "access denied: {action} is not allowed {at}. Allow it to this server's role; `mcp-aws iam-policy --tools {}` \
                 prints all that the tool needs",
                place.tool()
            )),
            Kind::NotFound => ToolError::new(format!("not found {at}: {message} ({code})")),
            Kind::Throttled => ToolError::upstream(format!(
                "AWS throttles {action} {at}, also after waiting ({code}); ask for less at once, or later"
            )),
            Kind::Expired => ToolError::new(format!(
                "AWS does not take this server's credentials {at} ({code}): they have expired or are not known; renew them (aws \
                 sso login, or a new pod under Pod Identity)"
            )),
            Kind::NoCredentials => match place.account() {
                Some(alias) => ToolError::new(format!(
                    "the role of account {alias} could not be assumed: {message}. Allow sts:AssumeRole on it to this server's \
                     role, and let the role's trust policy name that role"
                )),
                None => ToolError::new(format!(
                    "there are no AWS credentials: {message}. Give the pod an EKS Pod Identity association, or set AWS_PROFILE"
                )),
            },
            Kind::Down => {
                let said = if code.is_empty() { message.clone() } else { format!("{code}: {message}") };
                ToolError::upstream(format!("AWS did not answer {action} {at}: {said}"))
            }
            Kind::Refused => ToolError::new(format!("AWS refused {action} {at}: {message} ({code})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for (code, status, expected) in [
            ("UnauthorizedOperation", 403, Kind::Denied),
            ("AccessDeniedException", 400, Kind::Denied),
            ("", 403, Kind::Denied),
            ("InvalidInstanceID.NotFound", 400, Kind::NotFound),
            ("NoSuchBucket", 404, Kind::NotFound),
            ("DBInstanceNotFound", 404, Kind::NotFound),
            ("", 404, Kind::NotFound),
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("", 429, Kind::Throttled),
            ("ExpiredToken", 400, Kind::Expired),
            ("InternalFailure", 500, Kind::Down),
            ("", 502, Kind::Down),
            ("ValidationError", 400, Kind::Refused),
        ] {
            assert_eq!(kind(code, status), expected, "{code} {status}");
        }
    }
}
