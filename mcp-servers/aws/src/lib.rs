//! The AWS MCP server: what runs in an AWS account, what it costs, how it does; and, when allowed, starting and stopping it.
//!
//! In: the credentials of the process (Pod Identity, a profile), a region, aliases of roles in other accounts. Out: tools
//! over the official SDK. No tool calls an action that the table of `mcp-aws-policy` does not name for it.

#![allow(clippy::redundant_closure_for_method_calls, reason = "a closure is shorter than the path of an SDK's type")]

mod answer;
mod cli;
mod fault;
mod place;
mod prompts;
mod role;
mod settings;
mod tools;
mod watch;

use std::{process::ExitCode, sync::Arc};

use clap::Arg;
use mcp_kit::{Identity, Registry, Server, settings::Sources};

use crate::place::Aws;

/// The server as the kit runs it.
#[derive(Debug)]
pub struct AwsServer;

impl Server for AwsServer {
    const IDENTITY: Identity = Identity {
        name: "mcp-aws",
        title: "AWS",
        version: env!("CARGO_PKG_VERSION"),
        instructions: "Shows and operates what runs in AWS. Every tool takes region (default: the server's) and account (an \
                       alias; default: the server's own). Lists of resources take region \"all\". When a result has \
                       next_cursor, ask again with it as cursor.",
        about: "MCP server for AWS: EC2, ECS, RDS, CloudWatch, Cost Explorer, S3, EKS, Lambda, DynamoDB, Bedrock\n\n\
                `mcp-aws iam-policy --help` prints the least IAM policy for the tools you name.",
        examples: settings::EXAMPLES,
    };

    fn flags() -> Vec<Arg> {
        settings::flags()
    }

    fn registry(sources: &mut Sources) -> Option<Registry> {
        let settings = settings::read(sources)?;
        let tools = Registry::new(tools::all(&Arc::new(Aws::new(settings))));
        match tools.and_then(|registry| registry.with_prompts(prompts::all())) {
            Ok(registry) => Some(registry),
            Err(error) => {
                sources.problems.add("tools", "tools that may be served", error.to_string(), "report this defect");
                None
            }
        }
    }
}

/// Runs the server, or prints a policy: `mcp-aws iam-policy --tools NAME,...`.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == cli::COMMAND) {
        return cli::run();
    }
    mcp_kit::main::<AwsServer>()
}
