//! What a call leaves behind for the audit record and the counters: the AWS calls it made, and what it was done to.
//!
//! In: what tools say as they go. Out: a short list; parameters are redacted before they are kept, and beyond the bounds
//! only their number is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{metrics::Metrics, redact};

/// The most AWS calls of one call that are kept one by one.
const CALLS: usize = 64;
/// What their parameters may take together as JSON; calls after that are kept without.
const PARAMETERS: usize = 32 * 1024;
/// The most resources.
const RESOURCES: usize = 16;
/// The longest name of a resource, in bytes.
const NAME: usize = 512;

/// One call of an AWS service: what the audit record says of it, and what the counters count.
#[derive(Clone, Debug, Serialize)]
pub struct AwsCall {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) region: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    parameters: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// `ok`, or the code of the error.
    status: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) throttled: u32,
    #[serde(skip)]
    pub(crate) duration: Duration,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl AwsCall {
    /// A call that succeeded, for example `("ec2", "DescribeInstances", "eu-west-1")`; it took `duration` with all its
    /// attempts.
    #[must_use]
    pub fn new(
        service: impl Into<String>,
        operation: impl Into<String>,
        region: impl Into<String>,
        duration: Duration,
    ) -> Self {
        Self {
            service: service.into(),
            operation: operation.into(),
            region: region.into(),
            parameters: Value::Null,
            request_id: None,
            status: "ok".to_owned(),
            throttled: 0,
            duration,
        }
    }

    /// What it was asked with. Redacted like arguments: values under names such as password, and long ones. `plain` are
    /// names that only sound like a secret's.
    #[must_use]
    pub fn parameters(mut self, parameters: &Map<String, Value>, plain: &[&str]) -> Self {
        self.parameters = redact::arguments(parameters, &[], plain);
        self
    }

    /// The id AWS gave it.
    #[must_use]
    pub fn request_id(mut self, id: Option<&str>) -> Self {
        self.request_id = id.map(|id| redact::cut(id, 128));
        self
    }

    /// The code of the error it ended with, for example `AccessDenied` or `timeout`.
    #[must_use]
    pub fn failed(mut self, code: &str) -> Self {
        self.status = redact::cut(code, 128);
        self
    }

    /// How many of its attempts were refused because there were too many.
    #[must_use]
    pub const fn throttled(mut self, attempts: u32) -> Self {
        self.throttled = attempts;
        self
    }
}

/// The trail of one call.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    metrics: Option<Arc<Metrics>>,
    left: Mutex<Left>,
}

/// What is left behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) calls: Vec<AwsCall>,
    /// Calls beyond those.
    pub(crate) more: usize,
    pub(crate) resources: Vec<String>,
    bytes: usize,
}

impl Trail {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), left: Mutex::default() }
    }

    pub(crate) fn aws(&self, call: AwsCall) {
        if let Some(metrics) = &self.metrics {
            metrics.aws_call(&call);
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.calls.len() < CALLS {
            left.bytes += call.parameters.to_string().len();
            let call = if left.bytes > PARAMETERS { AwsCall { parameters: Value::Null, ..call } } else { call };
            left.calls.push(call);
        } else {
            left.more += 1;
        }
    }

    pub(crate) fn resource(&self, name: &str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.resources.len() < RESOURCES && !left.resources.iter().any(|known| known == name) {
            left.resources.push(redact::cut(name, NAME));
        }
    }

    pub(crate) fn pool_wait(&self, pool: &'static str, waited: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.pool_wait(pool, waited);
        }
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Left {
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_that_asks_aws_for_ever_leaves_a_bounded_trail() {
        let trail = Trail::default();
        for number in 0..CALLS + 5 {
            trail.aws(AwsCall::new("s3", "GetObject", "eu-west-1", Duration::ZERO));
            trail.resource(&format!("s3://bucket/{number}"));
            trail.resource(&format!("s3://bucket/{number}"));
        }
        let left = trail.take();
        assert_eq!((left.calls.len(), left.more, left.resources.len()), (CALLS, 5, RESOURCES));
    }

    #[test]
    fn parameters_are_kept_without_their_secrets() {
        let asked = json!({"MasterUserPassword": "hunter2", "DBInstanceIdentifier": "orders", "Key": "a", "Pin": "1"});
        let call = AwsCall::new("rds", "CreateDBInstance", "eu-west-1", Duration::ZERO)
            .parameters(asked.as_object().unwrap(), &["Key"])
            .request_id(Some("1f2e"))
            .failed("AccessDenied")
            .throttled(2);
        let expected = json!({
            "service": "rds", "operation": "CreateDBInstance", "region": "eu-west-1",
            "parameters": {
                "MasterUserPassword": "[redacted]", "DBInstanceIdentifier": "orders", "Key": "a", "Pin": "[redacted]"
            },
            "request_id": "1f2e", "status": "AccessDenied", "throttled": 2
        });
        assert_eq!(serde_json::to_value(call).unwrap(), expected);
    }
}
