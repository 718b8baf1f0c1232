//! Consent in the protocol's words: rounds with a form for clients that show forms, a token for all others.

use std::ops::ControlFlow;

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitationCapability,
        InputRequiredResult, InputResponses,
    },
};
use serde_json::{Map, Value};

use super::{Adapter, Asked, failed};
use crate::{
    consent::{self, Deed},
    tool::{Failure, Tool, ToolError},
};

type Answer = Result<CallToolResponse, ErrorData>;

impl Adapter {
    /// Decides whether a call of a tool that asks may begin: go on with its arguments, or answer this instead.
    pub(super) fn consented(
        &self,
        tool: &Tool,
        request: CallToolRequestParams,
        asked: Asked<'_>,
    ) -> ControlFlow<Answer, Map<String, Value>> {
        let mut arguments = request.arguments.unwrap_or_default();
        let token = consent::token(&mut arguments);
        let principal = asked.origin().principal;
        let deed = Deed { principal: &principal, tool: tool.name, arguments: &arguments };
        let state = request.request_state.as_deref();
        match (state, token) {
            (Some(state), _) => self.answered(tool, deed, state, request.input_responses.as_ref())?,
            (None, Some(token)) => self.presented(tool, deed, &token)?,
            (None, None) => return ControlFlow::Break(self.ask(tool, deed, asked)),
        }
        ControlFlow::Continue(arguments)
    }

    /// The second round of a modern client.
    fn answered(
        &self,
        tool: &Tool,
        deed: Deed<'_>,
        state: &str,
        answers: Option<&InputResponses>,
    ) -> ControlFlow<Answer> {
        let refuse = |message: String| {
            self.pipeline.metrics.refused(tool.name, "consent_refused");
            ControlFlow::Break(Err(ErrorData::invalid_params(message, None)))
        };
        let Some(agreed) = answers.and_then(consent::agreed) else {
            return refuse(format!("{} asked for consent and this request has no answer to that", tool.name));
        };
        // A form that was declined uses its state up as well.
        if let Err(flaw) = self.consent.take(state, deed) {
            return refuse(format!("the requestState is no consent to this call of {}: {flaw}", tool.name));
        }
        if agreed {
            return ControlFlow::Continue(());
        }
        self.refused(tool, format!("{} was not called: the person did not agree", tool.name))
    }

    /// The second phase of a client without forms.
    fn presented(&self, tool: &Tool, deed: Deed<'_>, token: &Value) -> ControlFlow<Answer> {
        let name = consent::TOKEN;
        let Some(token) = token.as_str() else {
            let message = format!("invalid arguments for {}: expected {name} as text, found {token}", tool.name);
            return self.refused(tool, message);
        };
        let Err(flaw) = self.consent.take(token, deed) else { return ControlFlow::Continue(()) };
        let mend = format!("call it without {name} to ask again");
        self.refused(tool, format!("{} was not called: this {name} does not count, {flaw}; {mend}", tool.name))
    }

    /// The first round, or phase.
    fn ask(&self, tool: &Tool, deed: Deed<'_>, asked: Asked<'_>) -> Answer {
        let Some(text) = self.consent.give(deed) else {
            return Err(ErrorData::internal_error("the server could not seal a question; its log says why", None));
        };
        self.pipeline.metrics.refused(tool.name, "consent_asked");
        let forms = asked.is_modern()
            && asked.meta.client_capabilities().is_some_and(|all| all.elicitation.as_ref().is_some_and(shows_forms));
        if forms {
            let questions = serde_json::from_value(consent::form(tool, deed.arguments))
                .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            return Ok(InputRequiredResult::new(Some(questions), Some(text)).into());
        }
        let (told, structured) = consent::asking(tool, deed.arguments, &text);
        let mut result = CallToolResult::success(vec![ContentBlock::text(told)]);
        result.structured_content = Some(structured);
        Ok(result.into())
    }

    fn refused(&self, tool: &Tool, message: String) -> ControlFlow<Answer> {
        self.pipeline.metrics.refused(tool.name, "consent_refused");
        ControlFlow::Break(Ok(failed(&ToolError::of(Failure::Consent, message)).into()))
    }
}

/// Clients that say nothing more show forms; others may show pages alone.
fn shows_forms(elicitation: &ElicitationCapability) -> bool {
    elicitation.form.is_some() || elicitation.url.is_none()
}
