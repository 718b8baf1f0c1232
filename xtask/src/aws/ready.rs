//! What has to be there before Terraform is asked: programs, credentials; and before it destroys, what it did not make.
//!
//! In: PATH, the AWS CLI's answers. Out: what is missing, with what to do.

use serde_json::Value;

use super::session::Session;
use crate::program;

const HOW_TO_GET_AWS: &str =
    "the AWS CLI is not on PATH: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";

/// Programs and credentials. Terraform and its provider are looked for earlier.
pub(super) fn missing(session: &Session<'_>) -> Vec<String> {
    if program::on_path("aws").is_none() {
        return vec![HOW_TO_GET_AWS.to_owned()];
    }
    match ask(session, &["sts", "get-caller-identity"]) {
        Ok(caller) => {
            let text = |name: &str| caller.get(name).and_then(Value::as_str).unwrap_or("unknown").to_owned();
            println!("account {}, as {}", text("Account"), text("Arn"));
            Vec::new()
        }
        Err(said) => vec![format!(
            "credentials: `aws sts get-caller-identity` said `{said}`. Sign in with `aws sso login`, or set AWS_PROFILE"
        )],
    }
}

/// What lives in the cluster's network and no state knows: Terraform would wait for it in vain.
pub(super) fn made_by_controllers(session: &Session<'_>, cluster: &str) -> Vec<String> {
    let kinds = [
        (
            format!("Key=elbv2.k8s.aws/cluster,Values={cluster}"),
            "elasticloadbalancing:loadbalancer",
            "load balancers of Services and Ingresses are left: kubectl delete mcpservers.mcp-eks.dev --all --all-namespaces",
        ),
        (
            format!("Key=kubernetes.io/cluster/{cluster},Values=owned Key=karpenter.sh/nodepool"),
            "ec2:instance",
            "Karpenter's machines are left: kubectl delete nodepools --all",
        ),
    ];
    let mut missing = Vec::new();
    for (tags, kind, advice) in kinds {
        let mut words =
            vec!["resourcegroupstaggingapi", "get-resources", "--resource-type-filters", kind, "--tag-filters"];
        words.extend(tags.split(' '));
        match ask(session, &words) {
            Ok(answer) => {
                let found = answer.get("ResourceTagMappingList").and_then(Value::as_array).map_or(0, Vec::len);
                if found > 0 {
                    missing.push(format!("{found} {advice}"));
                }
            }
            Err(said) => missing.push(format!("what controllers made could not be looked up: {said}")),
        }
    }
    missing
}

/// The answer of the AWS CLI, or the last line of what it said instead.
pub(super) fn ask(session: &Session<'_>, words: &[&str]) -> Result<Value, String> {
    let mut command = session.aws(words).map_err(|error| format!("{error:#}"))?;
    let done = command.output().map_err(|error| format!("`aws` cannot be started: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing").trim().to_owned());
    }
    serde_json::from_slice(&done.stdout).map_err(|error| format!("`aws` answered no JSON: {error}"))
}
