//! Resources and templates of them, in the protocol's words.

use rmcp::{
    ErrorData,
    model::{
        ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod,
        ListResourcesResult, PaginatedRequestParams, ReadResourceRequestMethod, ReadResourceResult, ResourceContents,
        ResourceTemplate,
    },
};
use serde_json::json;

use super::{Adapter, Asked, Principal, has_resources, one_page};
use crate::{
    resource::{Contents, Resource},
    tool::{Failure, ToolError},
};

pub(super) fn list(
    adapter: &Adapter,
    request: Option<PaginatedRequestParams>,
    asked: Asked<'_>,
) -> Result<ListResourcesResult, ErrorData> {
    if !has_resources(&adapter.registry) {
        return Err(ErrorData::method_not_found::<ListResourcesRequestMethod>());
    }
    one_page(request)?;
    let fixed = seen(adapter, asked).filter(|resource| !resource.is_template());
    let listed = |resource: &Resource| {
        rmcp::model::Resource::new(resource.uri, resource.name)
            .with_title(resource.title)
            .with_description(resource.description)
            .with_mime_type(resource.mime_type)
    };
    Ok(ListResourcesResult::with_all_items(fixed.map(listed).collect()))
}

pub(super) fn templates(
    adapter: &Adapter,
    request: Option<PaginatedRequestParams>,
    asked: Asked<'_>,
) -> Result<ListResourceTemplatesResult, ErrorData> {
    if !has_resources(&adapter.registry) {
        return Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>());
    }
    one_page(request)?;
    let listed = |resource: &Resource| {
        ResourceTemplate::new(resource.uri, resource.name)
            .with_title(resource.title)
            .with_description(resource.description)
            .with_mime_type(resource.mime_type)
    };
    let templates = seen(adapter, asked).filter(|resource| resource.is_template());
    Ok(ListResourceTemplatesResult::with_all_items(templates.map(listed).collect()))
}

pub(super) async fn read(adapter: &Adapter, uri: &str, asked: Asked<'_>) -> Result<ReadResourceResult, ErrorData> {
    if !has_resources(&adapter.registry) {
        return Err(ErrorData::method_not_found::<ReadResourceRequestMethod>());
    }
    let missing = |message: String| ErrorData::resource_not_found(message, Some(json!({"uri": uri})));
    let Some((resource, address)) = adapter.registry.resource(uri) else {
        let known: Vec<&str> = seen(adapter, asked).map(|resource| resource.uri).collect();
        return Err(missing(format!("no resource has this address; there are {}", known.join(", "))));
    };
    adapter.permit(resource.uri, resource.scope, asked)?;
    let contents = adapter.pipeline.read(resource, address, &asked.caller(), &asked.slot()).await;
    let contents = match contents.map_err(|error: ToolError| (error.kind, error.to_string())) {
        Ok(Contents::Text(text)) => ResourceContents::text(text, uri),
        Ok(Contents::Blob(data)) => ResourceContents::blob(data, uri),
        Err((Failure::NotFound, message)) => return Err(missing(message)),
        Err((_, message)) => return Err(ErrorData::internal_error(message, Some(json!({"uri": uri})))),
    };
    Ok(ReadResourceResult::new(vec![contents.with_mime_type(resource.mime_type)]))
}

/// The resources this caller may see.
fn seen<'a>(adapter: &'a Adapter, asked: Asked<'_>) -> impl Iterator<Item = &'a Resource> {
    let principal = asked.of_transport::<std::sync::Arc<Principal>>().cloned();
    adapter
        .registry
        .resources()
        .filter(move |resource| principal.as_ref().is_none_or(|principal| principal.sees(resource.scope)))
}
