//! The session policy of a server whose tools decide it: `sessionPolicy: {type: FromTools}`.
//!
//! In: the spec. Out: the policy, from the table that the AWS server itself obeys, so that the role of its pods can do
//! what its tools do and no more; or a problem that names the tools that cost most. Pure.

use mcp_aws_policy::{Scope, Settings, session};
use mcp_crds::{
    McpServerSpec,
    kinds::{
        AwsServer, Writes,
        aws::{Account, Sensitive},
    },
};

use super::Problems;
use crate::identity::associations::POLICY;

const FIELD: &str = "spec.identity.sessionPolicy";
/// How many tools a problem names.
const NAMED: usize = 5;

/// The policy of the tools that are there; none where it cannot be.
pub(super) fn from_tools(spec: &McpServerSpec, problems: &mut Problems) -> Option<String> {
    let Some(server) = &spec.server.aws else {
        let message =
            "FromTools is for spec.server.aws, whose tools declare their AWS actions: use type Inline or None";
        problems.add(FIELD, message);
        return None;
    };
    let (tools, scope) = (settings(spec, server).tools(), scope(spec, server));
    if tools.is_empty() {
        problems.add(FIELD, "no tool of the server is left by spec.tools and spec.server.aws: allow one");
        return None;
    }
    let policy = match session(tools.iter().copied(), &scope) {
        Ok(policy) => policy,
        Err(unknown) => {
            problems.add(FIELD, unknown.to_string());
            return None;
        }
    };
    let length = policy.chars().count();
    if length > POLICY {
        problems.too_large(FIELD, too_large(length, &tools, &scope));
    }
    Some(policy)
}

/// The settings that the server is given, as far as they decide which tools it has.
fn settings(spec: &McpServerSpec, server: &AwsServer) -> Settings {
    let tools = spec.tools.clone().unwrap_or_default();
    Settings {
        allow: tools.allow,
        deny: tools.deny,
        writes: server.writes != Writes::Off,
        sensitive: server.sensitive == Sensitive::Allow,
        models: server.bedrock.is_some(),
    }
}

/// Every region and account: calls may name any region, and the role itself bounds the rest.
fn scope(spec: &McpServerSpec, server: &AwsServer) -> Scope {
    let identity = spec.identity.clone().unwrap_or_default();
    let partition = identity.role_arn.as_deref().and_then(|role| role.split(':').nth(1));
    Scope {
        partition: partition.unwrap_or("aws").to_owned(),
        roles: server.accounts.iter().map(|Account { role_arn, .. }| role_arn.clone()).collect(),
        models: server.bedrock.as_ref().map(|bedrock| bedrock.models.clone()).unwrap_or_default(),
        ..Scope::default()
    }
}

fn too_large(length: usize, tools: &[&str], scope: &Scope) -> String {
    let without = |left_out: &str| {
        let rest = session(tools.iter().copied().filter(|tool| *tool != left_out), scope).unwrap_or_default();
        length.saturating_sub(rest.chars().count())
    };
    let mut costs: Vec<_> = tools.iter().map(|tool| (without(tool), *tool)).collect();
    costs.sort_by_key(|(saved, tool)| (std::cmp::Reverse(*saved), *tool));
    let most: Vec<_> = costs.iter().take(NAMED).map(|(saved, tool)| format!("{tool} {saved}")).collect();
    format!(
        "the policy of these {} tools has {length} characters, and EKS takes {POLICY}: name in spec.tools.deny those that \
         nobody needs (without them it is shorter by: {}), split the server in two, or set type None and bound the role \
         by its own policy",
        tools.len(),
        most.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use mcp_crds::McpServerSpec;
    use serde_json::{Value, json};

    use super::{super::Problems, POLICY, from_tools};
    use crate::vocabulary::Reason;

    fn made(aws: &Value, tools: &Value) -> (Option<String>, Problems) {
        let identity =
            json!({"roleArn": "arn:aws-cn:iam::123456789012:role/x", "sessionPolicy": {"type": "FromTools"}});
        let spec = json!({"className": "aws", "server": {"aws": aws}, "tools": tools, "identity": identity});
        let spec: McpServerSpec = serde_json::from_value(spec).unwrap();
        let mut problems = Problems::default();
        (from_tools(&spec, &mut problems), problems)
    }

    #[test]
    fn the_policy_is_that_of_the_tools_that_are_there() {
        let (policy, problems) = made(&json!({}), &json!({"allow": ["s3_list_objects", "ec2_stop_instance"]}));
        assert!(problems.0.is_empty(), "{problems:?}");
        let policy: Value = serde_json::from_str(&policy.unwrap()).unwrap();
        let statement = json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws-cn:s3:::*"});
        assert_eq!(policy["Statement"], json!([statement]), "writes are off");
        let (policy, _) = made(&json!({"writes": "Allow"}), &json!({"allow": ["ec2_stop_instance"]}));
        assert!(policy.unwrap().contains("ec2:StopInstances"));
    }

    #[test]
    fn accounts_and_models_are_those_of_the_spec() {
        let role = "arn:aws-cn:iam::210987654321:role/reader";
        let aws =
            json!({"accounts": [{"alias": "b", "roleArn": role}], "bedrock": {"models": ["amazon.nova-lite-v1:0"]}});
        let (policy, problems) = made(&aws, &json!({"allow": ["bedrock_converse"]}));
        assert!(problems.0.is_empty(), "{problems:?}");
        let policy = policy.unwrap();
        assert!(policy.contains(role) && policy.contains("foundation-model/amazon.nova-lite-v1:0"), "{policy}");
        assert!(!policy.contains("inference-profile"), "{policy}");
    }

    #[test]
    fn the_tools_that_are_there_by_default_fit() {
        let (policy, problems) = made(&json!({}), &json!({}));
        assert!(problems.0.is_empty() && policy.unwrap().chars().count() <= POLICY, "{problems:?}");
    }

    #[test]
    fn a_policy_that_is_too_large_names_what_costs_most() {
        let all = json!({"writes": "Allow", "sensitive": "Allow", "bedrock": {"models": ["a.b"]}});
        let (_, problems) = made(&all, &json!({}));
        let [problem] = problems.0.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.reason, Reason::PolicyTooLarge);
        let named: Vec<&str> = problem
            .message
            .split("shorter by: ")
            .nth(1)
            .unwrap()
            .split(')')
            .next()
            .unwrap()
            .split(", ")
            .map(|it| it.split(' ').next().unwrap())
            .collect();
        assert_eq!(named.len(), 5, "{}", problem.message);
        // The advice is good.
        let (policy, problems) = made(&all, &json!({"deny": named}));
        assert!(problems.0.is_empty() && policy.unwrap().chars().count() <= POLICY, "{problems:?}");
    }

    #[test]
    fn a_server_without_tools_has_no_policy() {
        let (policy, problems) = made(&json!({}), &json!({"allow": ["ec2_stop_instance"]}));
        assert!(policy.is_none() && problems.0[0].message.contains("no tool"), "{problems:?}");
    }
}
