//! Volumes and mounts, typed: exactly one source each, and none that reaches the node.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::api::resource::Quantity};
use mcp_crds::pod;

use super::Problems;
use crate::desired::{bundled::DIRS, names::OWN_PREFIX};

pub(super) fn volumes(volumes: &[pod::Volume], problems: &mut Problems) -> Vec<core::Volume> {
    problems.duplicates("spec.volumes", volumes.iter().map(|volume| volume.name.as_str()));
    volumes.iter().map(|volume| typed(volume, problems)).collect()
}

fn typed(volume: &pod::Volume, problems: &mut Problems) -> core::Volume {
    let field = format!("spec.volumes[{}]", volume.name);
    let sources = [
        volume.config_map.is_some(),
        volume.secret.is_some(),
        volume.empty_dir.is_some(),
        volume.persistent_volume_claim.is_some(),
        volume.csi.is_some(),
    ];
    if sources.iter().filter(|set| **set).count() != 1 {
        problems.add(&field, "set exactly one source: configMap, secret, emptyDir, persistentVolumeClaim or csi (hostPath and every other kind are not allowed)");
    }
    if volume.name.starts_with(OWN_PREFIX) {
        problems.add(&field, format!("names that begin with {OWN_PREFIX} belong to the operator: choose another"));
    }
    let empty_dir = volume.empty_dir.clone().map(|dir| {
        if dir.size_limit.as_ref().is_some_and(|limit| limit.millis().is_none()) {
            problems.add(format!("{field}.emptyDir.sizeLimit"), "is not a quantity: write for example 64Mi");
        }
        core::EmptyDirVolumeSource { medium: None, size_limit: dir.size_limit.map(|limit| Quantity(limit.0)) }
    });
    core::Volume {
        name: volume.name.clone(),
        config_map: volume.config_map.clone().map(|object| core::ConfigMapVolumeSource {
            name: object.name,
            optional: object.optional,
            ..core::ConfigMapVolumeSource::default()
        }),
        secret: volume.secret.clone().map(|secret| core::SecretVolumeSource {
            secret_name: Some(secret.secret_name),
            optional: secret.optional,
            ..core::SecretVolumeSource::default()
        }),
        empty_dir,
        persistent_volume_claim: volume.persistent_volume_claim.clone().map(|claim| {
            core::PersistentVolumeClaimVolumeSource {
                claim_name: claim.claim_name,
                read_only: claim.read_only.filter(|it| *it),
            }
        }),
        csi: volume.csi.clone().map(|csi| core::CSIVolumeSource {
            driver: csi.driver,
            read_only: csi.read_only,
            volume_attributes: (!csi.volume_attributes.is_empty())
                .then(|| csi.volume_attributes.into_iter().map(|(key, value)| (key, value.0)).collect()),
            ..core::CSIVolumeSource::default()
        }),
        ..core::Volume::default()
    }
}

/// Whether nothing can be changed on a volume, whatever the mount says.
pub(super) fn is_read_only(volume: &pod::Volume) -> bool {
    let claim = volume.persistent_volume_claim.as_ref().and_then(|claim| claim.read_only);
    let csi = volume.csi.as_ref().and_then(|csi| csi.read_only);
    volume.config_map.is_some() || volume.secret.is_some() || claim == Some(true) || csi == Some(true)
}

pub(super) fn mounts(
    mounts: &[pod::VolumeMount],
    volumes: &[pod::Volume],
    problems: &mut Problems,
) -> Vec<core::VolumeMount> {
    problems.duplicates("spec.volumeMounts", mounts.iter().map(|mount| mount.mount_path.as_str()));
    for mount in mounts {
        let field = format!("spec.volumeMounts[{}]", mount.mount_path);
        if !volumes.iter().any(|volume| volume.name == mount.name) {
            problems
                .add(&field, format!("no volume {:?} in spec.volumes: add it there, or name one that is", mount.name));
        }
        if !mount.mount_path.starts_with('/') || mount.mount_path.contains("..") {
            problems.add(&field, "mountPath must be absolute and free of '..'");
        }
        let below = |dir: &str| mount.mount_path.strip_prefix(dir);
        let inside = |dir: &str| below(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(dir) = DIRS.iter().find(|dir| inside(dir)) {
            problems.add(&field, format!("{dir} belongs to the bundled servers: mount it elsewhere"));
        }
        if mount.sub_path.as_ref().is_some_and(|path| path.starts_with('/') || path.contains("..")) {
            problems.add(&field, "subPath must be relative and free of '..'");
        }
    }
    let typed = |mount: &pod::VolumeMount| core::VolumeMount {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        sub_path: mount.sub_path.clone().filter(|path| !path.is_empty()),
        // False is not stored by the API server: asked for, it would be missed for ever.
        read_only: mount.read_only.filter(|read_only| *read_only),
        ..core::VolumeMount::default()
    };
    mounts.iter().map(typed).collect()
}
