//! The tools: one file a service, each a cargo feature. They see a [`Place`] and the SDK; nothing of the protocol.

#[cfg(feature = "bedrock")]
mod bedrock;
#[cfg(feature = "cloudwatch")]
mod cloudwatch;
#[cfg(feature = "cost")]
mod cost;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "ec2")]
mod ec2;
#[cfg(feature = "ecs")]
mod ecs;
#[cfg(feature = "ecs")]
mod ecs_service;
#[cfg(feature = "eks")]
mod eks;
mod identity;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "rds")]
mod rds;
#[cfg(feature = "rds")]
mod rds_performance;
#[cfg(feature = "s3")]
mod s3;
mod spread;

use std::sync::Arc;

use mcp_aws_policy::Kind;
use mcp_kit::{Call, Hints, Reply, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::place::{Aws, Named, Place};

pub(crate) use spread::listing;

/// Reading asks AWS, which is another domain.
const READ: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: true };

/// All tools that this server may have: those of the services compiled in, without what the settings leave off.
pub(crate) fn all(aws: &Arc<Aws>) -> Vec<Tool> {
    let mut tools = identity::tools(aws);
    #[cfg(feature = "bedrock")]
    tools.extend(bedrock::tools(aws));
    #[cfg(feature = "cloudwatch")]
    tools.extend(cloudwatch::tools(aws));
    #[cfg(feature = "cost")]
    tools.extend(cost::tools(aws));
    #[cfg(feature = "dynamodb")]
    tools.extend(dynamodb::tools(aws));
    #[cfg(feature = "ec2")]
    tools.extend(ec2::tools(aws));
    #[cfg(feature = "ecs")]
    tools.extend(ecs::tools(aws).into_iter().chain(ecs_service::tools(aws)));
    #[cfg(feature = "eks")]
    tools.extend(eks::tools(aws));
    #[cfg(feature = "lambda")]
    tools.extend(lambda::tools(aws));
    #[cfg(feature = "logs")]
    tools.extend(logs::tools(aws));
    #[cfg(feature = "rds")]
    tools.extend(rds::tools(aws).into_iter().chain(rds_performance::tools(aws)));
    #[cfg(feature = "s3")]
    tools.extend(s3::tools(aws));
    tools.into_iter().filter(|tool| is_there(tool.name, aws)).map(scoped).collect()
}

fn kind(name: &str) -> Option<Kind> {
    mcp_aws_policy::tool(name).map(|tool| tool.kind)
}

/// A tool without an entry in the table would have no policy, so it is not there at all.
fn is_there(name: &str, aws: &Aws) -> bool {
    match kind(name) {
        Some(Kind::Read | Kind::Write) => true,
        Some(Kind::Sensitive) => aws.settings.sensitive.has(name),
        Some(Kind::Cost) => !aws.settings.models.is_empty(),
        None => false,
    }
}

/// Content and costs have scopes of their own, so that a key may be given the rest alone.
fn scoped(tool: Tool) -> Tool {
    match kind(tool.name) {
        Some(Kind::Sensitive) => tool.with_scope("sensitive"),
        Some(Kind::Cost) => tool.with_scope("costs"),
        _ => tool,
    }
}

/// A tool that works in one place.
fn tool<A, O, F, Fut>(
    aws: &Arc<Aws>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    hints: Hints,
    work: F,
) -> Tool
where
    A: Named + DeserializeOwned + JsonSchema + Send + Sync + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(A, Place) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    let aws = Arc::clone(aws);
    let handler = move |arguments: A, call: Call| {
        let aws = Arc::clone(&aws);
        async move {
            let place = aws.place(name, &arguments, &call).await?;
            work(arguments, place).await.map(Reply::new)
        }
    };
    Tool::new(name, title, description, hints, handler)
}

/// A read-only tool that works in one place.
fn reading<A, O, F, Fut>(
    aws: &Arc<Aws>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    work: F,
) -> Tool
where
    A: Named + DeserializeOwned + JsonSchema + Send + Sync + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(A, Place) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    tool(aws, name, title, description, READ, work)
}

/// A tool that changes something.
fn writing<A, O, F, Fut>(
    aws: &Arc<Aws>,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    (destructive, idempotent): (bool, bool),
    work: F,
) -> Tool
where
    A: Named + DeserializeOwned + JsonSchema + Send + Sync + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(A, Place) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    let hints = Hints { read_only: false, destructive, idempotent, open_world: true };
    tool(aws, name, title, description, hints, work)
}
