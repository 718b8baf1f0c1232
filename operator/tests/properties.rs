//! Laws of the pure core, on a small API server (`model`): whatever the spec, whatever the cluster holds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod model;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use mcp_crds::{
    FilesystemServer, ImageServer, McpServer, McpServerSpec, Root, ServerKind,
    auth::{ApiKey, Auth, AuthMode},
    kinds::{
        AwsServer, CustomServer, DatabaseServer,
        custom::{Backend, KeyValue, Valkey, Weather},
        database::{Postgres, Sqlite},
    },
    network::{Egress, LabelValue, Network, Peer, Selector},
    pod::{
        ClaimVolume, CsiVolume, EmptyDirVolume, EnvFromSource, EnvVar, EnvVarSource, FieldRef, KeyRef, MountedKey,
        ObjectRef, Resources, SecretVolume, Volume, VolumeMount,
    },
    quantity::Quantity,
    scheduling::{Disruption, Share},
    tools::Tools,
    watch::{Audit, AuditPostgres, AuditSink},
};
use mcp_operator::{
    desired::{self, Child, ChildKind, Defaults, names, roll},
    diff::{self, Plan},
    probe::{Report, Spoken, heard::Listing, outcome::Failure},
    status::{self, Facts, Verdict},
    vocabulary::Reason,
};
use model::{Cluster, Place, Verb};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

/// Cases of each law. A build without optimisation is slow: `PROPTEST_CASES=10000 cargo test --profile laws -p mcp-operator
/// --test properties` is the long run.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

const OWNER: &str = "uid-of-the-server";

fn place(kind: ChildKind) -> Place {
    (kind, names::child(kind, "files"))
}

fn server(spec: McpServerSpec) -> McpServer {
    let mut server = McpServer::new("files", spec);
    server.metadata.namespace = Some("team".to_owned());
    server.metadata.uid = Some(OWNER.to_owned());
    server.metadata.generation = Some(1);
    server
}

fn children(spec: &McpServerSpec, versions: &[bool]) -> Vec<Child> {
    let defaults = Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
    };
    let valid = desired::validate(&server(spec.clone()), &defaults).unwrap_or_else(|problems| panic!("{problems:?}"));
    let named = roll::config_maps(spec).into_iter().zip(versions.iter().cycle());
    desired::build(&valid, &named.map(|(name, there)| (name, there.then(|| "uid/1".to_owned()))).collect())
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn optional() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(any::<bool>())
}

fn key_ref() -> impl Strategy<Value = KeyRef> {
    (name(), name(), optional()).prop_map(|(name, key, optional)| KeyRef { name, key, optional })
}

fn object_ref() -> impl Strategy<Value = ObjectRef> {
    (name(), optional()).prop_map(|(name, optional)| ObjectRef { name, optional })
}

fn env() -> impl Strategy<Value = Vec<EnvVar>> {
    let from = prop_oneof![
        key_ref().prop_map(|key| EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() }),
        key_ref().prop_map(|key| EnvVarSource { config_map_key_ref: Some(key), ..EnvVarSource::default() }),
        Just(EnvVarSource {
            field_ref: Some(FieldRef { field_path: "metadata.name".to_owned() }),
            ..EnvVarSource::default()
        }),
    ];
    let value = prop_oneof![
        Just((None, None)),
        "[a-z]{0,3}".prop_map(|value| (Some(value), None)),
        from.prop_map(|from| (None, Some(from))),
    ];
    prop::collection::btree_map("[A-D]", value, 0..4).prop_map(|variables| {
        let variables = variables.into_iter();
        variables.map(|(name, (value, value_from))| EnvVar { name, value, value_from }).collect()
    })
}

fn env_from() -> impl Strategy<Value = Vec<EnvFromSource>> {
    let source = (prop::option::of("[A-Z]{0,2}"), object_ref(), any::<bool>()).prop_map(|(prefix, object, secret)| {
        let (secret_ref, config_map_ref) = if secret { (Some(object), None) } else { (None, Some(object)) };
        EnvFromSource { prefix, config_map_ref, secret_ref }
    });
    prop::collection::vec(source, 0..3)
}

