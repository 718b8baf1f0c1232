//! `mcp-aws iam-policy`: the least IAM policy for some tools, on standard output. Needs no credentials and no network.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use mcp_aws_policy::{Kind, Scope, TOOLS, policy};

pub(crate) const COMMAND: &str = "iam-policy";

/// Reads the command line, prints the policy.
pub(crate) fn run() -> ExitCode {
    let matches = command().get_matches_from(std::env::args_os().skip(1));
    match print(&matches) {
        Ok(policy) => {
            println!("{policy}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mcp-aws {COMMAND}: {error}");
            ExitCode::from(2)
        }
    }
}

fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let many = |name: &'static str, text: &'static str, help: &'static str| {
        value(name, text, help).action(ArgAction::Append).value_delimiter(',')
    };
    Command::new(COMMAND)
        .bin_name("mcp-aws iam-policy")
        .about("Prints the least IAM policy under which tools do all they can do")
        .arg(many("tools", "NAME,...", "Which tools [default: those that are there by default]"))
        .arg(value("partition", "NAME", "aws, aws-cn or aws-us-gov").default_value("aws"))
        .arg(value("region", "REGION", "The only region in which they work").default_value("*"))
        .arg(value("account", "ID", "The only account in which they work").default_value("*"))
        .arg(many("assume", "ARN,...", "Roles of other accounts that the server may assume"))
        .arg(many("models", "ID,...", "Bedrock models that may be called [default: all]"))
        .after_help(
            "The policy names resources wherever AWS has a resource level for the action, and `*` where it has none.\n\
             Example: mcp-aws iam-policy --tools ec2_list_instances,ec2_start_instance --account 123456789012",
        )
}

fn print(matches: &ArgMatches) -> Result<String, String> {
    let one = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let many = |name: &str| -> Vec<String> { matches.get_many(name).into_iter().flatten().cloned().collect() };
    let scope = Scope {
        partition: one("partition"),
        region: one("region"),
        account: one("account"),
        roles: many("assume"),
        models: many("models"),
    };
    let named = many("tools");
    let default = TOOLS.iter().filter(|tool| tool.kind == Kind::Read).map(|tool| tool.name);
    let policy =
        if named.is_empty() { policy(default, &scope) } else { policy(named.iter().map(String::as_str), &scope) };
    let policy = policy.map_err(|error| error.to_string())?;
    serde_json::to_string_pretty(&policy).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(line: &[&str]) -> Result<serde_json::Value, String> {
        let matches = command().try_get_matches_from([&["iam-policy"], line].concat()).map_err(|it| it.to_string())?;
        Ok(serde_json::from_str(&print(&matches)?).unwrap())
    }

    #[test]
    fn a_policy_is_printed_for_the_tools_that_are_named() {
        let policy = printed(&["--tools", "s3_get_object", "--partition", "aws-cn"]).unwrap();
        assert_eq!(policy["Statement"][0]["Resource"][0], "arn:aws-cn:s3:::*/*");
        assert_eq!(policy["Statement"][0]["Action"], serde_json::json!(["s3:GetObject"]));
        assert!(printed(&["--tools", "s3_delete"]).unwrap_err().contains("expected names of tools"));
    }

    #[test]
    fn without_names_it_is_for_the_tools_that_are_there_by_default() {
        let policy = printed(&[]).unwrap().to_string();
        assert!(policy.contains("ec2:DescribeInstances") && !policy.contains("ec2:StartInstances"), "{policy}");
        assert!(!policy.contains("s3:GetObject") && !policy.contains("bedrock:InvokeModel"), "{policy}");
    }
}
