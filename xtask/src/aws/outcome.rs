//! A plan as `terraform show -json` prints it: what it would make, change and destroy.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    made: BTreeMap<String, u64>,
    nodes: u64,
    changed: u64,
    destroyed: u64,
    outputs: bool,
}

impl Plan {
    pub(super) fn read(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).context("`terraform show -json` printed no JSON")?;
        let mut plan = Self::default();
        for it in json.get("resource_changes").and_then(Value::as_array).into_iter().flatten() {
            let change = it.get("change").context("a change without `change` in the plan")?;
            let actions: Vec<_> = change.get("actions").and_then(Value::as_array).into_iter().flatten().collect();
            let has = |action: &str| actions.iter().any(|it| it.as_str() == Some(action));
            if has("create") {
                let kind = it.get("type").and_then(Value::as_str).context("a resource without a type in the plan")?;
                *plan.made.entry(kind.to_owned()).or_default() += 1;
                let desired = change.pointer("/after/scaling_config/0/desired_size").and_then(Value::as_u64);
                plan.nodes += desired.filter(|_| kind == "aws_eks_node_group").unwrap_or_default();
            }
            plan.changed += u64::from(has("update"));
            plan.destroyed += u64::from(has("delete"));
        }
        let outputs = json.get("output_changes").and_then(Value::as_object);
        plan.outputs = outputs.into_iter().flatten().any(|(_, it)| it.pointer("/actions/0") != Some(&"no-op".into()));
        Ok(plan)
    }

    /// How many resources of a type it makes.
    pub(super) fn makes(&self, kind: &str) -> u64 {
        self.made.get(kind).copied().unwrap_or_default()
    }

    /// How many nodes the groups that it makes start with.
    pub(super) const fn nodes(&self) -> u64 {
        self.nodes
    }

    pub(super) fn changes_nothing(&self) -> bool {
        self == &Self::default()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made: u64 = self.made.values().sum();
        write!(formatter, "{made} to make, {} to change, {} to destroy", self.changed, self.destroyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_counted_by_type_and_action() {
        let text = serde_json::json!({"resource_changes": [
            {"type": "aws_vpc", "change": {"actions": ["create"], "after": {}}},
            {"type": "aws_eks_node_group", "change": {"actions": ["create"], "after": {"scaling_config": [{"desired_size": 2}]}}},
            {"type": "aws_s3_bucket", "change": {"actions": ["update"], "after": {}}},
            {"type": "aws_flow_log", "change": {"actions": ["delete", "create"], "after": {}}},
            {"type": "aws_iam_role", "change": {"actions": ["no-op"], "after": {}}},
        ]});
        let plan = Plan::read(&text.to_string()).unwrap();
        assert_eq!((plan.makes("aws_vpc"), plan.makes("aws_iam_role"), plan.nodes()), (1, 0, 2));
        assert_eq!(plan.to_string(), "3 to make, 1 to change, 1 to destroy");
        assert!(!plan.changes_nothing());
    }

    #[test]
    fn what_is_there_already_changes_nothing_and_a_new_output_is_a_change() {
        let still = serde_json::json!({
            "resource_changes": [{"type": "aws_vpc", "change": {"actions": ["no-op"]}}, {"type": "aws_region", "change": {"actions": ["read"]}}],
            "output_changes": {"region": {"actions": ["no-op"]}},
        });
        assert!(Plan::read(&still.to_string()).unwrap().changes_nothing());
        let output = serde_json::json!({"output_changes": {"region": {"actions": ["create"]}}});
        assert!(!Plan::read(&output.to_string()).unwrap().changes_nothing());
    }
}