fn volumes() -> impl Strategy<Value = Vec<Volume>> {
    let limit = prop::option::of(prop::sample::select(vec!["1Mi", "1024Ki", "1Gi"]));
    let source = prop_oneof![
        object_ref().prop_map(|object| Volume { config_map: Some(object), ..Volume::default() }),
        (name(), optional()).prop_map(|(secret_name, optional)| Volume {
            secret: Some(SecretVolume { secret_name, optional }),
            ..Volume::default()
        }),
        limit.prop_map(|limit| Volume {
            empty_dir: Some(EmptyDirVolume { size_limit: limit.map(|limit| Quantity(limit.to_owned())) }),
            ..Volume::default()
        }),
        (name(), optional()).prop_map(|(claim_name, read_only)| Volume {
            persistent_volume_claim: Some(ClaimVolume { claim_name, read_only, ..ClaimVolume::default() }),
            ..Volume::default()
        }),
        optional().prop_map(|read_only| Volume {
            csi: Some(CsiVolume {
                driver: "efs.csi.aws.com".to_owned(),
                read_only,
                volume_attributes: BTreeMap::new()
            }),
            ..Volume::default()
        }),
    ];
    prop::collection::btree_map("[v-z]", source, 0..4)
        .prop_map(|volumes| volumes.into_iter().map(|(name, volume)| Volume { name, ..volume }).collect())
}

fn resources() -> impl Strategy<Value = Option<Resources>> {
    let amount = prop::sample::select(vec!["1", "1000m", "2"]);
    let resources = amount.prop_map(|amount| Resources {
        requests: [("cpu".to_owned(), Quantity(amount.to_owned()))].into(),
        limits: [("cpu".to_owned(), Quantity("4".to_owned()))].into(),
    });
    prop::option::of(resources)
}

fn network() -> impl Strategy<Value = Option<Network>> {
    let labels = || prop::collection::btree_map("[a-c]", "[a-c]".prop_map(LabelValue), 0..2);
    let selector = || prop::option::of(labels().prop_map(|match_labels| Selector { match_labels }));
    let cidr =
        || prop::sample::select(vec!["10.0.0.0/8", "0.0.0.0/0", "::/0", "198.51.100.0/24"]).prop_map(str::to_owned);
    let peer = prop_oneof![
        cidr().prop_map(|cidr| Peer { cidr: Some(cidr), ..Peer::default() }),
        (selector(), labels()).prop_map(|(namespace_selector, match_labels)| Peer {
            namespace_selector,
            pod_selector: Some(Selector { match_labels }),
            cidr: None,
        }),
    ];
    let blocks = prop::collection::btree_set(cidr(), 0..3);
    let ports = prop::collection::btree_set(1..5_i32, 0..3);
    let egress = (blocks, ports).prop_map(|(cidrs, ports)| Egress {
        hosts: Vec::new(),
        cidrs: cidrs.into_iter().collect(),
        ports: ports.into_iter().collect(),
    });
    let network = (any::<bool>(), prop::collection::vec(peer, 0..3), prop::option::of(egress))
        .prop_map(|(enabled, ingress_from, egress)| Network { enabled, ingress_from, egress });
    prop::option::of(network)
}

fn disruption() -> impl Strategy<Value = Option<Disruption>> {
    let share = prop_oneof![(1..3_i32).prop_map(Share::Number), Just(Share::Percent("50%".to_owned()))];
    let budget = (any::<bool>(), share).prop_map(|(fewest, share)| {
        let (least, most) = if fewest { (Some(share), None) } else { (None, Some(share)) };
        Disruption { min_available: least, max_unavailable: most }
    });
    prop::option::of(budget)
}

fn mounted() -> impl Strategy<Value = MountedKey> {
    (name(), name()).prop_map(|(name, key)| MountedKey { name, key })
}

/// Servers of ours that hold no state, each with what its kind asks of a pod.
fn bundled() -> impl Strategy<Value = ServerKind> {
    let database = |database: DatabaseServer| ServerKind { database: Some(database), ..ServerKind::default() };
    let custom = |custom: CustomServer| ServerKind { custom: Some(custom), ..ServerKind::default() };
    let postgres = (mounted(), prop::option::of(mounted())).prop_map(|(secret_ref, ca_config_map_ref)| Postgres {
        secret_ref,
        ca_config_map_ref,
        ..Postgres::default()
    });
    let valkey = mounted().prop_map(|secret_ref| KeyValue {
        backend: Backend::Valkey,
        valkey: Some(Valkey { secret_ref }),
        ..KeyValue::default()
    });
    prop_oneof![
        Just(ServerKind { aws: Some(AwsServer::default()), ..ServerKind::default() }),
        Just(database(DatabaseServer { sqlite: Some(Sqlite::default()), ..DatabaseServer::default() })),
        postgres.prop_map(move |it| database(DatabaseServer { postgres: Some(it), ..DatabaseServer::default() })),
        Just(custom(CustomServer { weather: Some(Weather::default()), kv: None })),
        valkey.prop_map(move |it| custom(CustomServer { weather: None, kv: Some(it) })),
    ]
}

