//! What an installation on this machine has in place of what `config/` says: its own images, an AWS beside the node.
//!
//! In: objects as kustomize renders them, or as a cluster holds them. Out: the same with the local images; whether what was
//! put in is still there. Pure.

use serde_json::{Value, json};

use super::{images::Images, samples::LOCAL_AWS};

/// The operator's variable for the image of the servers.
const SERVERS_IMAGE: &str = "MCP_EKS_SERVERS_IMAGE";

/// Puts the local images where the published ones stand. They are in the node, in no registry: never pulled.
pub(super) fn use_local_images(object: &mut Value, images: &Images) {
    let Some(containers) = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut) else {
        return;
    };
    for container in containers {
        container["image"] = json!(images.operator.reference);
        for variable in container["env"].as_array_mut().into_iter().flatten() {
            if variable["name"] == SERVERS_IMAGE {
                variable["value"] = json!(images.servers.reference);
            }
        }
    }
}

/// Whether an object in the cluster still has what is put in here in place of what `config/` says.
pub(super) fn keeps_local(wanted: &Value, found: &Value) -> bool {
    images(wanted) == images(found)
        && LOCAL_AWS.iter().all(|place| match (wanted.pointer(place), found.pointer(place)) {
            (Some(wanted), Some(found)) => holds(found, wanted),
            (wanted, _) => wanted.is_none(),
        })
}

/// The images that an object names.
fn images(object: &Value) -> Vec<&Value> {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let of = |container| {
        let variables = container_env(container).filter(|variable| variable["name"] == SERVERS_IMAGE);
        std::iter::once(&container["image"]).chain(variables.map(|variable| &variable["value"]))
    };
    containers.into_iter().flatten().flat_map(of).collect()
}

fn container_env(container: &Value) -> impl Iterator<Item = &Value> {
    container["env"].as_array().into_iter().flatten()
}

/// Whether everything that is wanted is there. What the API server adds by itself may be there too.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::samples::use_local_aws, *};

    #[test]
    fn a_sample_applied_anew_without_the_emulator_is_not_what_was_installed() {
        let published =
            json!({"kind": "McpServer", "spec": {"replicas": 2, "server": {"aws": {"region": "us-west-2"}}}});
        let mut local = published.clone();
        use_local_aws(&mut local, "10.244.0.1:4566".parse().unwrap());
        assert!(!keeps_local(&local, &published));
        let mut moved = published.clone();
        use_local_aws(&mut moved, "10.244.1.1:4566".parse().unwrap());
        assert!(!keeps_local(&local, &moved));
        // Defaults of the API server, and what the README tells people to do.
        let mut scaled = local.clone();
        scaled["spec"]["network"]["egress"]["dns"] = json!(true);
        scaled["spec"]["replicas"] = json!(5);
        assert!(keeps_local(&local, &scaled) && keeps_local(&published, &published));
    }

    #[test]
    fn an_operator_applied_anew_with_a_published_image_is_not_what_was_installed() {
        let deployment = |operator: &str, servers: &str| {
            let env = json!([{"name": "OTHER", "value": "x"}, {"name": SERVERS_IMAGE, "value": servers}]);
            json!({"spec": {"template": {"spec": {"containers": [{"image": operator, "env": env}]}}}})
        };
        let local = deployment("localhost/operator:1", "localhost/servers:1");
        assert!(keeps_local(&local, &local));
        assert!(!keeps_local(&local, &deployment("ghcr.io/operator:1", "localhost/servers:1")));
        assert!(!keeps_local(&local, &deployment("localhost/operator:1", "ghcr.io/servers:1")));
    }
}
