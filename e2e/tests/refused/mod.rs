//! Specs that the API server refuses, a row for every rule of the schema, and their neighbours that it takes.

#![allow(clippy::needless_pass_by_value, reason = "json! literals read best as arguments")]

use anyhow::{Result, ensure};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use mcp_crds::{McpServer, McpServerClass};
use mcp_e2e::suite::objects::Space;
use serde_json::{Value, json};

use crate::Fixture;

/// Every row, against the API server.
pub(crate) async fn all(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("refused").await?;
    for (name, spec, expected) in cases() {
        expect_refusal(space.apply_raw(name, spec.clone()).await, &spec, expected)?;
    }
    for spec in taken() {
        let created = space.apply_raw("a", spec.clone()).await;
        created.map_err(|error| anyhow::anyhow!("{spec} is refused: {error}"))?;
        space.servers().delete("a", &DeleteParams::default()).await?;
    }
    for (before, after, expected) in edits() {
        let created = space.apply_raw("a", before.clone()).await;
        created.map_err(|error| anyhow::anyhow!("{before} is refused: {error}"))?;
        let resource = ApiResource::erase::<McpServer>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(space.client.clone(), &space.name, &resource);
        let patch = Patch::Merge(json!({"spec": after}));
        expect_refusal(api.patch("a", &PatchParams::default(), &patch).await, &after, expected)?;
        space.servers().delete("a", &DeleteParams::default()).await?;
    }
    let resource = ApiResource::erase::<McpServerClass>(&());
    let api: Api<DynamicObject> = Api::all_with(space.client.clone(), &resource);
    for (spec, expected) in classes() {
        let object = DynamicObject::new("a", &resource).data(json!({"spec": spec}));
        expect_refusal(api.create(&PostParams::default(), &object).await, &spec, expected)?;
    }
    Ok(())
}