/// What a server of ours can be told about its callers and its records.
fn door() -> impl Strategy<Value = (Option<Auth>, Option<Tools>, Option<Audit>)> {
    let keys = mounted().prop_map(|secret_ref| Auth {
        mode: AuthMode::ApiKey,
        api_key: Some(ApiKey { secret_ref }),
        ..Auth::default()
    });
    let tools = (prop::option::of(mounted()), prop::collection::btree_set(name(), 0..3))
        .prop_map(|(key, deny)| Tools { consent_key_ref: key, deny: deny.into_iter().collect(), ..Tools::default() });
    let audit = (any::<bool>(), mounted(), prop::option::of(mounted())).prop_map(
        |(required, secret_ref, ca_config_map_ref)| Audit {
            sinks: vec![AuditSink::Stdout, AuditSink::Postgres],
            required,
            postgres: Some(AuditPostgres { secret_ref, ca_config_map_ref }),
        },
    );
    (prop::option::of(keys), prop::option::of(tools), prop::option::of(audit))
}

/// Specs of every shape that validation takes.
fn spec() -> impl Strategy<Value = McpServerSpec> {
    let pod = (env(), env_from(), volumes(), resources());
    let around = (network(), disruption());
    let runs = (prop::option::of(bundled()), any::<bool>(), any::<bool>(), door());
    (0..4_i32, runs, prop::option::of("[a-z/]{0,4}"), pod, around).prop_map(
        |(replicas, runs, sub_path, (env, env_from, volumes, resources), (network, disruption))| {
            let (bundled, files, command, (auth, tools, audit)) = runs;
            let server = match (bundled, volumes.first()) {
                (Some(bundled), _) => bundled,
                (None, Some(volume)) if files => {
                    let root = Root { name: "docs".to_owned(), volume: volume.name.clone(), ..Root::default() };
                    let filesystem = Some(FilesystemServer { roots: vec![root], ..FilesystemServer::default() });
                    ServerKind { filesystem, ..ServerKind::default() }
                }
                _ => {
                    let image = ImageServer {
                        reference: "ghcr.io/acme/tools:1".to_owned(),
                        command: command.then(|| "run".to_owned()).into_iter().collect(),
                        port: 3001,
                        path: "/mcp".to_owned(),
                        ..ImageServer::default()
                    };
                    ServerKind { image: Some(image), ..ServerKind::default() }
                }
            };
            let ours = server.image.is_none();
            let mounts = volumes.iter().map(|volume| VolumeMount {
                name: volume.name.clone(),
                mount_path: format!("/{}", volume.name),
                sub_path: sub_path.clone().filter(|path| !path.starts_with('/')),
                read_only: Some(replicas == 1),
            });
            McpServerSpec {
                server,
                replicas,
                env,
                env_from,
                resources,
                volume_mounts: mounts.collect(),
                volumes,
                network,
                disruption,
                auth: auth.filter(|_| ours),
                tools: tools.filter(|_| ours),
                audit: audit.filter(|_| ours),
                ..McpServerSpec::default()
            }
        },
    )
}

/// What happened to a child since it was written.
#[derive(Clone, Debug)]
enum Fate {
    Untouched,
    Gone,
    /// One field of ours, changed or taken away.
    Drift(Index, bool),
    /// Something added where nothing may be.
    Addition(u8),
    /// Labels and annotations of somebody else.
    Marks,
    /// Somebody else's object has the name.
    Foreign,
    /// A deleted server of the same name left it behind.
    LeftOver,
    /// It is on its way out.
    Ending,
}

fn healing() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Untouched),
        1 => Just(Fate::Gone),
        4 => (any::<Index>(), any::<bool>()).prop_map(|(which, gone)| Fate::Drift(which, gone)),
        3 => any::<u8>().prop_map(Fate::Addition),
        1 => Just(Fate::Marks),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![10 => healing(), 1 => Just(Fate::Foreign), 1 => Just(Fate::LeftOver), 1 => Just(Fate::Ending)]
}

