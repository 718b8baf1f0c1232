//! Whether the account has room for what a plan would make.
//!
//! In: the plan, Service Quotas, lists of what there is. Out: what does not fit, and what could not be looked up.

use serde_json::Value;

use super::outcome::Plan;
use super::ready::ask;
use super::session::Session;

/// A limit of an account in a region.
struct Quota {
    what: &'static str,
    service: &'static str,
    code: &'static str,
    /// How many a plan makes.
    makes: fn(&Plan) -> u64,
    /// What lists those that are there, and under which key.
    list: Option<(&'static [&'static str], &'static str)>,
}

/// Those that new accounts run into. Each instance of the managed group has two vCPUs (t3.medium, t3.large).
const QUOTAS: [Quota; 4] = [
    Quota {
        what: "VPCs of the region",
        service: "vpc",
        code: "L-F678F1CE",
        makes: |plan| plan.makes("aws_vpc"),
        list: Some((&["ec2", "describe-vpcs"], "Vpcs")),
    },
    Quota {
        what: "Elastic IP addresses",
        service: "ec2",
        code: "L-0263D0A3",
        makes: |plan| plan.makes("aws_eip"),
        list: Some((&["ec2", "describe-addresses"], "Addresses")),
    },
    Quota {
        what: "EKS clusters",
        service: "eks",
        code: "L-1194D53C",
        makes: |plan| plan.makes("aws_eks_cluster"),
        list: Some((&["eks", "list-clusters"], "clusters")),
    },
    Quota {
        what: "vCPUs of running on-demand standard instances (those that run already are not counted)",
        service: "ec2",
        code: "L-1216C47A",
        makes: |plan| plan.nodes() * 2,
        list: None,
    },
];

/// What does not fit, and what is not known.
pub(super) fn missing(session: &Session<'_>, plan: &Plan) -> (Vec<String>, Vec<String>) {
    let (mut missing, mut unknown) = (Vec::new(), Vec::new());
    for quota in QUOTAS.iter().filter(|it| (it.makes)(plan) > 0) {
        let asked =
            ["service-quotas", "get-service-quota", "--service-code", quota.service, "--quota-code", quota.code];
        let limit = ask(session, &asked).and_then(|it| limit(&it).ok_or_else(|| "no value in the answer".to_owned()));
        let used = quota.list.map_or(Ok(0), |(words, key)| ask(session, words).map(|it| count(&it, key)));
        match (limit, used) {
            (Ok(limit), Ok(used)) => missing.extend(too_few(quota, limit, used, (quota.makes)(plan))),
            (Err(said), _) | (_, Err(said)) => {
                unknown.push(format!("whether there is room for {} more {}: {said}", (quota.makes)(plan), quota.what));
            }
        }
    }
    (missing, unknown)
}

fn limit(answer: &Value) -> Option<f64> {
    answer.get("Quota")?.get("Value")?.as_f64()
}

fn count(answer: &Value, key: &str) -> u64 {
    answer.get(key).and_then(Value::as_array).map_or(0, |it| it.len() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "counts of an account are far below 2^52")]
fn too_few(quota: &Quota, limit: f64, used: u64, makes: u64) -> Option<String> {
    ((used + makes) as f64 > limit).then(|| {
        format!(
            "quota: {}: {limit} are allowed, {used} are there, {makes} more are needed. Ask for more: aws service-quotas \
             request-service-quota-increase --service-code {} --quota-code {} --desired-value {}",
            quota.what,
            quota.service,
            quota.code,
            used + makes
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_exactly_fits_and_one_more_is_refused_with_the_way_to_get_it() {
        let [vpcs, ..] = &QUOTAS;
        assert_eq!(too_few(vpcs, 5.0, 4, 1), None);
        let said = too_few(vpcs, 5.0, 5, 1).unwrap();
        assert!(said.starts_with("quota: VPCs of the region: 5 are allowed, 5 are there, 1 more are needed"), "{said}");
        assert!(said.ends_with("--service-code vpc --quota-code L-F678F1CE --desired-value 6"), "{said}");
    }

    #[test]
    fn limits_and_counts_are_read_as_the_cli_prints_them() {
        let answer: Value = serde_json::from_str(r#"{"Quota": {"QuotaCode": "L-F678F1CE", "Value": 5.0}}"#).unwrap();
        assert_eq!(limit(&answer), Some(5.0));
        assert_eq!(limit(&Value::Null), None);
        assert_eq!(count(&serde_json::json!({"Vpcs": [{}, {}]}), "Vpcs"), 2);
    }
}
