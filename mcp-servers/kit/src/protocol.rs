//! The adapter between the registry and rmcp, which speaks the protocol: every method, both eras.
//!
//! In: protocol requests. Out: protocol results. The only room besides `http` and `stdio` that knows rmcp's types.

mod consent;
mod prompts;
mod resources;

use std::{borrow::Cow, ops::ControlFlow, sync::Arc};

use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, ContentBlock,
        CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, Implementation,
        InitializeRequestParams, InitializeResult, InitializeResultMethod, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, RequestId, RequestMetaObject, ResourceContents,
        ServerCapabilities, ServerConfig, ToolAnnotations,
    },
    service::{Peer, RequestContext},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Principal, Shortfall},
    call::{Caller, Pipeline, STDIO},
    capacity::Slot,
    consent::{Consent, TOKEN},
    origin::{Client, Origin, Parent, Transport},
    prompt::Prompt,
    registry::Registry,
    run::Identity,
    telemetry::operation::{Failed, Target, observe},
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
    pub(crate) consent: Consent,
}

/// What came with a request beside its parameters, by whichever way it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The `_meta` of the request.
    pub(crate) meta: &'a RequestMetaObject,
    /// Its id, as the client chose it.
    pub(crate) id: &'a RequestId,
    /// Who said at the beginning of a conversation what it is; nobody where requests say so themselves.
    pub(crate) peer: Option<&'a Peer<RoleServer>>,
    /// Its HTTP head, with what our front left in the extensions; nothing over stdio.
    pub(crate) parts: Option<&'a Parts>,
    /// Fires when nobody waits for the answer any more.
    pub(crate) gone: &'a CancellationToken,
}

impl<'a> Asked<'a> {
    fn of(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            meta: &context.meta,
            id: &context.id,
            peer: Some(&context.peer),
            parts: context.extensions.get(),
            gone: &context.ct,
        }
    }

    /// Whether the request says of itself that it is of the stateless era.
    pub(crate) fn is_modern(&self) -> bool {
        self.meta.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
    }

    /// What the HTTP front left for us; nothing over stdio.
    fn of_transport<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.parts?.extensions.get()
    }

    /// On whose behalf the request runs.
    fn caller(&self) -> Caller {
        Caller { origin: Arc::new(self.origin()), gone: self.gone.clone() }
    }

    /// The request, as records of it tell.
    fn origin(&self) -> Origin {
        let header = |name: &str| self.parts?.headers.get(name)?.to_str().ok();
        // The conventions put `_meta` first: one HTTP request may carry what others began.
        let parent = self.meta.get_traceparent().and_then(|it| Parent::parse(it, self.meta.get_tracestate()));
        let parent = parent.or_else(|| Parent::parse(header("traceparent")?, header("tracestate")));
        let peer = || self.peer.and_then(Peer::peer_info);
        let client = self.meta.client_info().or_else(|| peer().map(|peer| peer.client_info.clone()));
        let version = self.meta.protocol_version().map(|version| version.to_string());
        let version = version.or_else(|| header("mcp-protocol-version").map(str::to_owned));
        Origin {
            principal: self.of_transport::<Arc<Principal>>().map_or_else(|| STDIO.into(), |it| Arc::clone(&it.name)),
            client: client.map(|it| Client { name: it.name, version: it.version }),
            request: Some(self.id.to_string()),
            version: version.or_else(|| peer().map(|peer| peer.protocol_version.to_string())),
            transport: if self.parts.is_some() { Transport::Tcp } else { Transport::Pipe },
            parent,
        }
    }

    /// What the transport holds until the answer is sent; over stdio, what is held until it is made.
    fn slot(&self) -> Arc<Slot> {
        self.of_transport::<Arc<Slot>>().map(Arc::clone).unwrap_or_default()
    }
}

impl Adapter {
    /// The tools this caller may see.
    fn seen(&self, asked: Asked<'_>) -> impl Iterator<Item = &Tool> {
        let principal = asked.of_transport::<Arc<Principal>>().cloned();
        self.registry.tools().filter(move |tool| principal.as_ref().is_none_or(|principal| principal.sees(tool.scope)))
    }

    /// Whether a method belongs to something this server has.
    fn offers(&self, method: &str) -> bool {
        match method {
            "prompts/get" | "prompts/list" => has_prompts(&self.registry),
            "resources/list" | "resources/read" | "resources/templates/list" => has_resources(&self.registry),
            "completion/complete" => completes(&self.registry),
            _ => false,
        }
    }

    /// Refuses what this caller lacks the scope for, and leaves word for the transport.
    fn permit(&self, name: &'static str, scope: &'static str, asked: Asked<'_>) -> Result<(), ErrorData> {
        let Some(principal) = asked.of_transport::<Arc<Principal>>() else { return Ok(()) };
        if principal.may(scope) {
            return Ok(());
        }
        if let Some(shortfall) = asked.of_transport::<Arc<Shortfall>>() {
            let _ = shortfall.0.set(scope);
        }
        self.pipeline.metrics.refused(name, "forbidden");
        self.pipeline.audit.refuse(&asked.origin(), Some(name), "insufficient_scope");
        let message = format!("{name} needs the scope {scope:?}, which {:?} does not have", principal.name);
        Err(ErrorData::invalid_request(message, None))
    }

