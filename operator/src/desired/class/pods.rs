//! What pods of a class may be made of, and where they may run.

use std::collections::BTreeMap;

use mcp_crds::{
    McpServerClassSpec, McpServerSpec,
    class::{AllowedImages, AllowedScheduling, AllowedVolumes, Limits, VolumeType},
    pod::{Resources, Volume},
    quantity::Quantity,
    scheduling::Scheduling,
};

use super::{Denied, pattern::begins};
use crate::desired::validate::secrets;

/// `spec` is what the team wrote, `merged` has the class's defaults in it: those need nobody's leave.
pub(super) fn check(spec: &McpServerSpec, merged: &McpServerSpec, class: &McpServerClassSpec, denied: &mut Denied) {
    let images = class.images.clone().unwrap_or_default();
    let own = spec.server.image.as_ref().map(|server| ("spec.server.image.ref", &server.reference));
    for (field, image) in own.into_iter().chain(spec.image.as_ref().map(|image| ("spec.image", image))) {
        check_image(field, image, &images, denied);
    }
    for name in secrets(spec).into_iter().filter(|name| !begins(&class.secret_names, name)) {
        let message = format!("the class does not allow Secret {name:?}: its secretNames says what it does");
        denied.add("spec", message);
    }
    let volumes = class.volumes.clone().unwrap_or_default();
    for volume in &spec.volumes {
        check_volume(volume, &volumes, denied);
    }
    if let Some(scheduling) = &spec.scheduling {
        check_place(scheduling, &class.scheduling.clone().unwrap_or_default(), denied);
    }
    if let Some(limits) = &class.limits {
        check_limits(merged, limits, denied);
    }
}

fn check_image(field: &str, image: &str, allowed: &AllowedImages, denied: &mut Denied) {
    if !allowed.allowed_prefixes.iter().any(|prefix| image.starts_with(prefix.as_str())) {
        denied.add(field, format!("the class does not allow {image}: its images.allowedPrefixes says what it does"));
    }
    if allowed.require_digest && !image.contains("@sha256:") {
        denied.add(field, "the class takes images by digest alone: write name@sha256:…");
    }
}

fn check_volume(volume: &Volume, allowed: &AllowedVolumes, denied: &mut Denied) {
    let kinds = [
        (volume.config_map.is_some(), VolumeType::ConfigMap),
        (volume.secret.is_some(), VolumeType::Secret),
        (volume.empty_dir.is_some(), VolumeType::EmptyDir),
        (volume.persistent_volume_claim.is_some(), VolumeType::PersistentVolumeClaim),
        (volume.csi.is_some(), VolumeType::Csi),
    ];
    let field = format!("spec.volumes[{}]", volume.name);
    for (_, kind) in kinds.into_iter().filter(|(is, kind)| *is && !allowed.allowed_types.contains(kind)) {
        let message = format!("the class does not allow {}: its volumes.allowedTypes says what it does", kind.as_str());
        denied.add(&field, message);
    }
    if let Some(csi) = volume.csi.as_ref().filter(|csi| !allowed.allowed_csi_drivers.contains(&csi.driver)) {
        let message =
            format!("the class does not allow {}: its volumes.allowedCsiDrivers says what it does", csi.driver);
        denied.add(&field, message);
    }
}

fn check_place(asked: &Scheduling, allowed: &AllowedScheduling, denied: &mut Denied) {
    let named = [
        (&asked.priority_class_name, &allowed.allowed_priority_classes, "priorityClassName", "allowedPriorityClasses"),
        (&asked.runtime_class_name, &allowed.allowed_runtime_classes, "runtimeClassName", "allowedRuntimeClasses"),
    ];
    for (name, allowed, field, list) in named {
        if let Some(name) = name.as_ref().filter(|name| !allowed.contains(name)) {
            let message = format!("the class does not allow {name}: its scheduling.{list} says what it does");
            denied.add(format!("spec.scheduling.{field}"), message);
        }
    }
    for toleration in &asked.tolerations {
        // Without a key it bears every taint.
        let key = toleration.key.as_deref().unwrap_or("every taint");
        if !allowed.allowed_taints.iter().any(|taint| taint == key) {
            let message = format!("the class does not allow {key}: its scheduling.allowedTaints says what it does");
            denied.add("spec.scheduling.tolerations", message);
        }
    }
}

fn check_limits(spec: &McpServerSpec, limits: &Limits, denied: &mut Denied) {
    if let Some(most) = limits.max_replicas {
        let scaled = spec.autoscaling.as_ref().map(|scaling| ("spec.autoscaling.maxReplicas", scaling.max_replicas));
        for (field, asked) in [("spec.replicas", spec.replicas)].into_iter().chain(scaled) {
            if asked > most {
                denied.add(field, format!("the class allows {most} pods, and {asked} are asked for"));
            }
        }
    }
    // A bundled server has bounds of its own where the spec says nothing.
    let default = Resources::default();
    let asked = match &spec.resources {
        Some(asked) => asked,
        None if spec.server.image.is_some() => &default,
        None => return,
    };
    for (name, most) in [("cpu", &limits.cpu), ("memory", &limits.memory)] {
        if let Some(most) = most {
            check_amounts(name, most, asked, denied);
        }
    }
}

fn check_amounts(name: &str, most: &Quantity, asked: &Resources, denied: &mut Denied) {
    let too_much =
        |amounts: &BTreeMap<String, Quantity>| amounts.get(name).is_some_and(|it| it.millis() > most.millis());
    for (list, amounts) in [("requests", &asked.requests), ("limits", &asked.limits)] {
        if too_much(amounts) {
            denied.add(format!("spec.resources.{list}[{name}]"), format!("the class allows {most}: ask for no more"));
        }
    }
    if !asked.limits.contains_key(name) {
        let message =
            format!("is not set, and the class allows {most}: without a limit a container takes what it gets");
        denied.add(format!("spec.resources.limits[{name}]"), message);
    }
}
