//! State that pods hold or share: how many there may be, how one template follows another, and the bounds on Secrets
//! and ConfigMaps.

use std::collections::BTreeSet;

use mcp_crds::{McpServerSpec, kinds::Writes, pod::AccessMode};

use super::{Problems, volumes};
use crate::desired::roll::config_maps;

/// Secrets and ConfigMaps that one spec may name, of each.
const MOST_OBJECTS: usize = 8;

/// How one pod template follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// New pods are ready before old ones go.
    Rolling,
    /// Old pods are gone before new ones start: they could not share what they hold.
    Recreate,
}

/// Decides from what the spec says: the operator cannot know how a claim can really be mounted.
pub(super) fn strategy(spec: &McpServerSpec) -> Strategy {
    let alone = spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
    let mut alone = alone.filter(|claim| claim.access_mode != AccessMode::ReadWriteMany);
    if spec.state_in_the_pod().is_some() || alone.next().is_some() { Strategy::Recreate } else { Strategy::Rolling }
}

/// State in the pod means one pod; consent over several needs a key that all of them have.
pub(super) fn replicas(spec: &McpServerSpec, problems: &mut Problems) {
    if spec.replicas < 0 {
        problems.add("spec.replicas", format!("{} is less than no pods: use 0 or more", spec.replicas));
    }
    if spec.replicas <= 1 && spec.autoscaling.is_none() {
        return;
    }
    let field = if spec.autoscaling.is_some() { "spec.autoscaling" } else { "spec.replicas" };
    if let Some(state) = spec.state_in_the_pod() {
        let message = format!(
            "this server keeps {state} in its pod, and a second pod would not know it: set spec.replicas to 1 without \
             autoscaling, or use postgres, Valkey or a volume that pods share"
        );
        problems.add(field, message);
    }
    let key = spec.tools.as_ref().and_then(|tools| tools.consent_key_ref.as_ref());
    if spec.server.writes() == Some(Writes::Consent) && key.is_none() {
        problems.add(field, "writes: Consent with several replicas needs a key that all pods share: make a Secret with 32 random bytes and name it in spec.tools.consentKeyRef, or set spec.replicas to 1");
    }
}

/// What names Secrets and ConfigMaps is bounded: each is read, watched or asked about one by one.
pub(super) fn objects(spec: &McpServerSpec, problems: &mut Problems) {
    for (kind, named) in [("Secrets", secrets(spec).len()), ("ConfigMaps", config_maps(spec).len())] {
        if named > MOST_OBJECTS {
            let message = format!("names {named} {kind}, and {MOST_OBJECTS} are the most: join some of them");
            problems.add("spec", message);
        }
    }
}

/// Names of the Secrets whose content reaches the pods of a server, or the nodes that pull its image.
pub(in crate::desired) fn secrets(spec: &McpServerSpec) -> BTreeSet<&str> {
    let single = spec.env.iter().filter_map(|it| Some(&it.value_from.as_ref()?.secret_key_ref.as_ref()?.name));
    let all = spec.env_from.iter().filter_map(|it| Some(&it.secret_ref.as_ref()?.name));
    let files = spec.volumes.iter().filter_map(|it| Some(&it.secret.as_ref()?.secret_name));
    let pulls = spec.image_pull_secrets.iter().map(|it| &it.name);
    single.chain(all).chain(files).chain(pulls).map(String::as_str).chain(mounted(spec)).collect()
}

/// Secrets that a bundled server reads as files.
fn mounted(spec: &McpServerSpec) -> Vec<&str> {
    let server = &spec.server;
    let database = server.database.as_ref().and_then(|it| Some(&it.postgres.as_ref()?.secret_ref));
    let product = server.product.as_ref().and_then(|it| Some(&it.postgres.as_ref()?.secret_ref));
    let order = server.order.as_ref().and_then(|it| Some(&it.postgres.as_ref()?.secret_ref));
    let valkey = server.custom.as_ref().and_then(|it| Some(&it.kv.as_ref()?.valkey.as_ref()?.secret_ref));
    let keys = spec.auth.as_ref().and_then(|it| Some(&it.api_key.as_ref()?.secret_ref));
    let consent = spec.tools.as_ref().and_then(|it| it.consent_key_ref.as_ref());
    let audit = spec.audit.as_ref().and_then(|it| Some(&it.postgres.as_ref()?.secret_ref));
    [database, product, order, valkey, keys, consent, audit].into_iter().flatten().map(|it| it.name.as_str()).collect()
}

/// ConfigMaps with certificates that a bundled server reads as files.
pub(in crate::desired) fn authorities(spec: &McpServerSpec) -> impl Iterator<Item = &str> {
    let database = spec.server.database.as_ref().and_then(|it| it.postgres.as_ref()?.ca_config_map_ref.as_ref());
    let audit = spec.audit.as_ref().and_then(|it| it.postgres.as_ref()?.ca_config_map_ref.as_ref());
    [database, audit].into_iter().flatten().map(|it| it.name.as_str())
}

/// Databases in files lie on volumes that exist, and not on a network: locks do not hold there, and data is lost.
pub(super) fn databases(spec: &McpServerSpec, problems: &mut Problems) {
    let server = &spec.server;
    let database = server.database.as_ref().and_then(|it| it.sqlite.as_ref()?.persistence.as_ref());
    let product = server.product.as_ref().and_then(|it| it.sqlite.as_ref()?.persistence.as_ref());
    let order = server.order.as_ref().and_then(|it| it.sqlite.as_ref()?.persistence.as_ref());
    let disk = server.custom.as_ref().and_then(|it| it.kv.as_ref()?.disk.as_ref());
    let member = server.member().unwrap_or_default();
    let volumes = [database, product, order].into_iter().flatten().map(|it| &it.volume);
    for name in volumes.chain(disk.map(|disk| &disk.volume)) {
        let field = format!("spec.server.{member}");
        let Some(volume) = spec.volumes.iter().find(|volume| volume.name == *name) else {
            problems.add(field, format!("no volume {name:?} in spec.volumes: add it there, or name one that is"));
            continue;
        };
        let shared =
            volume.persistent_volume_claim.as_ref().map(|it| it.access_mode) == Some(AccessMode::ReadWriteMany);
        let network = volume.csi.as_ref().is_some_and(|csi| NETWORK.iter().any(|word| csi.driver.contains(word)));
        if shared || network {
            let message = format!(
                "volume {name:?} is a network file system, where a database loses data: use a claim on a block device"
            );
            problems.add(field, message);
        } else if volumes::is_read_only(volume) {
            problems.add(field, format!("volume {name:?} cannot be written: use a claim on a block device"));
        }
    }
}

/// What the names of CSI drivers of network file systems hold.
const NETWORK: [&str; 5] = ["efs", "nfs", "fsx", "smb", "s3"];
