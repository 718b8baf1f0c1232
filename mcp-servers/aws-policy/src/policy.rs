//! Policies made of the table: the actions of some tools, gathered by what they act on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{On, TOOLS, Tool};

/// Where the tools work, and with which roles and models. Everywhere, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// One region, or `*`.
    pub region: String,
    /// One account, or `*`.
    pub account: String,
    /// Roles the server may assume in other accounts.
    pub roles: Vec<String>,
    /// Bedrock models the server may call; none named means all.
    pub models: Vec<String>,
}

impl Default for Scope {
    fn default() -> Self {
        let all = || "*".to_owned();
        Self { partition: "aws".to_owned(), region: all(), account: all(), roles: Vec::new(), models: Vec::new() }
    }
}

/// An IAM policy document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    /// What is allowed.
    pub statement: Vec<Statement>,
}

/// One statement: what may be done to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    effect: &'static str,
    /// The actions, in order.
    pub action: Vec<String>,
    /// The resources, in order.
    pub resource: Vec<String>,
}

/// A name that no tool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTool(pub String);

impl std::fmt::Display for UnknownTool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        write!(formatter, "expected names of tools, found {:?}; the tools are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownTool {}

/// The least policy under which these tools do all they can do.
pub fn policy<'a>(tools: impl IntoIterator<Item = &'a str>, scope: &Scope) -> Result<Policy, UnknownTool> {
    let mut by_resource: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for name in tools {
        let Some(Tool { needs, .. }) = crate::tool(name) else {
            return Err(UnknownTool(name.to_owned()));
        };
        for access in *needs {
            let resources = resources(access.on, scope);
            by_resource.entry(resources).or_default().insert(access.action.to_owned());
        }
    }
    if !scope.roles.is_empty() {
        let mut roles = scope.roles.clone();
        roles.sort();
        by_resource.entry(roles).or_default().insert("sts:AssumeRole".to_owned());
    }
    let statement = by_resource.into_iter().map(|(resource, actions)| Statement {
        effect: "Allow",
        action: actions.into_iter().collect(),
        resource,
    });
    Ok(Policy { version: "2012-10-17", statement: statement.collect() })
}

fn resources(on: On, scope: &Scope) -> Vec<String> {
    let fill = |arn: &str| {
        let arn = arn.replace("{partition}", &scope.partition);
        arn.replace("{region}", &scope.region).replace("{account}", &scope.account)
    };
    match on {
        On::Arns(arns) => arns.iter().map(|arn| fill(arn)).collect(),
        On::All(_) => vec!["*".to_owned()],
        // In the order of what they say once filled in.
        On::Models => models(scope).iter().map(|arn| fill(arn)).collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

/// A model is called by its own id, or through an inference profile, which has the id of the model behind a geography.
fn models(scope: &Scope) -> Vec<String> {
    if scope.models.is_empty() {
        let profile = "arn:{partition}:bedrock:{region}:{account}:inference-profile/*";
        return vec!["arn:{partition}:bedrock:{region}::foundation-model/*".to_owned(), profile.to_owned()];
    }
    let mut arns = BTreeSet::new();
    for model in &scope.models {
        if model.starts_with("arn:") {
            arns.insert(model.clone());
            continue;
        }
        let geography = model.split_once('.').filter(|(head, rest)| head.len() <= 6 && rest.contains('.'));
        match geography {
            Some((_, base)) => {
                // The profile spreads calls over regions, and each must allow the model.
                arns.insert(format!("arn:{{partition}}:bedrock:*::foundation-model/{base}"));
                arns.insert(format!("arn:{{partition}}:bedrock:{{region}}:{{account}}:inference-profile/{model}"));
            }
            None => {
                arns.insert(format!("arn:{{partition}}:bedrock:{{region}}::foundation-model/{model}"));
            }
        }
    }
    arns.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(tools: &[&str], scope: &Scope) -> serde_json::Value {
        serde_json::to_value(policy(tools.iter().copied(), scope).unwrap()).unwrap()
    }

    #[test]
    fn actions_are_gathered_by_what_they_act_on() {
        let scope = Scope { region: "us-west-2".into(), account: "123456789012".into(), ..Scope::default() };
        assert_eq!(
            json(&["ec2_stop_instance", "ec2_start_instance", "aws_whoami"], &scope),
            serde_json::json!({
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": ["ec2:DescribeInstances"], "Resource": ["*"]},
                    {
                        "Effect": "Allow",
                        "Action": ["ec2:StartInstances", "ec2:StopInstances"],
                        "Resource": ["arn:aws:ec2:us-west-2:123456789012:instance/*"],
                    },
                ],
            })
        );
        assert_eq!(json(&["aws_whoami"], &scope)["Statement"], serde_json::json!([]));
    }

    #[test]
    fn models_and_roles_are_named_one_by_one() {
        let scope = Scope {
            models: vec!["amazon.nova-lite-v1:0".into(), "us.anthropic.claude-sonnet-4-v1:0".into()],
            roles: vec!["arn:aws:iam::210987654321:role/reader".into()],
            ..Scope::default()
        };
        let statements = json(&["bedrock_converse"], &scope)["Statement"].clone();
        assert_eq!(
            statements[0]["Resource"],
            serde_json::json!([
                "arn:aws:bedrock:*:*:inference-profile/us.anthropic.claude-sonnet-4-v1:0",
                "arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0",
                "arn:aws:bedrock:*::foundation-model/anthropic.claude-sonnet-4-v1:0",
            ])
        );
        assert_eq!(statements[1]["Action"], serde_json::json!(["sts:AssumeRole"]));
    }

    #[test]
    fn an_unknown_tool_is_an_error() {
        let error = policy(["ec2_list_instances", "ec2_reboot"], &Scope::default()).unwrap_err();
        assert!(error.to_string().starts_with("expected names of tools, found \"ec2_reboot\"; the tools are aws_list"));
    }

    #[test]
    fn the_star_stands_only_where_a_reason_is_given() {
        for tool in TOOLS {
            for access in tool.needs {
                match access.on {
                    On::All(reason) => assert!(reason.len() > 20, "{}: {}", tool.name, access.action),
                    On::Arns(arns) => {
                        assert!(!arns.is_empty() && arns.iter().all(|arn| arn.starts_with("arn:{partition}:")));
                    }
                    On::Models => assert_eq!(access.action, "bedrock:InvokeModel"),
                }
                let (service, name) = access.action.split_once(':').unwrap();
                assert!(!service.is_empty() && name.chars().all(char::is_alphanumeric), "{}", access.action);
            }
        }
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }

    /// Terraform fills in the rest: the role of the sample has the rights of the tools that are there by default, and no more.
    #[test]
    fn the_policy_in_config_is_that_of_the_default_tools() {
        let committed = include_str!("../../../config/iam/aws-server-policy.json");
        let scope = Scope {
            partition: "${partition}".into(),
            region: "${region}".into(),
            account: "${account}".into(),
            ..Scope::default()
        };
        let default: Vec<_> =
            TOOLS.iter().filter(|tool| tool.kind == crate::Kind::Read).map(|tool| tool.name).collect();
        assert_eq!(json(&default, &scope), serde_json::from_str::<serde_json::Value>(committed).unwrap());
    }
}