fn fates(fate: impl Strategy<Value = Fate>) -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(fate, ChildKind::ALL.len())
}

/// A cluster with the children of an earlier spec, to which all sorts of things have happened.
fn cluster(before: &[Child], fates: &[Fate]) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.converge(before, OWNER, |kind| place(kind).1);
    for (kind, fate) in ChildKind::ALL.into_iter().zip(fates) {
        befall(&mut cluster, before, kind, fate);
    }
    cluster.log.clear();
    cluster
}

fn befall(cluster: &mut Cluster, before: &[Child], kind: ChildKind, fate: &Fate) {
    let at = place(kind);
    match fate {
        Fate::Untouched => {}
        Fate::Gone => drop(cluster.objects.remove(&at)),
        Fate::Drift(which, gone) => {
            let Some(child) = before.iter().find(|child| child.kind == kind) else { return };
            cluster.update(&at, |live| drift(&child.object, live, *which, *gone));
        }
        Fate::Addition(how) => cluster.update(&at, |live| add(kind, live, *how)),
        Fate::Marks => cluster.update(&at, |live| {
            live["metadata"]["labels"]["team.example.com/cost"] = json!("7");
            live["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
        }),
        Fate::Foreign => cluster.put(at, json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "mcp-eks"}}})),
        Fate::LeftOver => cluster.update(&at, |live| live["metadata"]["ownerReferences"][0]["uid"] = json!("old")),
        Fate::Ending => {
            cluster.update(&at, |live| live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
        }
    }
}

/// Changes or removes one value that the operator asked for, but for what makes the object what it is.
fn drift(wanted: &Value, live: &mut Value, which: Index, gone: bool) {
    let mut pointers = Vec::new();
    collect(wanted, String::new(), &mut pointers);
    pointers.retain(|pointer| {
        let fixed = ["/apiVersion", "/kind", "/metadata/name", "/metadata/ownerReferences"];
        !fixed.iter().any(|fixed| pointer.starts_with(fixed))
    });
    let pointer = which.get(&pointers);
    if gone {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        match live.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.remove(&member.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(list)) => drop(list.pop()),
            _ => {}
        }
    } else if let Some(value) = live.pointer_mut(pointer) {
        *value = match &*value {
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1),
            Value::Bool(flag) => json!(!flag),
            Value::Object(_) => json!({"matchLabels": {"app": "other"}}),
            other => other.clone(),
        };
    }
}

/// Pointers to every plain value, and to every empty object.
fn collect(value: &Value, at: String, found: &mut Vec<String>) {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(name, value)| collect(value, format!("{at}/{}", escape(name)), found));
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(index, value)| collect(value, format!("{at}/{index}"), found));
        }
        _ => found.push(at),
    }
}

/// Adds what people, tools and attackers add.
fn add(kind: ChildKind, live: &mut Value, how: u8) {
    let patches = match kind {
        ChildKind::ServiceAccount => vec![],
        ChildKind::ConfigMap => vec![("/data/more", json!("x"))],
        ChildKind::NetworkPolicy => vec![
            ("/spec/egress", json!([{}])),
            ("/spec/ingress", json!([{}])),
            ("/spec/policyTypes", json!(["Ingress"])),
            ("/spec/podSelector/matchLabels/app", json!("none")),
            ("/spec/ingress/0/from", json!([])),
            ("/spec/ingress/0/from/0", json!({"namespaceSelector": {}})),
        ],
        ChildKind::Service => vec![
            ("/spec/externalIPs", json!(["192.0.2.1"])),
            ("/spec/selector/app", json!("mine")),
            ("/spec/publishNotReadyAddresses", json!(true)),
        ],
        ChildKind::Deployment => vec![
            ("/spec/template/spec/hostNetwork", json!(true)),
            ("/spec/template/spec/initContainers", json!([{"name": "spy", "image": "spy"}])),
            ("/spec/template/spec/containers/0/env", json!([{"name": "LD_PRELOAD", "value": "x"}])),
            ("/spec/template/spec/containers/0/securityContext", json!({"privileged": true})),
            ("/spec/template/spec/containers/0/startupProbe", json!({"exec": {"command": ["true"]}})),
            ("/spec/template/spec/volumes/0", json!({"name": "v", "hostPath": {"path": "/"}})),
            ("/spec/template/spec/volumes/0", json!({"name": "v", "emptyDir": {}})),
            ("/spec/template/spec/dnsConfig", json!({"nameservers": ["192.0.2.1"]})),
            ("/spec/replicas", json!(99)),
        ],
        ChildKind::PodDisruptionBudget => {
            vec![("/spec/minAvailable", json!("100%")), ("/spec/selector/matchLabels/app", json!("none"))]
        }
    };
    let Some((pointer, value)) = patches.get(usize::from(how) % patches.len().max(1)) else { return };
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match live.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(member.to_owned(), value.clone())),
        Some(Value::Array(list)) if !list.is_empty() => list[0] = value.clone(),
        _ => {}
    }
    // A budget has one of the two: who sets one by hand takes the other away.
    if *pointer == "/spec/minAvailable" {
        live["spec"].as_object_mut().unwrap().remove("maxUnavailable");
    }
}

