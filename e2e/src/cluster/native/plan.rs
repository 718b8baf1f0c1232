//! What the supervisor is to run: command lines in two rounds, before and after the API server answers.
//!
//! In: tier, slot, ports, paths. Out: a plan that is stored as JSON beside the cluster. Pure.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pki::Pki;
use crate::cluster::slot::Slot;
use crate::cluster::state::Tier;

/// A program and its arguments; the name is also that of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) command: Vec<String>,
}

/// What makes the supervisor's namespaces a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) hostname: String,
    pub(super) slot: Slot,
}

/// All the supervisor needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) node: Option<Node>,
    pub(super) first: Vec<Component>,
    /// Started when the API server, asked with `kubeconfig`, says that it is ready.
    pub(super) then: Vec<Component>,
    pub(super) kubeconfig: PathBuf,
}

/// Where things are and listen, as far as command lines need it.
pub(super) struct Layout<'a> {
    pub(super) dir: &'a Path,
    pub(super) tier: Tier,
    pub(super) slot: Slot,
    pub(super) node: &'a str,
    pub(super) pki: &'a Pki,
    pub(super) etcd: &'a Path,
    pub(super) kubernetes: &'a Path,
    pub(super) containerd: Option<&'a Path>,
    pub(super) own_binary: &'a Path,
    pub(super) ports: Ports,
    pub(super) pod_address: Option<Ipv4Addr>,
}

/// Ports of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) server: u16,
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) controllers: u16,
}

impl Ports {
    /// The well-known ones, inside a network namespace.
    pub(super) const NODE: Self = Self { server: 6443, etcd: 2379, etcd_peer: 2380, controllers: 10257 };

    /// Four in a row from `base`.
    pub(super) fn from_base(base: u16) -> Self {
        Self { server: base, etcd: base + 1, etcd_peer: base + 2, controllers: base + 3 }
    }

    pub(super) fn all(self) -> [u16; 4] {
        [self.server, self.etcd, self.etcd_peer, self.controllers]
    }
}

