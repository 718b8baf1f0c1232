//! Specs of every shape that validation takes, and the children that they ask for.

use std::collections::BTreeMap;

use mcp_crds::{
    FilesystemServer, ImageServer, McpServer, McpServerSpec, Root, ServerKind,
    auth::{ApiKey, Auth, AuthMode},
    expose::{CrossZone, Expose, ExposeType, Tls},
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
    scaling::{Autoscaling, Behavior, Pace, Schedule, Utilization},
    scheduling::{Disruption, Share},
    tools::Tools,
    watch::{Audit, AuditPostgres, AuditSink},
};
use mcp_operator::{
    desired::{self, Child, ChildKind, Defaults, roll, scaled_object::Keda},
    diff::{Claim, Live, claim},
};
use proptest::prelude::*;

use super::OWNER;

pub(crate) fn server(spec: McpServerSpec) -> McpServer {
    let mut server = McpServer::new("files", spec);
    server.metadata.namespace = Some("team".to_owned());
    server.metadata.uid = Some(OWNER.to_owned());
    server.metadata.generation = Some(1);
    server
}

/// What a spec asks for: that depends on whether KEDA may still write the number of pods.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) free: Vec<Child>,
    held: Vec<Child>,
}

impl Asked {
    /// In a cluster that holds this.
    pub(crate) fn by(&self, live: &Live) -> &[Child] {
        let held = live.get(&ChildKind::ScaledObject).is_some_and(|it| claim(it, OWNER, "files") != Claim::Foreign);
        if held { &self.held } else { &self.free }
    }
}

pub(crate) fn asked(spec: &McpServerSpec, versions: &[bool]) -> Asked {
    let children = |holds| children(spec, versions, Keda { installed: true, holds });
    Asked { free: children(false), held: children(true) }
}

fn children(spec: &McpServerSpec, versions: &[bool], keda: Keda) -> Vec<Child> {
    let defaults = Defaults {
        servers_image: "servers".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        operator_namespace: "mcp-eks-system".to_owned(),
        balancers: desired::exposure::Balancers::default(),
    };
    let valid = desired::validate(&server(spec.clone()), &defaults).unwrap_or_else(|problems| panic!("{problems:?}"));
    let valid = desired::Valid { keda, ..valid };
    let named = roll::config_maps(spec).into_iter().zip(versions.iter().cycle());
    let config_maps = named.map(|(name, there)| (name, there.then(|| "uid/1".to_owned()))).collect();
    desired::build(&valid, &roll::Named { config_maps, ..roll::Named::default() })
}

pub(crate) fn name() -> impl Strategy<Value = String> {
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

/// Load balancers of both kinds, or none.
fn expose() -> impl Strategy<Value = Option<Expose>> {
    let type_ = prop::sample::select(vec![ExposeType::ClusterIP, ExposeType::LoadBalancer, ExposeType::Ingress]);
    let ranges = prop::collection::btree_set(prop::sample::select(vec!["10.0.0.0/8", "192.0.2.0/24"]), 0..3);
    let hosts = prop::collection::btree_set("[a-c][.]example[.]com", 0..3);
    let expose =
        (type_, hosts, ranges, any::<bool>(), any::<bool>()).prop_map(|(type_, hosts, ranges, first, second)| {
            let inside = type_ == ExposeType::ClusterIP;
            let certificate = "arn:aws:acm:us-west-2:123456789012:certificate/a";
            let tls = Tls { certificate_arn: certificate.to_owned() };
            Expose {
                type_,
                tls: Some(tls).filter(|_| first && !inside && !hosts.is_empty()),
                group: Some("shared".to_owned())
                    .filter(|_| second && type_ == ExposeType::Ingress && !hosts.is_empty()),
                cross_zone: if second && type_ == ExposeType::LoadBalancer {
                    CrossZone::Disabled
                } else {
                    CrossZone::Enabled
                },
                source_ranges: ranges.into_iter().filter(|_| !inside).map(str::to_owned).collect(),
                hosts: hosts.into_iter().collect(),
                ..Expose::default()
            }
        });
    prop::option::of(expose)
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

/// Ways to scale; where nothing can be measured, by the clock.
fn autoscaling() -> impl Strategy<Value = Option<Autoscaling>> {
    let entry = Schedule {
        name: "office-hours".to_owned(),
        timezone: "UTC".to_owned(),
        start: "0 8 * * 1-5".to_owned(),
        end: "0 18 * * 1-5".to_owned(),
        replicas: 1,
    };
    let pace = (0..3_i32).prop_map(|window| Pace { stabilization_window_seconds: Some(window), ..Pace::default() });
    let autoscaling = (0..3_i32, 1..3_i32, any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(pace))
        .prop_map(move |(fewest, more, by_the_clock, by_cpu, paused, pace)| Autoscaling {
            min_replicas: fewest,
            max_replicas: fewest + more,
            schedule: (by_the_clock || fewest == 0).then(|| entry.clone()).into_iter().collect(),
            cpu: by_cpu.then_some(Utilization { utilization: 80 }),
            behavior: pace.map(|pace| Behavior { scale_down: Some(pace), ..Behavior::default() }),
            paused,
            ..Autoscaling::default()
        });
    prop::option::of(autoscaling)
}

/// Leaves out what nobody can measure: a server that is known by its image alone may request nothing.
fn measurable(autoscaling: Autoscaling, requests: bool) -> Option<Autoscaling> {
    match autoscaling {
        any if requests => Some(any),
        by_the_clock if !by_the_clock.schedule.is_empty() => Some(Autoscaling { cpu: None, ..by_the_clock }),
        _ => None,
    }
}

/// Specs of every shape that validation takes.
pub(crate) fn spec() -> impl Strategy<Value = McpServerSpec> {
    let pod = (env(), env_from(), volumes(), resources());
    let around = (network(), disruption(), autoscaling(), expose());
    let runs = (prop::option::of(bundled()), any::<bool>(), any::<bool>(), door());
    (0..4_i32, runs, prop::option::of("[a-z/]{0,4}"), pod, around).prop_map(
        |(
            replicas,
            runs,
            sub_path,
            (env, env_from, volumes, resources),
            (network, disruption, autoscaling, expose),
        )| {
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
            let autoscaling = autoscaling.and_then(|it| measurable(it, ours || resources.is_some()));
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
                autoscaling,
                expose,
                auth: auth.filter(|_| ours),
                tools: tools.filter(|_| ours),
                audit: audit.filter(|_| ours),
                ..McpServerSpec::default()
            }
        },
    )
}
