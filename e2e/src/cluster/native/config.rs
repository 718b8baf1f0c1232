//! Configuration files of the node's components. The settings come from what this kind of machine needs: cgroup v1
//! as found, no CAP_SYS_RESOURCE, no registry, no host directory written to.
//!
//! In: paths and the slot. Out: texts (JSON where the component reads YAML). Pure.

use std::path::Path;

use serde_json::{Value, json};

use super::pki::Pki;
use crate::cluster::slot::Slot;

/// Where containerd listens inside the node: /run is the node's own.
pub(super) const CONTAINERD_SOCKET: &str = "/run/mcp-eks/containerd.sock";

/// The bridge that pods hang on, inside the node.
pub(super) const BRIDGE: &str = "pods0";

/// containerd without a registry. `restrict_oom_score_adj`: without CAP_SYS_RESOURCE every sandbox fails otherwise.
pub(super) fn containerd(dir: &Path, cni: &Path, snapshotter: &str, pause: &str) -> String {
    let (dir, cni) = (dir.display(), cni.display());
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "/run/mcp-eks/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{dir}/cni"
"#
    )
}

/// The pod network: one bridge, addresses remembered in the cluster's directory.
pub(super) fn cni(dir: &Path, slot: Slot) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": BRIDGE, "isGateway": true, "ipMasq": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": dir.join("cni-addresses"),
                    "ranges": [[{"subnet": slot.pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// The kubelet. Eviction stays far from the limits of a developer's half-full disk.
pub(super) fn kubelet(dir: &Path, slot: Slot, pki: &Pki, cgroup_root: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.path("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki.path("kubelet-server.crt"),
        "tlsPrivateKeyFile": pki.path("kubelet-server.key"),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup_root,
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "clusterDomain": "cluster.local",
        "clusterDNS": [slot.dns_service()],
        "resolvConf": dir.join("resolv.conf"),
        "podLogsDir": dir.join("pod-logs"),
        "registerNode": true,
        "nodeStatusUpdateFrequency": "5s",
        "fileCheckFrequency": "1s",
        "syncFrequency": "10s",
        "cpuManagerPolicy": "none",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%",
        },
        "volumePluginDir": dir.join("volume-plugins"),
    })
}

/// kube-proxy with iptables, in the node's own network namespace.
pub(super) fn proxy(kubeconfig: &Path, slot: Slot, node: &str) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": slot.pods(),
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": kubeconfig},
        // The conntrack limits are the machine's, not the namespace's: left alone.
        "conntrack": {"maxPerCore": 0},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slots_share_no_network() {
        let dir = Path::new("/cache/a");
        assert_eq!(cni(dir, Slot(1))["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.1.0/24");
        assert_eq!(proxy(dir, Slot(2), "b")["clusterCIDR"], "10.244.2.0/24");
    }

    #[test]
    fn containerd_keeps_to_its_directory_and_the_private_run() {
        let text = containerd(Path::new("/cache/a"), Path::new("/usr/lib/cni"), "overlayfs", "localhost/pause:1");
        assert!(text.contains("root = \"/cache/a/containerd\"") && text.contains("restrict_oom_score_adj = true"));
        assert!(!text.contains("/var/lib") && !text.contains("/etc/"));
    }
}