    /// Runs what a request asks for, within its span.
    async fn observe<T>(
        &self,
        method: &'static str,
        target: Target<'_>,
        asked: Asked<'_>,
        work: impl Future<Output = Result<T, ErrorData>>,
    ) -> Result<T, ErrorData> {
        let failed = |done: &Result<T, ErrorData>| done.as_ref().err().map(|error| Failed::Code(error.code.0));
        observe(&self.pipeline.metrics, method, target, &asked.origin(), work, failed).await
    }

    /// One call of a tool. Every way to a tool, rmcp's and the direct one, comes through here.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        asked: Asked<'_>,
    ) -> Result<CallToolResponse, ErrorData> {
        let target = self.registry.get(&request.name).map_or(Target::Nothing, |tool| Target::Tool(tool.name));
        let failed = |done: &Result<CallToolResponse, ErrorData>| match done {
            Err(error) => Some(Failed::Code(error.code.0)),
            Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => Some(Failed::Tool),
            Ok(_) => None,
        };
        let origin = Arc::new(asked.origin());
        let work = self.admitted(request, asked, &origin);
        observe(&self.pipeline.metrics, "tools/call", target, &origin, work, failed).await
    }

    async fn admitted(
        &self,
        request: CallToolRequestParams,
        asked: Asked<'_>,
        origin: &Arc<Origin>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.registry.get(&request.name) else {
            self.pipeline.metrics.unknown_tool();
            self.pipeline.audit.refuse(origin, Some(&request.name), "unknown_tool");
            let names: Vec<&str> = self.seen(asked).map(|tool| tool.name).collect();
            let message = format!("unknown tool {:?}; the tools are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        self.permit(tool.name, tool.scope, asked)?;
        let arguments = if tool.asks {
            let given = request.arguments.clone().unwrap_or_default();
            let first = request.request_state.is_none() && !given.contains_key(TOKEN);
            match self.consented(tool, request, asked) {
                ControlFlow::Continue(arguments) => arguments,
                ControlFlow::Break(answer) => {
                    let open = self.pipeline.audit.begin(origin, tool, &given);
                    open.refused(if first { "consent_asked" } else { "consent_refused" });
                    return answer;
                }
            }
        } else {
            request.arguments.unwrap_or_default()
        };
        let caller = Caller { origin: Arc::clone(origin), gone: asked.gone.clone() };
        let result = self.pipeline.run(tool, arguments, &caller, &asked.slot()).await;
        Ok(result.map_or_else(|error| failed(&error), answered).into())
    }
}

fn has_prompts(registry: &Registry) -> bool {
    registry.prompts().next().is_some()
}

fn has_resources(registry: &Registry) -> bool {
    registry.resources().next().is_some()
}

fn completes(registry: &Registry) -> bool {
    registry.prompts().any(Prompt::suggests)
}

/// Announces what there is, and nothing else.
fn capabilities(registry: &Registry) -> ServerCapabilities {
    let mut all = ServerCapabilities::builder().enable_tools().build();
    all.prompts = has_prompts(registry).then(Default::default);
    all.resources = has_resources(registry).then(Default::default);
    all.completions = completes(registry).then(Default::default);
    all
}

/// All lists are on one page, so nobody can have a cursor from us.
fn one_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    let Some(cursor) = request.and_then(|request| request.cursor) else { return Ok(()) };
    let message = format!("unknown cursor {cursor:?}: this server lists everything on one page, ask without one");
    Err(ErrorData::invalid_params(message, None))
}

impl ServerHandler for Adapter {
    fn get_info(&self) -> ServerConfig {
        let identity = &self.identity;
        let implementation = Implementation::new(identity.name, identity.version).with_title(identity.title);
        ServerConfig::new(capabilities(&self.registry))
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
        let asked = Asked::of(&context);
        let welcome = async {
            if asked.is_modern() {
                return Err(ErrorData::method_not_found::<InitializeResultMethod>());
            }
            let result = self.negotiate_initialize(&request);
            context.peer.set_peer_info(request);
            result
        };
        self.observe("initialize", Target::Nothing, asked, welcome).await
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let asked = Asked::of(&context);
        let list = async {
            one_page(request)?;
            Ok(ListToolsResult::with_all_items(self.seen(asked).map(listed).collect()))
        };
        self.observe("tools/list", Target::Nothing, asked, list).await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.call(request, Asked::of(&context)).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = async { prompts::complete(&self.registry, &request) };
        self.observe("completion/complete", Target::Nothing, Asked::of(&context), values).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let list = async { prompts::list(&self.registry, request) };
        self.observe("prompts/list", Target::Nothing, Asked::of(&context), list).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let target = self.registry.prompt(&request.name).map_or(Target::Nothing, |it| Target::Prompt(it.name));
        let written = async { prompts::get(&self.registry, request) };
        self.observe("prompts/get", target, Asked::of(&context), written).await.map(Into::into)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let asked = Asked::of(&context);
        let list = async { resources::list(self, request, asked) };
        self.observe("resources/list", Target::Nothing, asked, list).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let asked = Asked::of(&context);
        let list = async { resources::templates(self, request, asked) };
        self.observe("resources/templates/list", Target::Nothing, asked, list).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let asked = Asked::of(&context);
        let read = resources::read(self, &request.uri, asked);
        let target = Target::Resource(&request.uri);
        self.observe("resources/read", target, asked, read).await.map(Into::into)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method.as_str();
        if KNOWN.contains(&method) || self.offers(method) || (LEGACY.contains(&method) && !is_modern(&context)) {
            let message = format!("the params of {} have missing or malformed fields", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }
}

/// Whether a request says of itself that it is of the stateless era.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    Asked::of(context).is_modern()
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
