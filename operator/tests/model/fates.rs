//! What befalls children after they were written: people, tools, attackers, other owners, deletion.

use mcp_operator::desired::{Child, ChildKind};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{Cluster, OWNER, place, specs::Asked};

/// What happened to a child since it was written.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
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

pub(crate) fn healing() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Untouched),
        1 => Just(Fate::Gone),
        4 => (any::<Index>(), any::<bool>()).prop_map(|(which, gone)| Fate::Drift(which, gone)),
        3 => any::<u8>().prop_map(Fate::Addition),
        1 => Just(Fate::Marks),
    ]
}

pub(crate) fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![10 => healing(), 1 => Just(Fate::Foreign), 1 => Just(Fate::LeftOver), 1 => Just(Fate::Ending)]
}

pub(crate) fn fates(fate: impl Strategy<Value = Fate>) -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(fate, ChildKind::ALL.len())
}

/// A cluster with the children of an earlier spec, to which all sorts of things have happened.
pub(crate) fn cluster(before: &Asked, fates: &[Fate]) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.converge(before, OWNER, |kind| place(kind).1);
    let before = before.by(&cluster.live(|kind| place(kind).1));
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
        ChildKind::Ingress => vec![
            ("/spec/defaultBackend", json!({"service": {"name": "mine", "port": {"number": 80}}})),
            ("/spec/tls", json!([{"hosts": ["mine.example.com"]}])),
            ("/spec/rules/0", json!({"host": "mine.example.com"})),
            ("/spec/rules/0/http/paths/0/backend/service/name", json!("mine")),
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
        ChildKind::ScaledObject => vec![
            ("/spec/pollingInterval", json!(1)),
            ("/spec/fallback", json!({"failureThreshold": 1, "replicas": 9})),
            ("/spec/triggers/0/metadata/activationValue", json!("99")),
            ("/spec/triggers/0", json!({"type": "cron", "metadata": {}})),
        ],
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
