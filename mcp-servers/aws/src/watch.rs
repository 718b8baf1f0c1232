//! Sees every request to AWS: one interceptor in all clients, so that no tool has to think of it.
//!
//! In: what the SDK sends and gets. Out: what audit records and counters say of the request: service, operation, parameters
//! (never content, a header or a credential; the kit redacts and cuts them again), attempts that were throttled, request id.
//! What the SDK asks for credentials of another account belongs to the request that needed them.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
                FinalizerInterceptorContextRef,
            },
        },
        orchestrator::{HttpRequest, Metadata},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use mcp_kit::AwsCall;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::fault::THROTTLED;

/// Bodies beyond this are content.
const LARGEST: usize = 16 * 1024;
/// Operations whose bodies are content, whatever their size.
const CONTENT: &[&str] = &["Converse", "Invoke", "PutObject"];
/// Fields that are content.
const VALUES: &[&str] = &["ExpressionAttributeValues", "ExclusiveStartKey"];
/// Fields that sound like secrets and are names: the key of an object.
const NAMES: &[&str] = &["Key"];

tokio::task_local! {
    /// What was seen of the request that is being polled now.
    static SEEN: RefCell<Seen>;
}

/// What the interceptor learns of one request.
#[derive(Debug, Default)]
struct Seen {
    service: String,
    operation: String,
    parameters: Map<String, Value>,
    request_id: Option<String>,
    throttled: u32,
    began: Option<Instant>,
    took: Duration,
    /// What was asked for its credentials.
    also: Vec<AwsCall>,
}

/// What was seen of a request.
pub(crate) struct Watched {
    /// Whether AWS throttled it on the way.
    pub(crate) throttled: bool,
    also: Vec<AwsCall>,
    /// Nothing where nothing was sent.
    own: Option<AwsCall>,
}

impl Watched {
    /// The calls of AWS that were made, in their order; the last ended with the error of this code, if there was one.
    pub(crate) fn ended(self, failed: Option<&str>) -> Vec<AwsCall> {
        let mut calls = self.also;
        calls.extend(self.own.map(|own| match failed {
            Some(code) => own.failed(code),
            None => own,
        }));
        calls
    }
}

/// Runs a request and tells what was seen of it.
pub(crate) async fn watched<T>(region: &str, request: impl Future<Output = T>) -> (T, Watched) {
    let work = async {
        let answer = request.await;
        (answer, SEEN.with(RefCell::take))
    };
    let (answer, seen) = SEEN.scope(RefCell::default(), work).await;
    // Without credentials nothing is signed, and nothing sent.
    let own = seen.began.filter(|_| !seen.operation.is_empty()).map(|_| {
        AwsCall::new(seen.service, seen.operation, region, seen.took)
            .parameters(&seen.parameters, NAMES)
            .request_id(seen.request_id.as_deref())
            .throttled(seen.throttled)
    });
    (answer, Watched { throttled: seen.throttled > 0, also: seen.also, own })
}

/// Notes what had to be asked before the request that is being polled now could be sent.
pub(crate) fn also(calls: Vec<AwsCall>) {
    note(|seen| seen.also.extend(calls));
}

/// The interceptor.
#[derive(Debug)]
pub(crate) struct Watch;

fn note(what: impl FnOnce(&mut Seen)) {
    // Requests of the SDK itself (for its own credentials) are nobody's call.
    let _ = SEEN.try_with(|seen| what(&mut seen.borrow_mut()));
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "mcp-aws"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        note(|seen| seen.began = Some(Instant::now()));
        Ok(())
    }

    fn read_before_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        note(|seen| {
            if let Some(metadata) = bag.load::<Metadata>() {
                // "Bedrock Runtime" and "bedrock" in one way of writing.
                seen.service = metadata.service().to_ascii_lowercase().replace(' ', "-");
                metadata.name().clone_into(&mut seen.operation);
            }
            seen.parameters = parameters(&seen.operation, context.request());
            name_object(&mut seen.parameters, bag);
        });
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Err(error)) = context.output_or_error() {
            // The type of the error is the operation's own; all of them show their code like this.
            let shown = format!("{error:?}");
            let throttled = THROTTLED.iter().any(|code| shown.contains(&format!("code: Some(\"{code}\")")));
            note(|seen| seen.throttled += u32::from(throttled));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().map(aws_smithy_runtime_api::http::Response::headers);
        let id =
            headers.and_then(|headers| headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")));
        note(|seen| {
            seen.request_id = id.map(str::to_owned);
            seen.took = seen.began.map(|began| began.elapsed()).unwrap_or_default();
        });
        Ok(())
    }
}

