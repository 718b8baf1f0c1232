//! Who is to be asked: every pod that gets traffic, and the Service. Pure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::heard::{Endpoint, Place};

/// One to be asked. Another pod of the same name, another address or other pods behind the Service make it another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What it is, for the metrics: `pod` or `service`.
    pub kind: &'static str,
    /// How a message names it.
    pub name: String,
    /// Tells it from others of its name.
    pub identity: String,
    /// Where it is.
    pub endpoint: Endpoint,
}

/// Everybody to be asked for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Pods that get traffic, by name.
    pub pods: Vec<Target>,
    /// The pod whose word on its tools counts: the youngest.
    pub spokesman: usize,
    /// The Service, which is asked when every pod has spoken.
    pub service: Target,
}

/// The targets of a server with this address; none while no pod gets traffic.
#[must_use]
pub fn targets(url: &str, pods: &[Arc<Pod>], service_address: Option<IpAddr>) -> Option<Targets> {
    let uri: http::Uri = url.parse().ok()?;
    let name = uri.host()?.to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let endpoint = |place| Endpoint {
        place,
        port,
        host: uri.authority().map(ToString::to_string).unwrap_or_default(),
        path: uri.path().to_owned(),
    };
    let mut serving: Vec<(&Arc<Pod>, IpAddr)> = pods.iter().filter_map(|pod| Some((pod, address(pod)?))).collect();
    serving.sort_by_key(|(pod, _)| pod.name_any());
    let age = |pod: &Pod| (pod.metadata.creation_timestamp.as_ref().map(|time| time.0), pod.name_any());
    let spokesman = (0..serving.len()).max_by_key(|at| serving.get(*at).map(|(pod, _)| age(pod)))?;
    let mut hasher = DefaultHasher::new();
    let pods = serving.iter().map(|(pod, ip)| {
        let identity = pod.uid().unwrap_or_default();
        identity.hash(&mut hasher);
        Target { kind: "pod", name: format!("pod {}", pod.name_any()), identity, endpoint: endpoint(Place::Ip(*ip)) }
    });
    let pods = pods.collect();
    let service = Target {
        kind: "service",
        name: "the Service".to_owned(),
        identity: format!("{:x}", hasher.finish()),
        endpoint: endpoint(service_address.map_or(Place::Name(name), Place::Ip)),
    };
    Some(Targets { pods, spokesman, service })
}

/// The address of a pod that gets traffic.
fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
    let serves = ready && pod.metadata.deletion_timestamp.is_none();
    status.pod_ip.as_ref().filter(|_| serves)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "http://files.team.svc.cluster.local:8080/mcp";

    fn pod(name: &str, born: u8, ready: bool, going: bool) -> Arc<Pod> {
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": format!("2026-11-21T09:00:0{born}Z")},
            "status": {
                "podIP": "10.244.0.7",
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            },
        }))
        .unwrap();
        if going {
            pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
        }
        Arc::new(pod)
    }

    #[test]
    fn pods_that_get_traffic_are_asked_under_the_name_of_the_service() {
        let pods =
            [pod("b", 1, true, false), pod("a", 2, true, false), pod("c", 3, false, false), pod("d", 4, true, true)];
        let targets = targets(URL, &pods, None).unwrap();
        let names: Vec<_> = targets.pods.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["pod a", "pod b"]);
        assert_eq!(targets.spokesman, 0, "the youngest speaks for all");
        let endpoint = &targets.pods[0].endpoint;
        assert_eq!((endpoint.port, endpoint.path.as_str()), (8080, "/mcp"));
        assert_eq!(endpoint.host, "files.team.svc.cluster.local:8080");
        assert_eq!(targets.service.endpoint.place, Place::Name("files.team.svc.cluster.local".to_owned()));
    }

    #[test]
    fn a_service_is_reached_elsewhere_if_told_so_and_keeps_its_name() {
        let targets = targets(URL, &[pod("a", 1, true, false)], Some([127, 0, 0, 9].into())).unwrap();
        assert_eq!(targets.service.endpoint.place, Place::Ip([127, 0, 0, 9].into()));
        assert_eq!(targets.service.endpoint.host, "files.team.svc.cluster.local:8080");
    }

    #[test]
    fn other_pods_make_the_service_another_target() {
        let of = |pods: &[Arc<Pod>]| targets(URL, pods, None).map(|targets| targets.service);
        let (a, b) = (pod("a", 1, true, false), pod("b", 1, true, false));
        assert_eq!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
        assert_ne!(of(std::slice::from_ref(&a)), of(&[a, b]));
        assert_eq!(of(&[]), None);
    }
}