/// Objects without what others may add.
fn without_marks(cluster: &Cluster) -> BTreeMap<Place, Value> {
    let mut content = cluster.content();
    for value in content.values_mut() {
        for (part, mark) in [("labels", "team.example.com/cost"), ("annotations", "kubectl.kubernetes.io/restartedAt")]
        {
            if let Some(part) = value["metadata"][part].as_object_mut() {
                part.remove(mark);
            }
        }
    }
    content
}

fn plan(children: &[Child], cluster: &Cluster) -> Plan {
    diff::plan(children, &cluster.live(|kind| place(kind).1), OWNER)
}

fn is_clean(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.prune.is_empty()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_facts_give_the_same_plan(spec in spec(), before in spec(), fates in fates(fate()), there in any::<bool>()) {
        let cluster = cluster(&children(&before, &[true]), &fates);
        let (once, again) = (children(&spec, &[there]), children(&spec, &[there]));
        prop_assert_eq!(&once, &again);
        prop_assert_eq!(plan(&once, &cluster), plan(&again, &cluster));
    }

    #[test]
    fn from_any_state_there_is_rest_after_three_rounds_and_nothing_foreign_is_touched(
        spec in spec(), before in spec(), fates in fates(fate()), there in any::<bool>(),
    ) {
        let mut cluster = cluster(&children(&before, &[true]), &fates);
        let wanted = children(&spec, &[there]);
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
        let wanted = children(&last, &[true]);
        let mut straight = Cluster::default();
        straight.converge(&wanted, OWNER, |kind| place(kind).1);
        let mut crooked = cluster(&children(&first, &[false]), &fates);
        crooked.converge(&wanted, OWNER, |kind| place(kind).1);
        // A settings file outlives a change of kind, which the API refuses: nobody reads it.
        let mut end = without_marks(&crooked);
        end.retain(|at, _| at.0 != ChildKind::ConfigMap || wanted.iter().any(|child| child.kind == at.0));
        prop_assert_eq!(end, without_marks(&straight));
    }

    #[test]
    fn a_crash_after_any_write_heals_and_no_workload_is_ever_deleted(
        first in spec(), last in spec(), fates in fates(healing()), writes in 0..12_usize,
    ) {
        let wanted = children(&last, &[true]);
        let mut straight = cluster(&children(&first, &[true]), &fates);
        let mut crashed = straight.clone();
        straight.converge(&wanted, OWNER, |kind| place(kind).1);
        crashed.run(&plan(&wanted, &crashed), OWNER, writes);
        prop_assert!(crashed.log.len() <= writes);
        let rounds = crashed.converge(&wanted, OWNER, |kind| place(kind).1);
        prop_assert!(rounds <= 3, "{} rounds", rounds);
        prop_assert_eq!(crashed.content(), straight.content());
        let deleted = crashed.log.iter().filter(|(verb, _)| *verb == Verb::Delete).map(|(_, (kind, _))| *kind);
        let workloads = [ChildKind::ServiceAccount, ChildKind::Service, ChildKind::Deployment];
        prop_assert!(deleted.into_iter().all(|kind| !workloads.contains(&kind)));
    }

    #[test]
    fn the_order_of_lists_is_no_difference(spec in spec(), seed in any::<u64>()) {
        let wanted = children(&spec, &[true]);
        let mut cluster = Cluster::default();
        cluster.converge(&wanted, OWNER, |kind| place(kind).1);
        let mut live = cluster.live(|kind| place(kind).1);
        for object in live.values_mut() {
            shuffle("", object, seed);
        }
        prop_assert!(is_clean(&diff::plan(&wanted, &live, OWNER)));
    }

    #[test]
    fn nothing_is_asked_for_that_belongs_to_others(spec in spec()) {
        for child in children(&spec, &[true]) {
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
        probe in probe(), why in words(),
    ) {
        let server = server(McpServerSpec { replicas, ..McpServerSpec::default() });
        let pods: Vec<_> = pods.into_iter().map(|pod| Arc::new(serde_json::from_value::<Pod>(pod).unwrap())).collect();
        let unmounted = pods.iter().take(1).map(|pod| (pod.name_any(), why.clone())).collect();
        let ready = json!({"readyReplicas": 1, "replicas": 2, "availableReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1});
        let deployment = json!({"metadata": {"generation": 1}, "spec": {"selector": {}, "template": {}, "replicas": replicas}, "status": ready});
        let facts = |verdict: &Verdict| Facts {
            verdict: verdict.clone(),
            deployment: deployed.then(|| serde_json::from_value(deployment.clone()).unwrap()),
            pods: &pods,
            unmounted: &unmounted,
            probe: probe.clone(),
            reachable: true,
            address: Some("http://files.team.svc:8080/mcp".to_owned()),
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

/// Words of any length in any script.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", ".{3000,3100}", Just("\u{202e}\u{0}\n\"".repeat(2000))]
}

fn probe() -> impl Strategy<Value = Report> {
    let failed = |(what, quote)| {
        let failure = Failure { reason: Reason::ProbeFailed, what, quote, passing: false };
        Report::Failed("pod files-1".to_owned(), failure)
    };
    let spoke = |(words, number): (String, usize)| {
        let many = |words: &str| (0..number).map(|n| format!("{n}{words}")).collect::<Vec<_>>();
        Report::Spoke(Arc::new(Spoken::from(Listing {
            version: words.clone(),
            versions: many(&words),
            server: Some((words.clone(), words.clone())),
            capabilities: many(&words).into_iter().map(|word| (word, json!({}))).collect(),
            tools: Vec::new(),
        })))
    };
    prop_oneof![
        Just(Report::Nobody),
        Just(Report::Pending),
        (words(), words()).prop_map(failed),
        words().prop_map(|scheme| Report::AuthRequired("the Service".to_owned(), scheme)),
        (words(), 0..20_usize).prop_map(spoke),
    ]
}

fn pod() -> impl Strategy<Value = Value> {
    let waiting =
        prop::sample::select(vec!["ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError", "Other"]);
    let state = prop_oneof![
        (waiting, words()).prop_map(|(reason, message)| json!({"waiting": {"reason": reason, "message": message}})),
        (any::<i32>(), words()).prop_map(
            |(code, message)| json!({"terminated": {"exitCode": code, "message": message, "reason": "Error"}})
        ),
        Just(json!({"running": {}})),
    ];
    let scheduled = words().prop_map(
        |message| json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}),
    );
    (name(), state.clone(), state, prop::option::of(scheduled), any::<bool>()).prop_map(
        |(name, state, last, scheduled, ready)| {
            let conditions: Vec<_> = scheduled
                .into_iter()
                .chain([json!({"type": "Ready", "status": if ready { "True" } else { "False" }})])
                .collect();
            json!({
                "metadata": {"name": name, "namespace": "team"},
                "status": {"phase": "Pending", "conditions": conditions, "containerStatuses": [{
                    "name": "server", "image": "x", "imageID": "x", "ready": ready, "restartCount": 3,
                    "state": state, "lastState": last,
                }]},
            })
        },
    )
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let problems = prop::collection::vec((words(), words()), 1..20).prop_map(|problems| {
        let problem = |(field, message)| desired::Problem {
            field,
            message,
            reason: mcp_operator::vocabulary::Reason::InvalidSpec,
        };
        Verdict::Invalid(problems.into_iter().map(problem).collect())
    });
    prop_oneof![
        Just(Verdict::Applied),
        problems,
        prop::collection::vec(words(), 1..4).prop_map(Verdict::Conflict),
        prop::collection::vec(words(), 1..4).prop_map(Verdict::Waiting),
        words().prop_map(|message| Verdict::Failed { reason: Reason::ApplyRefused, message }),
    ]
}
