//! `lambda_list_functions`, `lambda_invoke`.

use std::sync::Arc;

use aws_sdk_lambda::{
    primitives::Blob,
    types::{InvocationType, State},
};
use mcp_kit::{Tool, ToolError};
use serde_json::Value;

use super::{listing, spread::paged, writing};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, clip, own, said},
    place::{Aws, Place, client},
};

/// Of what a function answers.
const LARGEST: usize = 48 * 1024;

arguments!(List { ; cursor: String });
paged!(List);
arguments!(Invoke {
    function: String ;
    /// JSON the function is given
    payload: Value,
    /// Do not wait for its end
    asynchronous: bool,
    dry_run: bool,
});
answer!(Found {
    function: String, region: String ;
    runtime: String, memory_mib: i32, timeout_seconds: i32, handler: String, package: String, modified: String,
    description: String,
});
answer!(Invoked {
    function: String, status: i32, message: String ;
    payload: Value, error: String, version: String, truncated: bool,
});

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(
            aws,
            "lambda_list_functions",
            "List Lambda functions",
            "List functions with their settings.",
            true,
            list,
        ),
        writing(
            aws,
            "lambda_invoke",
            "Invoke Lambda function",
            "Call a function with a JSON payload. dry_run only checks state and permission.",
            (true, false),
            invoke,
        ),
    ]
}

async fn list(_: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let lambda = client!(aws_sdk_lambda, place.reads());
    let request = lambda.list_functions().max_items(PAGE).set_marker(token);
    let answer = place.ask("lambda:ListFunctions", request.send()).await?;
    let found = answer.functions().iter().map(|function| Found {
        function: said(function.function_name()),
        region: place.region.clone(),
        runtime: function.runtime().map(|runtime| runtime.as_str().to_owned()),
        memory_mib: function.memory_size(),
        timeout_seconds: function.timeout(),
        handler: own(function.handler()),
        package: function.package_type().map(|kind| kind.as_str().to_owned()),
        modified: own(function.last_modified()),
        description: own(function.description()).filter(|text| !text.is_empty()),
    });
    Ok(Chunk::new(found.collect(), answer.next_marker()))
}

async fn invoke(arguments: Invoke, place: Place) -> Result<Invoked, ToolError> {
    let name = &arguments.function;
    let reads = client!(aws_sdk_lambda, place.reads());
    let request = reads.get_function_configuration().function_name(name);
    let function = place.ask("lambda:GetFunctionConfiguration", request.send()).await?;
    // A function that slept wakes up when it is called.
    if let Some(state @ (State::Pending | State::Failed)) = function.state() {
        let reason = function.state_reason().unwrap_or("no reason is given");
        return Err(ToolError::new(format!("function {name} is {}: {reason}", state.as_str())));
    }
    let kind = match (arguments.dry_run, arguments.asynchronous) {
        (Some(true), _) => InvocationType::DryRun,
        (_, Some(true)) => InvocationType::Event,
        _ => InvocationType::RequestResponse,
    };
    let payload = arguments.payload.as_ref().map(|payload| Blob::new(payload.to_string()));
    let lambda = client!(aws_sdk_lambda, &place.writes());
    let request = lambda.invoke().function_name(name).invocation_type(kind.clone()).set_payload(payload);
    let answer = place.ask("lambda:InvokeFunction", request.send()).await?;
    let message = match (&kind, answer.function_error()) {
        (InvocationType::DryRun, _) => "dry run: state and permission allow it; nothing was called",
        (InvocationType::Event, _) => "Lambda has taken the event; the function's answer goes to its logs",
        (_, Some(_)) => "the function ended with an error",
        _ => "the function has answered",
    };
    let text = answer.payload().map(|blob| String::from_utf8_lossy(blob.as_ref()).into_owned()).unwrap_or_default();
    let truncated = text.len() > LARGEST;
    let payload = (!text.is_empty()).then(|| {
        let cut = || Value::String(clip(&text, LARGEST));
        if truncated { cut() } else { serde_json::from_str(&text).unwrap_or_else(|_| cut()) }
    });
    Ok(Invoked {
        function: name.clone(),
        status: answer.status_code(),
        message: message.to_owned(),
        payload,
        error: own(answer.function_error()),
        version: own(answer.executed_version()),
        truncated: truncated.then_some(true),
    })
}