/// What a request asks for, from its path, its query and (JSON or form) its body.
fn parameters(operation: &str, request: &HttpRequest) -> Map<String, Value> {
    let mut found = Map::new();
    let (path, query) = target(request.uri());
    if path.len() > 1 {
        // As it was meant: what is written in escapes is neither read by people nor known for a secret.
        found.insert("path".to_owned(), percent_decode_str(path).decode_utf8_lossy().into());
    }
    found.extend(pairs(query.as_bytes()));
    let body = request.body().bytes().filter(|body| body.len() <= LARGEST && !CONTENT.contains(&operation));
    let kind = request.headers().get("content-type").unwrap_or_default();
    if let Some(body) = body {
        if kind.contains("json") {
            if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
                found.extend(fields);
            }
        } else if kind.contains("x-www-form-urlencoded") {
            found.extend(pairs(body));
        }
    }
    found.retain(|name, _| !VALUES.contains(&name.as_str()) && !matches!(name.as_str(), "Action" | "Version" | "x-id"));
    found
}

/// S3 has bucket and key in its paths, or the bucket in the name of the host: they are told by their names.
#[cfg(feature = "s3")]
fn name_object(found: &mut Map<String, Value>, bag: &ConfigBag) {
    use aws_sdk_s3::config::endpoint::Params;
    use aws_smithy_runtime_api::client::endpoint::EndpointResolverParams;
    let Some(asked) = bag.load::<EndpointResolverParams>().and_then(EndpointResolverParams::get::<Params>) else {
        return;
    };
    found.remove("path");
    for (name, value) in [("Bucket", asked.bucket()), ("Key", asked.key())] {
        if let Some(value) = value {
            found.insert(name.to_owned(), value.into());
        }
    }
}

#[cfg(not(feature = "s3"))]
fn name_object(_: &mut Map<String, Value>, _: &ConfigBag) {}

/// Path and query of an address.
fn target(uri: &str) -> (&str, &str) {
    let rest =
        uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    rest.split_once('?').unwrap_or((rest, ""))
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, Value)> {
    form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;
    use serde_json::json;

    use super::*;

    fn of(operation: &str, uri: &str, kind: &str, body: &str) -> Value {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_uri(uri).unwrap();
        request.headers_mut().insert("content-type", kind.to_owned());
        request.headers_mut().insert("authorization", "AWS4-HMAC-SHA256 Credential=AKIA");
        Value::Object(parameters(operation, &request))
    }

    #[test]
    fn parameters_are_read_from_every_protocol_and_content_from_none() {
        let form = "Action=StartInstances&Version=2016-11-15&InstanceId.1=i-1";
        let form =
            of("StartInstances", "https://ec2.us-west-2.amazonaws.com/", "application/x-www-form-urlencoded", form);
        assert_eq!(form, json!({"InstanceId.1": "i-1"}));
        let body = r#"{"TableName":"t","ExpressionAttributeValues":{":s":{"S":"secret"}}}"#;
        assert_eq!(of("Query", "https://d/", "application/x-amz-json-1.0", body), json!({"TableName": "t"}));
        let invoke =
            of("Invoke", "http://127.0.0.1:1/2015-03-31/functions/f/invocations", "application/json", "{\"p\":1}");
        assert_eq!(invoke, json!({"path": "/2015-03-31/functions/f/invocations"}));
        let put = of("PutObject", "https://b.s3.amazonaws.com/k?x-id=PutObject", "text/plain", "content");
        assert_eq!(put, json!({"path": "/k"}));
        let named = "https://lambda/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Af/invocations";
        let named = of("Invoke", named, "application/json", "{}");
        assert_eq!(named["path"], "/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:f/invocations");
    }
}