impl Layout<'_> {
    /// The whole plan.
    pub(super) fn plan(&self) -> Plan {
        let mut first = vec![self.etcd_component(), self.api_server()];
        let mut then = Vec::new();
        if self.tier != Tier::Api {
            then.push(self.controller_manager());
        }
        if self.tier == Tier::Controllers {
            then.push(self.fake_kubelet());
        }
        if let Some(containerd) = self.containerd {
            let config = format!("--config={}", self.file("containerd.toml"));
            first.insert(0, component("containerd", &[&containerd.to_string_lossy(), &config]));
            then.extend([self.kubelet(), self.scheduler(), self.proxy()]);
        }
        let node = (self.tier == Tier::Node).then(|| Node { hostname: self.node.to_owned(), slot: self.slot });
        Plan { node, first, then, kubeconfig: self.kubeconfig("controller-manager").into() }
    }

    /// The kubeconfig of one component.
    pub(super) fn kubeconfig(&self, client: &str) -> String {
        self.file(&format!("conf/{client}.kubeconfig"))
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    fn etcd_component(&self) -> Component {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports.etcd_peer);
        component(
            "etcd",
            &[
                &self.etcd.to_string_lossy(),
                "--name=etcd",
                &format!("--data-dir={}", self.file("etcd")),
                &format!("--listen-client-urls={client}"),
                &format!("--advertise-client-urls={client}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=etcd={peer}"),
                // The data dies with the cluster: durability would only cost time.
                "--unsafe-no-fsync",
            ],
        )
    }

    fn api_server(&self) -> Component {
        let key_pair = |flag: &str, name: &str| {
            [
                format!("--{flag}cert-file={}", self.pki.path(&format!("{name}.crt"))),
                format!(
                    "--{flag}{}={}",
                    if flag == "tls-" { "private-key-file" } else { "key-file" },
                    self.pki.path(&format!("{name}.key"))
                ),
            ]
        };
        let mut command = vec![
            self.kubernetes.to_string_lossy().into_owned(),
            "kube-apiserver".into(),
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
            format!("--secure-port={}", self.ports.server),
            format!("--client-ca-file={}", self.pki.path("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            format!("--service-account-key-file={}", self.pki.path("sa.pub")),
            format!("--service-account-signing-key-file={}", self.pki.path("sa.key")),
            format!("--requestheader-client-ca-file={}", self.pki.path("front-proxy-ca.crt")),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            "--enable-aggregator-routing=true".into(),
            format!("--service-cluster-ip-range={}", self.slot.services()),
            "--allow-privileged=true".into(),
            "--shutdown-delay-duration=0s".into(),
            format!("--audit-policy-file={}", self.file("audit-policy.yaml")),
            format!("--audit-log-path={}", self.file("audit/audit.log")),
            "--audit-log-mode=blocking".into(),
            "--audit-log-maxsize=0".into(),
        ];
        command.extend(key_pair("tls-", "apiserver"));
        command.extend(key_pair("proxy-client-", "front-proxy"));
        match self.tier {
            Tier::Node => command.extend([
                format!("--advertise-address={}", self.slot.node()),
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=NodeRestriction".into(),
                format!("--kubelet-client-certificate={}", self.pki.path("apiserver-kubelet.crt")),
                format!("--kubelet-client-key={}", self.pki.path("apiserver-kubelet.key")),
                format!("--kubelet-certificate-authority={}", self.pki.path("ca.crt")),
                "--kubelet-preferred-address-types=InternalIP".into(),
            ]),
            Tier::Api | Tier::Controllers => command.extend([
                "--bind-address=127.0.0.1".into(),
                "--authorization-mode=RBAC".into(),
                // Loopback is no valid endpoint of the `kubernetes` Service.
                "--endpoint-reconciler-type=none".into(),
            ]),
        }
        if self.tier == Tier::Api {
            // Nobody makes default ServiceAccounts here; pods could not be created otherwise.
            command.push("--disable-admission-plugins=ServiceAccount".into());
        }
        Component { name: "kube-apiserver".into(), command }
    }

    fn controller_manager(&self) -> Component {
        let kubeconfig = self.kubeconfig("controller-manager");
        component(
            "kube-controller-manager",
            &[
                &self.kubernetes.to_string_lossy(),
                "kube-controller-manager",
                &format!("--kubeconfig={kubeconfig}"),
                &format!("--authentication-kubeconfig={kubeconfig}"),
                &format!("--authorization-kubeconfig={kubeconfig}"),
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", self.ports.controllers),
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                // Every controller fetches a token first: at the default of 20 requests a second that takes 4 s.
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                // Three times as often as by default: who tries autoscaling here watches it.
                "--horizontal-pod-autoscaler-sync-period=5s",
                &format!("--service-account-private-key-file={}", self.pki.path("sa.key")),
                &format!("--root-ca-file={}", self.pki.path("ca.crt")),
                &format!("--cluster-signing-cert-file={}", self.pki.path("ca.crt")),
                &format!("--cluster-signing-key-file={}", self.pki.path("ca.key")),
                &format!("--client-ca-file={}", self.pki.path("ca.crt")),
                &format!("--requestheader-client-ca-file={}", self.pki.path("front-proxy-ca.crt")),
                &format!("--cluster-cidr={}", self.slot.pods()),
                &format!("--service-cluster-ip-range={}", self.slot.services()),
            ],
        )
    }

    fn scheduler(&self) -> Component {
        let kubeconfig = self.kubeconfig("scheduler");
        component(
            "kube-scheduler",
            &[
                &self.kubernetes.to_string_lossy(),
                "kube-scheduler",
                &format!("--kubeconfig={kubeconfig}"),
                &format!("--authentication-kubeconfig={kubeconfig}"),
                &format!("--authorization-kubeconfig={kubeconfig}"),
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
            ],
        )
    }

    fn kubelet(&self) -> Component {
        component(
            "kubelet",
            &[
                &self.kubernetes.to_string_lossy(),
                "kubelet",
                &format!("--config={}", self.file("conf/kubelet.json")),
                &format!("--kubeconfig={}", self.kubeconfig("kubelet")),
                &format!("--root-dir={}", self.file("kubelet")),
                &format!("--cert-dir={}", self.file("pki")),
                &format!("--hostname-override={}", self.node),
                &format!("--node-ip={}", self.slot.node()),
                "--v=2",
            ],
        )
    }

    fn proxy(&self) -> Component {
        let config = format!("--config={}", self.file("conf/proxy.json"));
        component("kube-proxy", &[&self.kubernetes.to_string_lossy(), "kube-proxy", &config])
    }

    fn fake_kubelet(&self) -> Component {
        let mut component = component(
            "fake-kubelet",
            &[
                &self.own_binary.to_string_lossy(),
                "fake-kubelet",
                "--kubeconfig",
                &self.kubeconfig("fake-kubelet"),
                "--node",
                self.node,
                "--pods",
                &self.slot.pods(),
            ],
        );
        if let Some(address) = self.pod_address {
            component.command.extend(["--pod-address".into(), address.to_string()]);
        }
        component
    }
}

fn component(name: &str, command: &[&str]) -> Component {
    Component { name: name.to_owned(), command: command.iter().map(|word| (*word).to_owned()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(tier: Tier, slot: Slot, ports: Ports) -> (tempfile::TempDir, Plan) {
        let home = tempfile::tempdir().unwrap();
        let pki = Pki::create(&home.path().join("pki"), &["localhost".into()], "node", &[]).unwrap();
        let plan = Layout {
            dir: home.path(),
            tier,
            slot,
            node: "node",
            pki: &pki,
            etcd: Path::new("/tools/etcd"),
            kubernetes: Path::new("/tools/kubernetes"),
            containerd: (tier == Tier::Node).then_some(Path::new("/usr/bin/containerd")),
            own_binary: Path::new("/tools/mcp-e2e"),
            ports,
            pod_address: None,
        }
        .plan();
        (home, plan)
    }

    fn names(components: &[Component]) -> Vec<&str> {
        components.iter().map(|component| component.name.as_str()).collect()
    }

    #[test]
    fn every_tier_runs_what_it_says() {
        let (_home, api) = plan(Tier::Api, Slot(0), Ports::from_base(18_000));
        assert_eq!((names(&api.first), names(&api.then)), (vec!["etcd", "kube-apiserver"], vec![]));
        assert_eq!(api.node, None);
        let (_home, controllers) = plan(Tier::Controllers, Slot(0), Ports::from_base(18_000));
        assert_eq!(names(&controllers.then), ["kube-controller-manager", "fake-kubelet"]);
        let (_home, node) = plan(Tier::Node, Slot(4), Ports::NODE);
        assert_eq!(names(&node.first), ["containerd", "etcd", "kube-apiserver"]);
        assert_eq!(names(&node.then), ["kube-controller-manager", "kubelet", "kube-scheduler", "kube-proxy"]);
        assert_eq!(node.node.unwrap().slot, Slot(4));
    }

    #[test]
    fn loopback_tiers_listen_on_loopback_alone() {
        let (_home, api) = plan(Tier::Api, Slot(1), Ports::from_base(18_010));
        let command = &api.first[1].command;
        assert!(command.contains(&"--bind-address=127.0.0.1".to_owned()), "{command:?}");
        assert!(command.contains(&"--secure-port=18010".to_owned()), "{command:?}");
    }

    #[test]
    fn the_audit_log_is_there_in_every_tier() {
        for tier in [Tier::Api, Tier::Controllers, Tier::Node] {
            let (_home, plan) = plan(tier, Slot(0), Ports::NODE);
            let server = plan.first.iter().find(|component| component.name == "kube-apiserver").unwrap();
            assert!(server.command.iter().any(|argument| argument.starts_with("--audit-log-path=")));
        }
    }
}
