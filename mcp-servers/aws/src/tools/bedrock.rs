//! `bedrock_list_models`, `bedrock_converse`. A call of a model costs money by the token, so only models on the server's
//! list are called, for at most as many tokens as the server allows.

use std::{sync::Arc, time::Duration};

use aws_sdk_bedrock::types::FoundationModelSummary;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message, SystemContentBlock,
};
use mcp_kit::{Tool, ToolError};

use super::{READ, reading, tool};
use crate::{
    answer::{answer, arguments, said},
    place::{Aws, Place, client},
};

/// A model may think for longer than other tools take.
const TIME: Duration = Duration::from_mins(1);
const LONGEST: usize = 100 * 1024;

arguments!(List {
    ;
    /// For example anthropic
    provider: String,
});
arguments!(Converse {
    model: String, prompt: String ;
    system: String,
    max_tokens: i32,
    temperature: f32,
});
answer!(Models { models: Vec<Model> ; });
answer!(Model { model: String, name: String, provider: String, input: Vec<String>, output: Vec<String>, callable: bool ; status: String });
answer!(Said { model: String, text: String ; stop_reason: String, input_tokens: i32, output_tokens: i32 });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    let converse = tool(
        aws,
        "bedrock_converse",
        "Converse with a model",
        "Ask a Bedrock model of the server's list. Costs by the token.",
        mcp_kit::Hints { idempotent: false, ..READ },
        converse,
    );
    vec![
        reading(aws, "bedrock_list_models", "List Bedrock models", "List foundation models of the region.", list),
        converse.with_timeout(TIME),
    ]
}

async fn list(arguments: List, place: Place) -> Result<Models, ToolError> {
    let bedrock = client!(aws_sdk_bedrock, place.reads());
    let request = bedrock.list_foundation_models().set_by_provider(arguments.provider.clone());
    let answer = place.ask("bedrock:ListFoundationModels", request.send()).await?;
    let callable = &place.aws.settings.models;
    let model = |model: &FoundationModelSummary| Model {
        model: model.model_id().to_owned(),
        name: said(model.model_name()),
        provider: said(model.provider_name()),
        input: model.input_modalities().iter().map(|kind| kind.as_str().to_owned()).collect(),
        output: model.output_modalities().iter().map(|kind| kind.as_str().to_owned()).collect(),
        callable: callable.iter().any(|id| id == model.model_id()),
        status: model.model_lifecycle().map(|life| life.status().as_str().to_owned()),
    };
    Ok(Models { models: answer.model_summaries().iter().map(model).collect() })
}

async fn converse(arguments: Converse, place: Place) -> Result<Said, ToolError> {
    let settings = &place.aws.settings;
    if !settings.models.contains(&arguments.model) {
        let known = settings.models.join(", ");
        return Err(ToolError::new(format!("model: expected one of {known}; found {:?}", arguments.model)));
    }
    if arguments.prompt.len() > LONGEST {
        return Err(ToolError::new(format!(
            "prompt: expected at most {LONGEST} bytes, found {}",
            arguments.prompt.len()
        )));
    }
    let most = settings.max_tokens;
    let tokens = arguments.max_tokens.unwrap_or(most);
    if !(1..=most).contains(&tokens) {
        return Err(ToolError::new(format!("max_tokens: expected 1 to {most}, the server's limit; found {tokens}")));
    }
    let message = Message::builder().role(ConversationRole::User).content(ContentBlock::Text(arguments.prompt)).build();
    let message = message.map_err(|error| ToolError::new(error.to_string()))?;
    let limits = InferenceConfiguration::builder().max_tokens(tokens).set_temperature(arguments.temperature).build();
    // Asked once: a second attempt would be paid for as well.
    let runtime = client!(aws_sdk_bedrockruntime, &long(&place));
    let request = runtime
        .converse()
        .model_id(&arguments.model)
        .messages(message)
        .set_system(arguments.system.map(|text| vec![SystemContentBlock::Text(text)]))
        .inference_config(limits);
    let answer = place.ask("bedrock:InvokeModel", request.send()).await?;
    let message = answer.output().and_then(|output| output.as_message().ok());
    let blocks = message.map_or(&[][..], |message| message.content());
    let text =
        blocks.iter().filter_map(|block| block.as_text().ok().map(String::as_str)).collect::<Vec<_>>().join("\n");
    let usage = answer.usage();
    Ok(Said {
        model: arguments.model,
        text,
        stop_reason: Some(answer.stop_reason().as_str().to_owned()),
        input_tokens: usage.map(|usage| usage.input_tokens()),
        output_tokens: usage.map(|usage| usage.output_tokens()),
    })
}

/// One attempt, with the time a model needs.
fn long(place: &Place) -> aws_config::SdkConfig {
    let time = TIME.saturating_sub(Duration::from_secs(5));
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(time)
        .operation_timeout(time)
        .build();
    place.writes().to_builder().timeout_config(timeouts).build()
}