fn expect_refusal(answer: Result<DynamicObject, kube::Error>, spec: &Value, expected: &str) -> Result<()> {
    match answer {
        Ok(_) => anyhow::bail!("taken: {spec}"),
        Err(kube::Error::Api(status)) => {
            ensure!(
                status.code == 422 && status.message.contains(expected),
                "{spec}: expected {expected:?} in {status:?}"
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Objects as written, without our types in between.
pub(crate) trait Raw {
    /// Makes a server.
    async fn apply_raw(&self, name: &str, spec: Value) -> Result<DynamicObject, kube::Error>;
}

impl Raw for Space {
    async fn apply_raw(&self, name: &str, spec: Value) -> Result<DynamicObject, kube::Error> {
        let resource = ApiResource::erase::<McpServer>(&());
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.name, &resource);
        api.create(&PostParams::default(), &object).await
    }
}

/// A server by its image, with more.
fn image(more: Value) -> Value {
    with(json!({"server": {"image": {"ref": "a"}}}), more)
}

/// A server of this kind, one replica, with more.
fn kind(server: Value, more: Value) -> Value {
    with(json!({"server": server, "replicas": 1}), more)
}

fn with(mut spec: Value, more: Value) -> Value {
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    spec
}

fn reference(reference: &str) -> Value {
    json!({"server": {"image": {"ref": reference}}})
}

fn volume(volume: Value) -> Value {
    image(json!({"volumes": [volume]}))
}

fn key() -> Value {
    json!({"name": "secret", "key": "key"})
}

fn aws() -> Value {
    json!({"aws": {"region": "us-west-2"}})
}

/// Words of the rule that utilization is a share of a request.
const MEASURE: &str = "set spec.resources.requests of the same name";

const ROLE: &str = "arn:aws:iam::123456789012:role/mcp/reader";

/// Name, spec, and words of the refusal.
#[expect(clippy::too_many_lines, reason = "one table")]
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    let roots = |root: Value| json!({"server": {"filesystem": {"roots": [root]}}});
    let scaled = |scaling: Value| image(json!({"autoscaling": scaling}));
    let exposed = |expose: Value| image(json!({"className": "a", "expose": expose}));
    let identity = |identity: Value| kind(aws(), json!({"className": "a", "identity": identity}));
    let auth = |auth: Value| image(json!({"auth": auth}));
    let toleration = |toleration: Value| image(json!({"scheduling": {"tolerations": [toleration]}}));
    let schedule = |replicas: i32| json!({"name": "a", "timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "replicas": replicas});
    let mut cases = vec![
        // What runs.
        (
            "a",
            json!({"server": {"image": {"ref": "a"}, "filesystem": {"roots": [{"name": "a", "volume": "a"}]}}}),
            "exactly one of",
        ),
        ("a", json!({"server": {}}), "exactly one of"),
        ("a.b", image(json!({})), "becomes the name of a Service"),
        ("a", reference(":::"), "not an image reference"),
        ("a", reference("ghcr.io/UPPER/case"), "not an image reference"),
        (
            "a",
            kind(json!({"filesystem": {"roots": [{"name": "a", "volume": "a"}]}}), json!({"image": ":::"})),
            "not an image reference",
        ),
        ("a", image(json!({"image": "b"})), "write it in spec.server.image.ref"),
        ("a", json!({"server": {"image": {"ref": "a", "path": "mcp"}}}), "not a path"),
        ("a", json!({"server": {"image": {"ref": "a", "transport": "Smoke"}}}), "spec.server.image.transport"),
        ("a", json!({"server": {"image": {"ref": "a", "port": 0}}}), "spec.server.image.port"),
        ("a", roots(json!({"name": "A/B", "volume": "a"})), "the name of a root"),
        ("a", roots(json!({"name": "a", "volume": "a", "access": "ReadWrite"})), "needs writes"),
        ("a", kind(json!({"aws": {"region": "oregon"}}), json!({})), "not a region"),
        ("a", kind(json!({"aws": {"accounts": [{"alias": "A B", "roleArn": ROLE}]}}), json!({})), "an alias has"),
        (
            "a",
            kind(
                json!({"aws": {"accounts": [{"alias": "a", "roleArn": "arn:aws:s3:::not-a-role-at-all"}]}}),
                json!({}),
            ),
            "not the ARN of an IAM role",
        ),
        ("a", kind(json!({"database": {}}), json!({})), "exactly one of sqlite and postgres"),
        ("a", kind(json!({"product": {}}), json!({})), "exactly one of sqlite and postgres"),
        ("a", kind(json!({"order": {"productServer": "p"}}), json!({})), "exactly one of sqlite and postgres"),
        ("a", kind(json!({"custom": {"kv": {"backend": "Valkey"}}}), json!({})), "set valkey with backend Valkey"),
        ("a", kind(json!({"custom": {"weather": {"wttrUrl": "ftp://mirror"}}}), json!({})), "not a URL"),
        // State and consent.
        ("a", json!({"server": {"custom": {"kv": {"backend": "Memory"}}}}), "keeps state in its pod"),
        ("a", json!({"server": {"order": {"sqlite": {}, "productServer": "p"}}}), "keeps state in its pod"),
        ("a", json!({"server": {"database": {"sqlite": {}, "writes": "Allow"}}}), "keeps state in its pod"),
        (
            "a",
            json!({"server": {"product": {"sqlite": {"persistence": {"volume": "data"}}}}}),
            "keeps state in its pod",
        ),
        (
            "a",
            kind(json!({"custom": {"kv": {}}}), json!({"autoscaling": {"maxReplicas": 2}})),
            "keeps state in its pod",
        ),
        ("a", json!({"server": {"aws": {"writes": "Consent"}}}), "spec.tools.consentKeyRef"),
        // How many.
        ("a", image(json!({"replicas": -1})), "greater than or equal to 0"),
        ("a", scaled(json!({"minReplicas": 3, "maxReplicas": 2})), "minReplicas is more than maxReplicas"),
        ("a", scaled(json!({"minReplicas": 0, "maxReplicas": 2})), "needs a prometheus or schedule trigger"),
        ("a", scaled(json!({"maxReplicas": 2, "schedule": [schedule(3)]})), "more than maxReplicas"),
        ("a", scaled(json!({"maxReplicas": 2, "schedule": [schedule(0)]})), "greater than or equal to 1"),
        // Of a server that is known by its image alone nobody knows what it needs.
        ("a", scaled(json!({"maxReplicas": 2})), MEASURE),
        ("a", scaled(json!({"maxReplicas": 2, "cpu": {}, "schedule": [schedule(1)]})), MEASURE),
        (
            "a",
            with(scaled(json!({"maxReplicas": 2, "memory": {}})), json!({"resources": {"requests": {"cpu": "100m"}}})),
            MEASURE,
        ),
        (
            "a",
            kind(aws(), json!({"autoscaling": {"maxReplicas": 2}, "resources": {"requests": {"memory": "64Mi"}}})),
            MEASURE,
        ),
        (
            "a",
            with(
                scaled(json!({"minReplicas": 0, "maxReplicas": 2, "schedule": [schedule(2)]})),
                json!({"session": {"mode": "Stateful"}}),
            ),
            "ends sessions",
        ),
        (
            "a",
            scaled(json!({"maxReplicas": 2, "schedule": [with(schedule(1), json!({"start": "8 o'clock"}))]})),
            "five fields of cron",
        ),
        (
            "a",
            scaled(
                json!({"maxReplicas": 2, "prometheus": {"serverAddress": "prom:9090", "query": "q", "threshold": "1"}}),
            ),
            "not a URL",
        ),
        (
            "a",
            scaled(
                json!({"maxReplicas": 2, "prometheus": {"serverAddress": "http://prom:9090", "query": "q", "threshold": "many"}}),
            ),
            "not a number",
        ),
        // Who reaches it, and who it is.
        ("a", image(json!({"expose": {"type": "LoadBalancer"}})), "need spec.className"),
        ("a", image(json!({"expose": {"type": "Ingress"}})), "need spec.className"),
        ("a", kind(aws(), json!({"identity": {"roleArn": ROLE}})), "need spec.className"),
        ("a", exposed(json!({"scheme": "InternetFacing"})), "are of a load balancer"),
        ("a", exposed(json!({"sourceRanges": ["10.0.0.0/8"]})), "are of a load balancer"),
        ("a", exposed(json!({"type": "LoadBalancer", "scheme": "InternetFacing"})), "acknowledgeUnauthenticated"),
        ("a", exposed(json!({"type": "LoadBalancer", "sourceRanges": ["10.0.0.0"]})), "CIDR notation"),
        (
            "a",
            exposed(json!({"type": "LoadBalancer", "tls": {"certificateArn": "arn:aws:s3:::not-a-certificate"}})),
            "not the ARN of a certificate",
        ),
        ("a", exposed(json!({"hosts": ["https://mcp.example.com"]})), "not a list of host names"),
        ("a", exposed(json!({"allowedOrigins": ["app.example.com"]})), "not a list of origins"),
        ("a", identity(json!({})), "exactly one of roleArn"),
        ("a", identity(json!({"roleArn": ROLE, "role": {"inlinePolicy": "{}"}})), "exactly one of roleArn"),
        ("a", identity(json!({"roleArn": "arn:aws:iam::1:role/reader"})), "not the ARN of an IAM role"),
        ("a", identity(json!({"role": {}})), "the role may do nothing"),
        (
            "a",
            identity(json!({"role": {"managedPolicyArns": ["AmazonS3ReadOnlyAccess"]}})),
            "not a list of policy ARNs",
        ),
        ("a", identity(json!({"roleArn": ROLE, "sessionPolicy": {"type": "Inline"}})), "set policy with type Inline"),
        (
            "a",
            image(json!({"className": "a", "identity": {"roleArn": ROLE, "sessionPolicy": {"type": "FromTools"}}})),
            "is for spec.server.aws",
        ),
        ("a", auth(json!({"mode": "ApiKey"})), "set apiKey with mode ApiKey"),
        (
            "a",
            auth(json!({"mode": "Jwt", "jwt": {"issuer": "http://sso.example.com", "audience": "mcp"}})),
            "not a URL with TLS",
        ),
        ("a", image(json!({"tools": {"allow": ["rm -rf"]}})), "not a list of tool names"),
        ("a", image(json!({"telemetry": {"otlpEndpoint": "collector:4317"}})), "not a URL"),
        ("a", image(json!({"conformance": {"requirements": ["2025-1-1-1"]}})), "not a list of protocol revisions"),
        ("a", image(json!({"network": {"ingressFrom": [{}]}})), "set either cidr"),
        (
            "a",
            image(json!({"network": {"ingressFrom": [{"cidr": "10.0.0.0/8", "podSelector": {}}]}})),
            "set either cidr",
        ),
        ("a", image(json!({"network": {"ingressFrom": [{"cidr": "ten"}]}})), "CIDR notation"),
        ("a", image(json!({"network": {"egress": {"cidrs": ["10.0.0.0/33"]}}})), "CIDR notation"),
        ("a", image(json!({"network": {"egress": {"hosts": ["API.example.com"]}}})), "not a list of host names"),
        ("a", image(json!({"network": {"egress": {"ports": [0]}}})), "spec.network.egress.ports"),
        // The pod.
        // Unknown fields are pruned when the request says fieldValidation=Ignore, as this client does by default.
        ("a", volume(json!({"name": "host", "hostPath": {"path": "/"}})), "hostPath"),
        ("a", volume(json!({"name": "two", "emptyDir": {}, "configMap": {"name": "b"}})), "exactly one source"),
        ("a", volume(json!({"name": "mcp-eks-tmp", "emptyDir": {}})), "belong to the operator"),
        ("a", volume(json!({"name": "A_B", "emptyDir": {}})), "the name of a volume"),
        ("a", volume(json!({"name": "a", "emptyDir": {"sizeLimit": "lots"}})), "not a quantity"),
        (
            "a",
            image(
                json!({"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            ),
            "one source",
        ),
        ("a", image(json!({"env": [{"name": "A", "valueFrom": {}}]})), "exactly one of secretKeyRef"),
        ("a", image(json!({"env": [{"name": "1 A", "value": "1"}]})), "not the name of a variable"),
        ("a", image(json!({"envFrom": [{}]})), "exactly one of configMapRef"),
        ("a", image(json!({"volumeMounts": [{"name": "a", "mountPath": "data"}]})), "not a path to mount at"),
        ("a", image(json!({"resources": {"requests": {"cpu": "lots"}}})), "not a quantity"),
        ("a", image(json!({"resources": {"limits": {"cpu": -1}}})), "not a quantity"),
        ("a", toleration(json!({"operator": "Exists", "value": "a"})), "operator Equal needs a key"),
        ("a", toleration(json!({"key": "a", "value": "b", "tolerationSeconds": 5})), "needs effect NoExecute"),
        ("a", image(json!({"disruption": {}})), "exactly one of minAvailable"),
        ("a", image(json!({"disruption": {"minAvailable": 1, "maxUnavailable": 1}})), "exactly one of minAvailable"),
        ("a", image(json!({"disruption": {"minAvailable": "half"}})), "not a number of pods"),
        ("a", image(json!({"disruption": {"minAvailable": -1}})), "not a number of pods"),
        ("a", image(json!({"probes": {"path": "health"}})), "not a path"),
    ];
    let names = json!((0..9).map(|at| json!({"name": format!("secret-{at}")})).collect::<Vec<_>>());
    cases.push(("a", image(json!({"imagePullSecrets": names})), "must have at most 8 items"));
    cases
}

/// Specs near those that are refused.
fn taken() -> Vec<Value> {
    let replicas = |server: Value| json!({"server": server});
    vec![
        image(json!({"replicas": 0, "paused": true})),
        reference(
            "123456789012.dkr.ecr.us-west-2.amazonaws.com/tools@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        kind(
            json!({"filesystem": {"roots": [{"name": "a", "volume": "a", "access": "ReadWrite"}], "writes": "Consent"}}),
            json!({"image": "mirror.example.com/servers:1"}),
        ),
        replicas(json!({"database": {"sqlite": {}}})),
        replicas(json!({"database": {"postgres": {"secretRef": key()}, "writes": "Allow"}})),
        replicas(json!({"custom": {"kv": {"backend": "Valkey", "valkey": {"secretRef": key()}}, "weather": {}}})),
        kind(json!({"custom": {"kv": {"backend": "Disk", "disk": {"volume": "data"}}}}), json!({})),
        kind(json!({"order": {"sqlite": {}, "productServer": "p"}}), json!({})),
        with(replicas(json!({"aws": {"writes": "Consent"}})), json!({"tools": {"consentKeyRef": key()}})),
        with(
            replicas(aws()),
            json!({"className": "a", "identity": {"roleArn": ROLE, "sessionPolicy": {"type": "FromTools"}}}),
        ),
        image(
            json!({"className": "a", "expose": {"type": "LoadBalancer", "scheme": "InternetFacing", "acknowledgeUnauthenticated": true}}),
        ),
        image(
            json!({"className": "a", "expose": {"type": "Ingress", "scheme": "InternetFacing", "sourceRanges": ["10.0.0.0/8", "fd00::/8"]}, "auth": {"mode": "ApiKey", "apiKey": {"secretRef": key()}}}),
        ),
        image(
            json!({"autoscaling": {"minReplicas": 0, "maxReplicas": 5, "schedule": [{"name": "office-hours", "timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "replicas": 5}]}}),
        ),
        kind(aws(), json!({"autoscaling": {"maxReplicas": 10, "cpu": {}, "memory": {}}})),
        image(json!({"autoscaling": {"maxReplicas": 2}, "resources": {"limits": {"cpu": 1}}})),
        image(
            json!({"autoscaling": {"maxReplicas": 2, "cpu": {}, "memory": {}}, "resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}}),
        ),
        image(
            json!({"network": {"ingressFrom": [{"namespaceSelector": {}}, {"cidr": "10.0.0.0/16"}], "egress": {"cidrs": ["0.0.0.0/0"], "ports": [443]}}}),
        ),
        image(
            json!({"resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "1500m"}}, "disruption": {"maxUnavailable": "50%"}}),
        ),
        image(
            json!({"scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 60}], "topologySpread": []}}),
        ),
    ]
}

/// Spec, a change of it, and words of the refusal.
fn edits() -> Vec<(Value, Value, &'static str)> {
    let identity = with(kind(aws(), json!({})), json!({"className": "a", "identity": {"roleArn": ROLE}}));
    vec![
        (image(json!({})), json!({"server": {"image": null, "aws": {}}}), "cannot become another kind of server"),
        (identity, json!({"className": "b"}), "take spec.identity out first"),
    ]
}

/// Spec of a class, and words of the refusal.
fn classes() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"identity": {"allowedRolePath": "mcp"}}), "not a path of roles"),
        (json!({"egress": {"allowedCidrs": ["10.0.0.0"]}}), "CIDR notation"),
        (json!({"limits": {"cpu": "lots"}}), "not a quantity"),
        (json!({"expose": {"allowedTypes": ["NodePort"]}}), "spec.expose.allowedTypes"),
    ]
}
