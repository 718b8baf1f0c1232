//! The condition Exposed: whether the load balancer that the spec asks for is there, and may reach the pods. Pure.
//!
//! In: what is known of the object by which the AWS Load Balancer Controller makes it. Out: a condition while the spec asks
//! for one. It is about the load balancer, not about pods: with the controller's readiness gates those are ready when their
//! targets are healthy, and whether the namespace has them is told here. Nobody calls the load balancer itself.

use kube::ResourceExt;
use mcp_crds::McpServer;

use super::conditions::{Conditions, Truth};
use crate::{
    desired::exposure::carrier,
    vocabulary::{ConditionType, Reason},
};

/// What is known of a server's load balancer.
#[derive(Clone, Debug, Default)]
pub struct Exposing {
    /// Its name in DNS.
    pub balancer: Option<String>,
    /// URL of the MCP endpoint through it, if the spec is valid.
    pub url: Option<String>,
    /// The NetworkPolicy keeps it out: nobody has told the operator from where it calls.
    pub walled: bool,
    /// The label by which a namespace asks for readiness gates, where this one does not.
    pub ungated: Option<&'static str>,
}

/// Whether the server is exposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    truth: Truth,
    reason: Reason,
    message: String,
}

impl Exposed {
    fn not(reason: Reason, message: String) -> Self {
        Self { truth: Truth::False, reason, message }
    }

    /// Sets the condition.
    pub(super) fn set(&self, conditions: &mut Conditions<'_>) {
        conditions.set(ConditionType::Exposed, self.truth, self.reason, &self.message);
    }

    /// Why nobody can use it yet, if nobody can.
    pub(super) fn obstacle(&self) -> Option<(Reason, String)> {
        (self.truth != Truth::True).then(|| (self.reason, self.message.clone()))
    }

    /// The same, if only a person can mend it.
    pub(super) fn stalls(&self) -> Option<(Reason, String)> {
        self.obstacle().filter(|(reason, _)| *reason == Reason::LoadBalancerCidrsMissing)
    }
}

/// Judges the load balancer of a server; none if the spec asks for none. `unaccepted` is why the spec is not taken.
pub(super) fn judge(server: &McpServer, exposing: &Exposing, unaccepted: Option<Reason>) -> Option<Exposed> {
    let kind = carrier(&server.spec)?.name();
    let (name, namespace) = (server.name_any(), server.namespace().unwrap_or_default());
    let Some(balancer) = &exposing.balancer else {
        return Some(match unaccepted {
            // Nobody waits for what nobody asks for.
            Some(reason) => Exposed::not(
                reason,
                "no load balancer is asked for while the spec is not accepted: see Accepted".to_owned(),
            ),
            None if exposing.walled => walled(),
            None => Exposed::not(
                Reason::WaitingForLoadBalancer,
                format!(
                    "the {kind} {name} has no address yet; if that stays so, no AWS Load Balancer Controller runs, or `kubectl \
                     -n {namespace} describe {} {name}` has its words",
                    kind.to_lowercase()
                ),
            ),
        });
    };
    Some(match exposing.ungated {
        _ if exposing.walled => walled(),
        Some(label) => Exposed {
            truth: Truth::True,
            reason: Reason::ReadinessGatesMissing,
            message: format!(
                "the load balancer is {balancer}; pods are ready before it knows them, so that a rollout may lose calls, \
                 until `kubectl label namespace {namespace} {label}=enabled` and new pods"
            ),
        },
        None => Exposed {
            truth: Truth::True,
            reason: Reason::LoadBalancerReady,
            message: format!("the load balancer is {balancer}; pods are ready when it holds them for healthy"),
        },
    })
}

fn walled() -> Exposed {
    Exposed::not(
        Reason::LoadBalancerCidrsMissing,
        "the NetworkPolicy keeps the load balancer out, since the operator does not know from where it calls: start the \
         operator with --load-balancer-cidrs and the blocks of its subnets, or set spec.network.enabled to false"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

    use serde_json::{Value, json};

    use super::*;

    const LABEL: &str = "elbv2.k8s.aws/pod-readiness-gate-inject";

    fn judged(expose: Value, exposing: &Exposing, unaccepted: Option<Reason>) -> Option<(String, String)> {
        let server: McpServer = serde_json::from_value(json!({
            "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "files", "namespace": "team"},
            "spec": {"server": {"custom": {}}, "expose": expose},
        }))
        .unwrap();
        let exposed = judge(&server, exposing, unaccepted)?;
        Some((format!("{}/{}", exposed.truth.as_str(), exposed.reason.as_str()), exposed.message))
    }

    #[test]
    fn the_condition_follows_the_address_the_policy_and_the_namespace() {
        let network = json!({"type": "LoadBalancer"});
        let named = Exposing { balancer: Some("a.elb.amazonaws.com".to_owned()), ..Exposing::default() };
        let ungated = Exposing { ungated: Some(LABEL), ..named.clone() };
        let walled = Exposing { walled: true, ..named.clone() };
        let early = Exposing { walled: true, ..Exposing::default() };
        for (exposing, unaccepted, expected) in [
            (&Exposing::default(), None, "False/WaitingForLoadBalancer"),
            (&Exposing::default(), Some(Reason::ClassDenied), "False/ClassDenied"),
            (&early, None, "False/LoadBalancerCidrsMissing"),
            (&walled, None, "False/LoadBalancerCidrsMissing"),
            (&ungated, None, "True/ReadinessGatesMissing"),
            (&named, None, "True/LoadBalancerReady"),
            // The last valid spec is still exposed.
            (&named, Some(Reason::InvalidSpec), "True/LoadBalancerReady"),
        ] {
            assert_eq!(judged(network.clone(), exposing, unaccepted).unwrap().0, expected, "{exposing:?}");
        }
        assert_eq!(judged(json!({"hosts": ["mcp.example.com"]}), &named, None), None, "inside the cluster alone");
    }

    #[test]
    fn the_message_says_where_the_controllers_words_are_and_what_to_do() {
        let message = |type_: &str, exposing: &Exposing| judged(json!({"type": type_}), exposing, None).unwrap().1;
        let waiting = message("Ingress", &Exposing::default());
        assert!(waiting.contains("kubectl -n team describe ingress files"), "{waiting}");
        let ungated = Exposing { balancer: Some("a".to_owned()), ungated: Some(LABEL), ..Exposing::default() };
        let ungated = message("LoadBalancer", &ungated);
        assert!(ungated.contains(&format!("kubectl label namespace team {LABEL}=enabled")), "{ungated}");
        let walled = message("LoadBalancer", &Exposing { walled: true, ..Exposing::default() });
        assert!(walled.contains("--load-balancer-cidrs"), "{walled}");
    }
}
