//! Servers that ask who calls, ask before they change something, record it, and keep their data: in pods, with the real
//! thing behind each. PostgreSQL and the issuer run on the host, at the address by which pods reach it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use mcp_e2e::{
    cache::Cache,
    certificate::Certificate,
    install::call,
    postgres::Postgres,
    suite::{
        self, eventually,
        issuer::Issuer,
        objects::{Space, conditions},
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{BINARY, Fixture, knock, ready};

const KEY: &str = "a-key-of-more-than-twenty-two-characters";
/// Time for a pod to end and another to start, on a busy machine.
const REPLACED: Duration = Duration::from_secs(90);

/// The address of this machine that pods reach.
fn host(fixture: &Fixture) -> Result<Ipv4Addr> {
    Ok(fixture.cluster.state().slot.context("the cluster has no slot")?.link_host())
}

async fn secret(space: &Space, name: &str, key: &str, text: &str) -> Result<()> {
    let secret = json!({"metadata": {"name": name}, "stringData": {key: text}});
    let secrets: Api<Secret> = Api::namespaced(space.client.clone(), &space.name);
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    Ok(())
}

async fn config_map(space: &Space, name: &str, key: &str, text: &str) -> Result<()> {
    let map = json!({"metadata": {"name": name}, "data": {key: text}});
    space.config_maps().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    Ok(())
}

/// The server is Ready because the operator saw its tools, not by the kubelet's word.
pub(crate) async fn proven(space: &Space, name: &str) -> Result<()> {
    ready(space, name).await?;
    let server = space.servers().get(name).await?;
    let found = conditions(&server);
    for expected in ["Ready=True/Serving", "Verified=True/ToolsListed"] {
        ensure!(found.iter().any(|(condition, _)| condition == expected), "no {expected}: {found:?}");
    }
    ensure!(server.status.and_then(|status| status.mcp?.tool_count) > Some(0), "no tools were seen");
    Ok(())
}

/// Calls a tool where a server or one of its pods is; the whole answer.
async fn call_tool(address: SocketAddr, tool: &str, arguments: Value) -> Result<Value> {
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let post = http.post(format!("http://{address}/mcp")).bearer_auth(KEY).json(&request);
    let post = post.header("Accept", "application/json").header("MCP-Protocol-Version", "2025-11-25");
    Ok(post.send().await?.json().await?)
}

/// Name and address of every pod of a server that is ready and stays, by name.
pub(crate) async fn pods(space: &Space, name: &str) -> Result<Vec<(String, SocketAddr)>> {
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    let found = api.list(&ListParams::default().labels(&format!("mcp-eks.dev/server={name}"))).await?;
    let serving = found.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(|pod| {
        let status = pod.status.as_ref()?;
        let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
        let ip = status.pod_ip.as_ref().filter(|_| ready)?.parse().ok()?;
        Some((pod.name_any(), SocketAddr::new(ip, 8080)))
    });
    let mut serving: Vec<_> = serving.collect();
    serving.sort();
    Ok(serving)
}

/// Deletes a pod, and waits until as many as before are ready without it.
async fn replace(space: &Space, server: &str, pod: &str) -> Result<Vec<(String, SocketAddr)>> {
    let before = pods(space, server).await?.len();
    let api: Api<Pod> = Api::namespaced(space.client.clone(), &space.name);
    api.delete(pod, &DeleteParams::default()).await?;
    eventually(&format!("{server} has another pod in place of {pod}"), REPLACED, async || {
        let now = pods(space, server).await?;
        let gone = api.get_opt(pod).await?.is_none();
        Ok(if gone && now.len() == before { Ok(now) } else { Err(format!("gone: {gone}, ready: {now:?}")) })
    })
    .await
}

pub(crate) async fn keys(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("guarded-keys").await?;
    secret(&space, "callers", "keys", KEY).await?;
    let spec = json!({
        "replicas": 2,
        "server": {"database": {"sqlite": {"seed": "Sample"}}},
        "auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}},
        "session": {"drainSeconds": 0},
    });
    space.apply("users", spec).await?;
    proven(&space, "users").await?;
    let (status, challenge) = knock(fixture, &space, "users", None).await?;
    ensure!(status == StatusCode::UNAUTHORIZED && challenge.contains("Bearer"), "{status} {challenge}");
    let (status, text) = knock(fixture, &space, "users", Some(KEY)).await?;
    ensure!(status == StatusCode::OK && text.contains("list_tables"), "{status} {text}");
    Ok(())
}

/// A token of the issuer for this resource, by the client that has every scope.
async fn token(issuer: &Issuer, ca: &str, resource: &str) -> Result<String> {
    let http =
        reqwest::Client::builder().no_proxy().add_root_certificate(reqwest::Certificate::from_pem(ca.as_bytes())?);
    let form = [("grant_type", "client_credentials"), ("scope", "read write"), ("resource", resource)];
    let body = form.map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).join("&");
    let post = http.build()?.post(format!("{}/token", issuer.url())).basic_auth("agent", Some("agent-secret"));
    let post = post.header("Content-Type", "application/x-www-form-urlencoded").body(body);
    let answer: Value = post.send().await?.json().await?;
    Ok(answer["access_token"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
}

pub(crate) async fn tokens(fixture: &Fixture) -> Result<()> {
    const RESOURCE: &str = "https://users.example.com/mcp";
    let space = fixture.space("guarded-tokens").await?;
    let home = tempfile::tempdir()?;
    let Certificate { ca, chain, key } = Certificate::make(&[host(fixture)?.to_string()])?;
    let (chain_file, key_file) = (home.path().join("chain.pem"), home.path().join("key.pem"));
    std::fs::write(&chain_file, chain)?;
    std::fs::write(&key_file, key)?;
    let cache = Cache::from_env()?;
    let issuer = Issuer::start_for(&cache, "read write", host(fixture)?, &chain_file, &key_file).await?;
    config_map(&space, "issuer-ca", "ca.pem", &ca).await?;
    let spec = json!({
        "replicas": 1,
        "server": {"database": {"sqlite": {"seed": "Sample"}}},
        "auth": {"mode": "Jwt", "jwt": {"issuer": issuer.url(), "audience": RESOURCE}},
        "env": [{"name": "SSL_CERT_FILE", "value": "/etc/issuer/ca.pem"}],
        "volumes": [{"name": "ca", "configMap": {"name": "issuer-ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/issuer", "readOnly": true}],
        "session": {"drainSeconds": 0},
    });
    space.apply("users", spec).await?;
    proven(&space, "users").await?;
    ensure!(knock(fixture, &space, "users", None).await?.0 == StatusCode::UNAUTHORIZED);
    let good = token(&issuer, &ca, RESOURCE).await?;
    let (status, text) = knock(fixture, &space, "users", Some(&good)).await?;
    ensure!(status == StatusCode::OK && text.contains("list_tables"), "{status} {text}");
    let other = token(&issuer, &ca, "https://other.example.com/mcp").await?;
    let (status, text) = knock(fixture, &space, "users", Some(&other)).await?;
    ensure!(status == StatusCode::UNAUTHORIZED, "a token for somebody else opens: {status} {text}");
    Ok(())
}

/// The server `orders` over PostgreSQL, as the sample of that name says it, and what it writes to.
pub(crate) struct Orders {
    space: Space,
    postgres: Postgres,
    home: TempDir,
}

impl Orders {
    /// Makes databases, roles, Secrets and the server.
    pub(crate) async fn start(fixture: &Fixture) -> Result<Self> {
        let space = fixture.space("guarded-orders").await?;
        let address = host(fixture)?;
        let postgres = Postgres::start_for(&Cache::from_env()?, address).await?;
        let home = tempfile::tempdir()?;
        for statement in ["CREATE DATABASE orders", "CREATE DATABASE audit"] {
            postgres.run("postgres", statement).await?;
        }
        let schema = Command::new(database()).arg("audit-schema").output()?;
        ensure!(schema.status.success(), "audit-schema failed");
        postgres.run("audit", &String::from_utf8(schema.stdout)?).await?;
        let writer = "CREATE ROLE writer LOGIN PASSWORD 'writer-password'; \
                      GRANT INSERT, SELECT ON mcp_audit, mcp_audit_checkpoint TO writer";
        postgres.run("audit", writer).await?;
        let app = "CREATE ROLE app LOGIN PASSWORD 'app-password'; CREATE TABLE orders (number integer PRIMARY KEY); \
                   GRANT SELECT, INSERT ON orders TO app";
        postgres.run("orders", app).await?;

        let ca = std::fs::read_to_string(postgres.ca())?;
        config_map(&space, "ca", "ca.pem", &ca).await?;
        let record = postgres.uri("writer", "writer-password", "audit");
        std::fs::write(home.path().join("uri"), &record)?;
        secret(&space, "record", "uri", &record).await?;
        secret(&space, "orders", "uri", &postgres.uri("app", "app-password", "orders")).await?;
        secret(&space, "callers", "keys", KEY).await?;
        secret(&space, "consent", "key", "thirty-two bytes or more, for all replicas").await?;
        let ca = json!({"name": "ca", "key": "ca.pem"});
        let spec = json!({
            "replicas": 2,
            "server": {"database": {
                "writes": "Consent",
                "postgres": {"secretRef": {"name": "orders", "key": "uri"}, "caConfigMapRef": ca},
            }},
            "tools": {"consentKeyRef": {"name": "consent", "key": "key"}},
            "auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}},
            "audit": {
                "sinks": ["Stdout", "Postgres"], "required": true,
                "postgres": {"secretRef": {"name": "record", "key": "uri"}, "caConfigMapRef": ca},
            },
            "network": {"egress": {"cidrs": [format!("{address}/32")], "ports": [postgres.port()]}},
            "session": {"drainSeconds": 1},
        });
        space.apply("orders", spec).await?;
        proven(&space, "orders").await?;
        Ok(Self { space, postgres, home })
    }

    /// Asks one pod to insert an order; what to send along when the person agreed.
    async fn ask(&self, pod: SocketAddr, number: u32) -> Result<String> {
        let answer = call_tool(pod, "execute", order(number, None)).await?;
        let token = &answer["result"]["structuredContent"]["consent_needed"]["consent_token"];
        Ok(token.as_str().with_context(|| format!("expected to be asked for consent, found {answer}"))?.to_owned())
    }

    /// Says to a pod that the person agreed.
    async fn agree(&self, pod: SocketAddr, number: u32, token: &str) -> Result<()> {
        let answer = call_tool(pod, "execute", order(number, Some(token))).await?;
        ensure!(answer["result"]["structuredContent"]["rows_affected"] == 1, "{answer}");
        Ok(())
    }

    async fn numbers(&self) -> Result<Vec<Vec<String>>> {
        self.postgres.rows("orders", "SELECT number FROM orders ORDER BY 1").await
    }

    /// What verify-audit says: its exit code and its words.
    fn verify(&self) -> Result<(Option<i32>, String)> {
        let uri = self.home.path().join("uri");
        let mut command = Command::new(database());
        command.arg("verify-audit").arg("--postgres").arg(uri).arg("--postgres-ca").arg(self.postgres.ca());
        let output = command.output()?;
        Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
    }
}

fn database() -> PathBuf {
    suite::bin_dir(BINARY).join("mcp-database")
}

fn order(number: u32, token: Option<&str>) -> Value {
    let mut arguments = json!({"sql": format!("INSERT INTO orders VALUES ({number})")});
    if let Some(token) = token {
        arguments["consent_token"] = token.into();
    }
    arguments
}

pub(crate) async fn consent(fixture: &Fixture) -> Result<()> {
    let orders = fixture.orders.get_or_try_init(|| Orders::start(fixture)).await?;
    let pods = pods(&orders.space, "orders").await?;
    let [(_, one), (_, two)] = pods.as_slice() else { anyhow::bail!("expected two pods, found {pods:?}") };
    let token = orders.ask(*one, 1).await?;
    ensure!(!orders.numbers().await?.contains(&vec!["1".to_owned()]), "it did not wait for the answer");
    orders.agree(*two, 1, &token).await?;
    ensure!(orders.numbers().await?.contains(&vec!["1".to_owned()]), "it was not done");
    Ok(())
}

pub(crate) async fn audited(fixture: &Fixture) -> Result<()> {
    let orders = fixture.orders.get_or_try_init(|| Orders::start(fixture)).await?;
    let before = pods(&orders.space, "orders").await?;
    let (name, address) = before.first().context("no pod")?;
    let token = orders.ask(*address, 2).await?;
    orders.agree(*address, 2, &token).await?;
    let now = replace(&orders.space, "orders", name).await?;
    let (_, address) = now.iter().find(|pod| !before.contains(pod)).context("no new pod")?;
    let token = orders.ask(*address, 3).await?;
    orders.agree(*address, 3, &token).await?;

    let rows = "SELECT chain, event FROM mcp_audit_record WHERE event IN ('done', 'closed') AND tool = 'execute' \
                OR event = 'closed' ORDER BY 1, 2";
    eventually("the old pod's chain is closed, and the new pod has begun one", REPLACED, async || {
        let rows = orders.postgres.rows("audit", rows).await?;
        let chains: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        let closed: Vec<_> = rows.iter().filter(|row| row[1] == "closed").map(|row| row[0].as_str()).collect();
        let [closed] = closed[..] else { return Ok(Err(format!("{rows:?}"))) };
        let open = chains.iter().any(|chain| *chain != closed);
        Ok(if open && chains.iter().filter(|chain| **chain == closed).count() > 1 {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        })
    })
    .await?;
    let who = "SELECT DISTINCT principal FROM mcp_audit_record WHERE event = 'done'";
    let who = orders.postgres.rows("audit", who).await?;
    ensure!(who.len() == 1 && who[0][0].starts_with("key-"), "{who:?}");
    let (code, said) = orders.verify()?;
    ensure!(code == Some(0), "{code:?} {said}");
    // The tests are tested: what is altered is found.
    let owner = "SET session_replication_role = replica;";
    let altered = "UPDATE mcp_audit SET record = replace(record, 'VALUES (2)', 'VALUES (9)')";
    orders.postgres.run("audit", &format!("CREATE TABLE kept AS TABLE mcp_audit; {owner} {altered}")).await?;
    let (code, said) = orders.verify()?;
    orders.postgres.run("audit", &format!("{owner} TRUNCATE mcp_audit; INSERT INTO mcp_audit TABLE kept")).await?;
    ensure!(code == Some(1) && said.contains("was altered"), "{code:?} {said}");
    Ok(())
}

pub(crate) async fn kept(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("guarded-notes").await?;
    // A directory of the node, as an administrator hands it out.
    let home = tempfile::tempdir()?;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777))?;
    let name = space.name.clone();
    let volume = json!({
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "64Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": home.path(), "type": "Directory"},
        },
    });
    let volumes: Api<PersistentVolume> = Api::all(space.client.clone());
    volumes.create(&PostParams::default(), &serde_json::from_value(volume)?).await?;
    let claim = json!({
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": name,
            "resources": {"requests": {"storage": "64Mi"}},
        },
    });
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(space.client.clone(), &space.name);
    claims.create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
    secret(&space, "callers", "keys", KEY).await?;
    let spec = json!({
        "replicas": 1,
        "server": {"database": {"writes": "Allow", "sqlite": {"seed": "Sample", "persistence": {"volume": "data"}}}},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "callers", "key": "keys"}}},
        "session": {"drainSeconds": 0},
    });
    space.apply("notes", spec).await?;
    proven(&space, "notes").await?;
    let server = space.servers().get("notes").await?;
    let (_, address) = call::endpoint(&fixture.cluster.client(), &server).await?;
    let sql =
        "INSERT INTO users (name, email, role, created_at) VALUES ('Kept', 'kept@example.com', 'admin', '2026-01-01')";
    let written = call_tool(address, "execute", json!({"sql": sql})).await?;
    ensure!(written["result"]["structuredContent"]["rows_affected"] == 1, "{written}");
    let [(pod, _)] = &pods(&space, "notes").await?[..] else { anyhow::bail!("expected one pod") };
    let now = replace(&space, "notes", pod).await?;
    let (_, address) = now.first().context("no pod")?;
    let found =
        call_tool(*address, "query", json!({"sql": "SELECT name FROM users WHERE email = 'kept@example.com'"})).await?;
    ensure!(found["result"]["structuredContent"]["rows"].to_string().contains("Kept"), "{found}");
    Ok(())
}
