//! Prompts and the completion of their arguments, in the protocol's words.

use rmcp::{
    ErrorData,
    model::{
        CompleteRequestMethod, CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptRequestMethod,
        GetPromptRequestParams, GetPromptResult, ListPromptsRequestMethod, ListPromptsResult, PaginatedRequestParams,
        PromptArgument, PromptMessage, Reference, Role,
    },
};

use super::{block, completes, has_prompts, one_page};
use crate::{
    prompt::{Argument, Message, Prompt, Speaker},
    registry::Registry,
};

pub(super) fn list(
    registry: &Registry,
    request: Option<PaginatedRequestParams>,
) -> Result<ListPromptsResult, ErrorData> {
    if !has_prompts(registry) {
        return Err(ErrorData::method_not_found::<ListPromptsRequestMethod>());
    }
    one_page(request)?;
    Ok(ListPromptsResult::with_all_items(registry.prompts().map(listed).collect()))
}

pub(super) fn get(registry: &Registry, request: GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    if !has_prompts(registry) {
        return Err(ErrorData::method_not_found::<GetPromptRequestMethod>());
    }
    let prompt = named(registry, &request.name)?;
    let messages = prompt
        .write(request.arguments.unwrap_or_default())
        .map_err(|error| ErrorData::invalid_params(error, None))?
        .into_iter();
    Ok(GetPromptResult::new(messages.map(said).collect()).with_description(prompt.description))
}

pub(super) fn complete(registry: &Registry, request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    if !completes(registry) {
        return Err(ErrorData::method_not_found::<CompleteRequestMethod>());
    }
    let Reference::Prompt(reference) = &request.r#ref else {
        // Open parts of addresses have no suggestions; that is no mistake of the client's.
        return Ok(CompleteResult::default());
    };
    let prompt = named(registry, &reference.name)?;
    let argument = &request.argument;
    let Some((values, total)) = prompt.complete(&argument.name, &argument.value) else {
        let message = format!("prompt {} has no argument {:?}", prompt.name, argument.name);
        return Err(ErrorData::invalid_params(message, None));
    };
    let more = values.len() < total;
    let info = CompletionInfo::with_pagination(values, u32::try_from(total).ok(), more);
    info.map(CompleteResult::new).map_err(|error| ErrorData::internal_error(error, None))
}

fn named<'a>(registry: &'a Registry, name: &str) -> Result<&'a Prompt, ErrorData> {
    registry.prompt(name).ok_or_else(|| {
        let names: Vec<&str> = registry.prompts().map(|prompt| prompt.name).collect();
        ErrorData::invalid_params(format!("unknown prompt {name:?}; the prompts are {}", names.join(", ")), None)
    })
}

fn listed(prompt: &Prompt) -> rmcp::model::Prompt {
    let argument = |known: &Argument| {
        PromptArgument::new(known.name).with_description(known.description).with_required(known.required)
    };
    let arguments = prompt.arguments.iter().map(argument).collect();
    rmcp::model::Prompt::new(prompt.name, Some(prompt.description), Some(arguments)).with_title(prompt.title)
}

fn said(message: Message) -> PromptMessage {
    let role = match message.speaker {
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
    };
    PromptMessage::new(role, block(message.content))
}
