//! The adapter between the registry and rmcp, which speaks the protocol: every method, both eras.
//!
//! In: protocol requests. Out: protocol results. The only room besides `http` and `stdio` that knows rmcp's types.

use std::{borrow::Cow, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod, CompleteRequestParams,
        CompleteResult, ContentBlock, CustomRequest, CustomResult, ErrorCode, Implementation, InitializeRequestParams,
        InitializeResult, InitializeResultMethod, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ResourceContents,
        ServerCapabilities, ServerConfig, ToolAnnotations,
    },
    service::RequestContext,
};

use crate::{
    access::{Principal, Shortfall},
    call::{Caller, Pipeline, STDIO},
    capacity::Slot,
    registry::Registry,
    run::Identity,
    tool::{Answer, Content, Tool, ToolError},
};

/// The revisions this server speaks.
const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// Methods rmcp knows: if it could not read one of these, its parameters were wrong, not its name.
const KNOWN: &[&str] = &["server/discover", "tools/call", "tools/list"];
/// The same, but only before 2026-07-28.
const LEGACY: &[&str] = &["initialize", "ping"];

/// One server as rmcp sees it.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) identity: Identity,
    pub(crate) registry: Registry,
    pub(crate) pipeline: Pipeline,
}

impl Adapter {
    /// The tools this caller may see.
    fn seen(&self, context: &RequestContext<RoleServer>) -> impl Iterator<Item = &Tool> {
        let principal = of_transport::<Arc<Principal>>(context).cloned();
        self.registry.tools().filter(move |tool| principal.as_ref().is_none_or(|principal| principal.may(tool)))
    }
}

impl ServerHandler for Adapter {
    fn get_info(&self) -> ServerConfig {
        let identity = &self.identity;
        let implementation = Implementation::new(identity.name, identity.version).with_title(identity.title);
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation)
            .with_instructions(identity.instructions)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
        self.registry.get(name).map(listed)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if is_modern(&context) {
            return Err(ErrorData::method_not_found::<InitializeResultMethod>());
        }
        let result = self.negotiate_initialize(&request);
        context.peer.set_peer_info(request);
        result
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if let Some(cursor) = request.and_then(|request| request.cursor) {
            let message =
                format!("unknown cursor {cursor:?}: this server lists all its tools on one page, ask without one");
            return Err(ErrorData::invalid_params(message, None));
        }
        Ok(ListToolsResult::with_all_items(self.seen(&context).map(listed).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.registry.get(&request.name) else {
            self.pipeline.metrics.unknown_tool();
            let names: Vec<&str> = self.seen(&context).map(|tool| tool.name).collect();
            let message = format!("unknown tool {:?}; the tools are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        if let Some(principal) = of_transport::<Arc<Principal>>(&context)
            && !principal.may(tool)
        {
            if let Some(shortfall) = of_transport::<Arc<Shortfall>>(&context) {
                let _ = shortfall.0.set(tool.scope);
            }
            self.pipeline.metrics.refused(tool.name, "forbidden");
            let message =
                format!("{} needs the scope {:?}, which {:?} does not have", tool.name, tool.scope, principal.name);
            return Err(ErrorData::invalid_request(message, None));
        }
        let arguments = request.arguments.unwrap_or_default();
        let slot = slot(&context);
        let principal =
            of_transport::<Arc<Principal>>(&context).map_or_else(|| STDIO.into(), |it| Arc::clone(&it.name));
        let caller = Caller { principal, gone: context.ct.clone() };
        let result = self.pipeline.run(tool, arguments, &caller, &slot).await;
        Ok(result.map_or_else(|error| failed(&error), answered).into())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method.as_str();
        if KNOWN.contains(&method) || (LEGACY.contains(&method) && !is_modern(&context)) {
            let message = format!("the params of {} have missing or malformed fields", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }
}

/// Whether a request says of itself that it is of the stateless era.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.meta.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// What the transport holds until the answer is sent; over stdio, what is held until it is made.
fn slot(context: &RequestContext<RoleServer>) -> Arc<Slot> {
    of_transport::<Arc<Slot>>(context).map(Arc::clone).unwrap_or_default()
}

/// What the HTTP front left for us; nothing over stdio.
fn of_transport<T: Clone + Send + Sync + 'static>(context: &RequestContext<RoleServer>) -> Option<&T> {
    context.extensions.get::<http::request::Parts>()?.extensions.get()
}

fn listed(tool: &Tool) -> rmcp::model::Tool {
    let hints = tool.hints;
    let annotations = ToolAnnotations::new()
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world);
    rmcp::model::Tool::new(tool.name, tool.description, Arc::clone(&tool.input_schema))
        .with_title(tool.title)
        .with_raw_output_schema(Arc::clone(&tool.output_schema))
        .with_annotations(annotations)
}

fn answered(answer: Answer) -> CallToolResult {
    let blocks = answer.content.into_iter().map(block).collect();
    let mut result = CallToolResult::success(blocks);
    result.structured_content = Some(answer.structured);
    result
}

fn failed(error: &ToolError) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(error.to_string())])
}

fn block(content: Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image { data, mime_type } => ContentBlock::image(data, mime_type),
        Content::Audio { data, mime_type } => ContentBlock::audio(data, mime_type),
        Content::Document { uri, text, mime_type } => {
            ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(mime_type))
        }
        Content::Blob { uri, data, mime_type } => {
            ContentBlock::resource(ResourceContents::blob(data, uri).with_mime_type(mime_type))
        }
    }
}
