//! The samples: a server of each bundled kind, and the tool that shows that it works.
//!
//! In: the servers that the image holds. Out: for each the sample of its name in `config/samples`. Where AWS is an
//! emulator, the sample of it is told so here, and `config/samples` stays true for EKS.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::images::servers;
use crate::ministack::REGION;

/// A sample and a call that works on any machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the `McpServer`, and of the kind that it runs.
    pub name: &'static str,
    /// A tool that reads.
    pub tool: &'static str,
    /// Its arguments.
    pub arguments: Value,
}

/// The samples whose servers are in the image.
#[must_use]
pub fn samples() -> Vec<Sample> {
    let all = [
        ("aws", "ec2_list_instances", json!({"region": REGION})),
        ("database", "list_tables", json!({})),
        ("custom", "get_current_time", json!({"timezone": "Europe/Berlin"})),
        ("filesystem", "list_directory", json!({"path": "/docs"})),
    ];
    let there = |name: &str| servers().contains(&format!("mcp-{name}").as_str());
    let samples = all.into_iter().filter(|(name, ..)| there(name));
    samples.map(|(name, tool, arguments)| Sample { name, tool, arguments }).collect()
}

/// What [`use_local_aws`] sets.
pub(super) const LOCAL_AWS: [&str; 2] = ["/spec/env", "/spec/network"];

/// Tells the AWS sample where AWS is, with the keys that every emulator takes, and lets its pods go there.
pub(super) fn use_local_aws(object: &mut Value, address: SocketAddr) {
    if object.pointer("/spec/server/aws").is_none() {
        return;
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let variables = [
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ];
    let variables: Vec<Value> =
        variables.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    spec.insert("env".to_owned(), json!(variables));
    let block = format!("{}/32", address.ip());
    let egress = json!({"egress": {"cidrs": [block], "ports": [address.port()]}});
    spec.insert("network".to_owned(), egress);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_in_the_image_has_a_sample_that_is_installed() {
        let names: Vec<_> = samples().iter().map(|sample| format!("mcp-{}", sample.name)).collect();
        let mut servers = servers();
        servers.sort_unstable();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, servers);
        let list = include_str!("../../../config/samples/kustomization.yaml");
        for sample in samples() {
            assert!(list.lines().any(|line| line == format!("- {}.yaml", sample.name)), "{}: {list}", sample.name);
        }
    }

    #[test]
    fn the_aws_sample_alone_is_told_of_an_emulator() {
        let address = "10.244.0.1:4566".parse().unwrap();
        let mut aws = json!({"kind": "McpServer", "spec": {"server": {"aws": {}}}});
        use_local_aws(&mut aws, address);
        assert_eq!(aws["spec"]["env"][0], json!({"name": "AWS_ENDPOINT_URL", "value": "http://10.244.0.1:4566"}));
        assert_eq!(aws["spec"]["network"]["egress"], json!({"cidrs": ["10.244.0.1/32"], "ports": [4566]}));
        let other = json!({"kind": "McpServer", "spec": {"server": {"custom": {}}}});
        let mut same = other.clone();
        use_local_aws(&mut same, address);
        assert_eq!(same, other);
    }
}
