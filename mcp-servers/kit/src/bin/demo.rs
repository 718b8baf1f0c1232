//! The smallest server on the kit, and what the kit's own tests run: tools that misbehave.
//!
//! `cargo run -p mcp-kit --bin mcp-demo` serves it on 127.0.0.1:8080.

use std::{process::ExitCode, time::Duration};

use mcp_kit::{
    Address, Arguments, Call, Contents, Hints, Identity, Message, Prompt, Registry, Reply, Resource, Server, Tool,
    ToolError, settings::Sources,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Demo;

/// Arguments of all its tools.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Number {
    /// Milliseconds to wait, or bytes to answer.
    number: u32,
}

/// Result of all its tools.
#[derive(Serialize, JsonSchema)]
struct Said {
    said: String,
}

impl Server for Demo {
    const IDENTITY: Identity = Identity {
        name: "mcp-demo",
        title: "Demo",
        version: env!("CARGO_PKG_VERSION"),
        instructions: "Tools that wait, answer too much, or fail.",
        about: "A demonstration of the kit",
        examples: "",
    };

    fn flags() -> Vec<clap::Arg> {
        Vec::new()
    }

    fn registry(_: &mut Sources) -> Option<Registry> {
        let patient = tool("wait", "Answers after so many milliseconds", wait).with_timeout(Duration::from_mins(5));
        let hasty = tool("hurry", "Like wait, but gives up after 50 ms", wait).with_timeout(Duration::from_millis(50));
        let asking = tool("ask", "Asks an upstream that answers to 0 and fails at anything else", ask);
        let writing = tool("change", "Like wait, but says that it writes", wait).with_scope("write");
        let tools = [
            asking,
            patient,
            hasty,
            writing,
            tool("whoami", "Says who calls", whoami),
            tool("flood", "Answers with so many bytes", flood),
            tool("fall", "Panics", fall),
            writer("put", Hints::WRITE),
            writer("wipe", Hints { destructive: true, ..Hints::WRITE }),
            writer("trade", Hints::WRITE).always(),
        ];
        let registry = Registry::new(tools).ok()?.with_prompts([prompt()]).ok()?;
        registry.with_resources(resources()).ok()
    }
}

/// A tool that would write.
fn writer(name: &'static str, hints: Hints) -> Tool {
    Tool::new(name, name, "Like wait, and one of those that write", hints, wait)
}

fn prompt() -> Prompt {
    let write = |given: &Arguments| {
        vec![
            Message::user(format!("Wait {} {}", given.get_or("number", "0"), given.get_or("unit", "milliseconds"))),
            Message::assistant("How often?"),
        ]
    };
    Prompt::new("wait_for", "Wait for it", "Asks the model to wait", write)
        .required("number", "How long")
        .optional("unit", "Of what")
        .suggesting(["milliseconds", "minutes", "seconds"])
}

fn resources() -> [Resource; 4] {
    let greeting = |_, _| async { Ok(Contents::Text("hello".into())) };
    [
        Resource::new("demo://greeting", "greeting", "Greeting", "A word", "text/plain", greeting),
        Resource::new("demo://secret", "secret", "Secret", "For writers", "text/plain", greeting).with_scope("write"),
        Resource::new("demo://floods/{bytes}", "flood", "Flood", "So many bytes", "text/plain", torrent),
        Resource::new("demo://pixels/{color}", "pixel", "Pixel", "One pixel", "image/gif", pixel),
    ]
}

#[expect(clippy::panic, reason = "what a wrong number does is tested")]
async fn torrent(address: Address, _: Call) -> Result<Contents, ToolError> {
    let Ok(bytes) = address.part("bytes").parse() else { panic!("on purpose") };
    Ok(Contents::Text("x".repeat(bytes)))
}

async fn pixel(address: Address, _: Call) -> Result<Contents, ToolError> {
    match address.part("color") {
        "light blue" => Ok(Contents::Blob("R0lGODdhAQABAIAAAP///////ywAAAAAAQABAAACAkQBADs=".into())),
        other => Err(ToolError::not_found(format!("no pixel is {other}"))),
    }
}

fn tool<F, Fut>(name: &'static str, description: &'static str, handler: F) -> Tool
where
    F: Fn(Number, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Reply<Said>, ToolError>> + Send + 'static,
{
    Tool::new(name, name, description, Hints::READ, handler)
}

async fn wait(arguments: Number, _: Call) -> Result<Reply<Said>, ToolError> {
    tokio::time::sleep(Duration::from_millis(arguments.number.into())).await;
    Ok(Reply::new(Said { said: "done".into() }))
}

async fn ask(arguments: Number, call: Call) -> Result<Reply<Said>, ToolError> {
    let answer =
        async { if arguments.number == 0 { Ok("fine") } else { Err(ToolError::upstream("the oracle is silent")) } };
    let said = call.upstream("oracle", answer).await?;
    Ok(Reply::new(Said { said: said.into() }))
}

async fn whoami(_: Number, call: Call) -> Result<Reply<Said>, ToolError> {
    Ok(Reply::new(Said { said: call.principal().into() }))
}

async fn flood(arguments: Number, _: Call) -> Result<Reply<Said>, ToolError> {
    let length = usize::try_from(arguments.number).unwrap_or_default();
    Ok(Reply::new(Said { said: "x".repeat(length) }))
}

#[expect(clippy::panic, reason = "this is what the tool is for")]
async fn fall(_: Number, call: Call) -> Result<Reply<Said>, ToolError> {
    call.blocking(|_| panic!("on purpose")).await
}

fn main() -> ExitCode {
    mcp_kit::main::<Demo>()
}
