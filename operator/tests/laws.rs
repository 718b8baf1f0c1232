//! Laws of the pure core, on a small API server (`model`): whatever the spec, whatever the cluster holds.
//!
//! `make laws` runs ten thousand cases of each, `make test` a sample.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod model;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mcp_crds::{
    McpServerSpec,
    expose::{Expose, ExposeType},
    scaling::Autoscaling,
};
use mcp_operator::{
    desired::{
        ChildKind,
        scaled_object::{Keda, PAUSED},
    },
    diff::{self, Plan},
    status::{self, Facts, Verdict, exposed::Exposing, pods::Hindrance, scaling::Scaling},
};
use model::{
    Cluster, OWNER, Place, Verb,
    fates::{Fate, cluster, fate, fates, healing},
    heard::{pod, probe, verdict, words},
    place,
    specs::{Asked, asked, server, spec},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Cases of each law: a build without optimisation is slow.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Objects without what others may add.
fn without_marks(cluster: &Cluster) -> BTreeMap<Place, Value> {
    let mut content = cluster.content();
    for value in content.values_mut() {
        // Whoever has touched the mark by which KEDA is paused may keep it.
        let marks = [
            ("labels", "team.example.com/cost"),
            ("annotations", "kubectl.kubernetes.io/restartedAt"),
            ("annotations", PAUSED),
        ];
        for (part, mark) in marks {
            if let Some(part) = value["metadata"][part].as_object_mut() {
                part.remove(mark);
            }
        }
    }
    content
}

fn plan(asked: &Asked, cluster: &Cluster) -> Plan {
    let live = cluster.live(|kind| place(kind).1);
    diff::plan(asked.by(&live), &live, OWNER)
}

/// The number of pods is history where KEDA decides it.
fn without_number(mut content: BTreeMap<Place, Value>, spec: &McpServerSpec) -> BTreeMap<Place, Value> {
    let deployment = content.get_mut(&place(ChildKind::Deployment)).filter(|_| spec.autoscaling.is_some());
    if let Some(spec) = deployment.and_then(|it| it["spec"].as_object_mut()) {
        spec.remove("replicas");
    }
    content
}

fn is_clean(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.prune.is_empty()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_facts_give_the_same_plan(spec in spec(), before in spec(), fates in fates(fate()), there in any::<bool>()) {
        let cluster = cluster(&asked(&before, &[true]), &fates);
        let (once, again) = (asked(&spec, &[there]), asked(&spec, &[there]));
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(plan(&once, &cluster), plan(&again, &cluster));
    }

    #[test]
    fn from_any_state_there_is_rest_after_three_rounds_and_nothing_foreign_is_touched(
        spec in spec(), before in spec(), fates in fates(fate()), there in any::<bool>(),
    ) {
        let mut cluster = cluster(&asked(&before, &[true]), &fates);
        let wanted = asked(&spec, &[there]);
        let untouchable: Vec<_> = ChildKind::ALL.into_iter().zip(&fates).filter_map(|(kind, fate)| {
            let at = place(kind);
            let theirs = matches!(fate, Fate::Foreign | Fate::LeftOver | Fate::Ending);
            cluster.objects.get(&at).filter(|_| theirs).map(|object| (at, object.clone()))
        }).collect();
        let rounds = cluster.converge(&wanted, OWNER, |kind| place(kind).1);
        prop_assert!(rounds <= 3, "{} rounds", rounds);
        for (at, object) in &untouchable {
            prop_assert_eq!(&cluster.objects[at], object);
            prop_assert!(!cluster.log.iter().any(|(_, place)| place == at));
        }
        let last = plan(&wanted, &cluster);
        if last.conflicts.is_empty() && last.leftovers.is_empty() {
            prop_assert!(is_clean(&last), "idempotent: {last:?}");
        } else {
            prop_assert!(cluster.log.is_empty(), "half a server was made");
        }
    }

    #[test]
    fn the_end_depends_on_the_last_spec_alone(first in spec(), last in spec(), fates in fates(healing())) {
        let wanted = asked(&last, &[true]);
        let mut straight = Cluster::default();
        straight.converge(&wanted, OWNER, |kind| place(kind).1);
        let mut crooked = cluster(&asked(&first, &[false]), &fates);
        crooked.converge(&wanted, OWNER, |kind| place(kind).1);
        // A settings file outlives a change of kind, which the API refuses: nobody reads it.
        let mut end = without_marks(&crooked);
        end.retain(|at, _| at.0 != ChildKind::ConfigMap || wanted.free.iter().any(|child| child.kind == at.0));
        prop_assert_eq!(without_number(end, &last), without_number(without_marks(&straight), &last));
    }

    #[test]
    fn a_crash_after_any_write_heals_and_no_workload_is_ever_deleted(
        first in spec(), last in spec(), fates in fates(healing()), writes in 0..12_usize,
    ) {
        let wanted = asked(&last, &[true]);
        let mut straight = cluster(&asked(&first, &[true]), &fates);
        let mut crashed = straight.clone();
        straight.converge(&wanted, OWNER, |kind| place(kind).1);
        crashed.run(&plan(&wanted, &crashed), OWNER, writes);
        prop_assert!(crashed.log.len() <= writes);
        let rounds = crashed.converge(&wanted, OWNER, |kind| place(kind).1);
        prop_assert!(rounds <= 3, "{} rounds", rounds);
        prop_assert_eq!(without_number(crashed.content(), &last), without_number(straight.content(), &last));
        let deleted = crashed.log.iter().filter(|(verb, _)| *verb == Verb::Delete).map(|(_, (kind, _))| *kind);
        let workloads = [ChildKind::ServiceAccount, ChildKind::Service, ChildKind::Deployment];
        prop_assert!(deleted.into_iter().all(|kind| !workloads.contains(&kind)));
    }

    #[test]
    fn the_number_of_pods_is_the_specs_or_kedas_and_never_falls_on_the_way(
        first in spec(), last in spec(), pods in 1..9_i32, writes in 0..12_usize,
    ) {
        let mut cluster = cluster(&asked(&first, &[true]), &[]);
        let mut allowed = vec![json!(first.replicas)];
        if first.autoscaling.is_some() {
            cluster.update(&place(ChildKind::Deployment), |live| live["spec"]["replicas"] = json!(pods));
            allowed = vec![json!(pods)];
        }
        if last.autoscaling.is_none() {
            allowed.push(json!(last.replicas));
        }
        cluster.numbers.clear();
        let wanted = asked(&last, &[true]);
        // With a crash on the way, too.
        cluster.run(&plan(&wanted, &cluster), OWNER, writes);
        cluster.converge(&wanted, OWNER, |kind| place(kind).1);
        prop_assert!(cluster.numbers.iter().all(|number| allowed.contains(number)), "{:?}", cluster.numbers);
        let end = cluster.objects[&place(ChildKind::Deployment)].value["spec"]["replicas"].clone();
        prop_assert_eq!(Some(&end), allowed.last());
        // It is KEDA's now: whatever it says, there is nothing to do.
        if last.autoscaling.is_some() {
            cluster.update(&place(ChildKind::Deployment), |live| live["spec"]["replicas"] = json!(pods + 20));
            prop_assert!(is_clean(&plan(&wanted, &cluster)));
        }
    }

    #[test]
    fn the_order_of_lists_is_no_difference(spec in spec(), seed in any::<u64>()) {
        let wanted = asked(&spec, &[true]);
        let mut cluster = Cluster::default();
        cluster.converge(&wanted, OWNER, |kind| place(kind).1);
        let mut live = cluster.live(|kind| place(kind).1);
        for object in live.values_mut() {
            shuffle("", object, seed);
        }
        prop_assert!(is_clean(&diff::plan(wanted.by(&live), &live, OWNER)));
    }

    #[test]
    fn nothing_is_asked_for_that_belongs_to_others(spec in spec()) {
        for child in asked(&spec, &[true]).free {
            let metadata: Vec<_> = child.object["metadata"].as_object().unwrap().keys().cloned().collect();
            prop_assert_eq!(metadata, ["annotations", "labels", "name", "namespace", "ownerReferences"]);
            prop_assert!(child.object.get("status").is_none());
            for theirs in ["/spec/clusterIP", "/spec/clusterIPs", "/spec/template/spec/nodeName"] {
                prop_assert!(child.object.pointer(theirs).is_none(), "{}", theirs);
            }
        }
    }

    #[test]
    fn whatever_pods_say_the_status_is_small_and_stays_as_it_is(
        replicas in 0..4_i32, pods in prop::collection::vec(pod(), 0..5), verdict in verdict(), deployed in any::<bool>(),
        probe in probe(), why in words(), keda in any::<(bool, bool, bool)>(),
    ) {
        let (installed, holds, scales) = keda;
        let autoscaling = scales.then(|| Autoscaling { max_replicas: 3, ..Autoscaling::default() });
        let conditions = json!([{"type": "Ready", "status": "False", "message": why}]);
        let object = json!({"metadata": {"name": "files"}, "status": {"conditions": conditions}});
        let scaling = Scaling { keda: Keda { installed, holds }, object: Some(&object) };
        let server = server(McpServerSpec { replicas, autoscaling, expose: holds.then(|| Expose { type_: ExposeType::Ingress, ..Expose::default() }), ..McpServerSpec::default() });
        let pods: Vec<_> = pods.into_iter().map(|pod| Arc::new(serde_json::from_value::<Pod>(pod).unwrap())).collect();
        let hindered = pods.iter().take(1).map(|pod| (pod.name_any(), if installed { Hindrance::Volume(why.clone()) } else { Hindrance::Sandbox(why.clone()) })).collect();
        let ready = json!({"readyReplicas": 1, "replicas": 2, "availableReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1});
        let deployment = json!({"metadata": {"generation": 1}, "spec": {"selector": {}, "template": {}, "replicas": replicas}, "status": ready});
        let facts = |verdict: &Verdict| Facts {
            verdict: verdict.clone(),
            deployment: deployed.then(|| serde_json::from_value(deployment.clone()).unwrap()),
            pods: &pods,
            hindered: &hindered,
            probe: probe.clone(),
            identity: None,
            reachable: true,
            address: Some("http://files.team.svc:8080/mcp".to_owned()),
            scaling,
            exposing: Exposing {
                balancer: holds.then(|| format!("{}.elb.amazonaws.com", "a".repeat(200))),
                url: scales.then(|| format!("https://{}/mcp", "a".repeat(253))),
                walled: installed,
                ungated: holds.then_some("elbv2.k8s.aws/pod-readiness-gate-inject"),
            },
        };
        let now = Timestamp::UNIX_EPOCH;
        let once = status::compute(&server, &mcp_crds::McpServerStatus::default(), &facts(&verdict), now);
        prop_assert!(serde_json::to_string(&once).unwrap().len() <= 4096);
        let later = status::compute(&server, &once, &facts(&verdict), now + jiff::SignedDuration::from_hours(1));
        prop_assert_eq!(once, later);
    }
}

/// Another order of the lists whose order means nothing.
fn shuffle(name: &str, value: &mut Value, seed: u64) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| shuffle(name, value, seed)),
        Value::Array(list) => {
            for entry in list.iter_mut() {
                shuffle("", entry, seed);
            }
            if matches!(name, "env" | "volumes" | "volumeMounts" | "containers" | "ports") && !list.is_empty() {
                let turns = usize::try_from(seed % 7).unwrap() % list.len();
                list.rotate_left(turns);
                if seed.is_multiple_of(2) {
                    list.reverse();
                }
            }
        }
        _ => {}
    }
}
