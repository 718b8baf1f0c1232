//! Who may ask for what, with the admission policy and without it: a developer who may edit McpServers of a namespace, and
//! get nothing else there.

use anyhow::{Result, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use mcp_crds::McpServer;
use mcp_e2e::{
    install,
    suite::{
        self,
        objects::{SOON, Space, class},
    },
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::Fixture;

const DEVELOPER: &str = "developer";
const READER: &str = "arn:aws:iam::123456789012:role/reader";

/// The API server, as the developer sees it.
async fn developer(fixture: &Fixture) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(fixture.cluster.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info.impersonate = Some(DEVELOPER.to_owned());
    Ok(Client::try_from(config)?)
}

/// Gives the developer the rights of a role in a namespace.
async fn give(space: &Space, kind: &str, name: &str) -> Result<()> {
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": format!("developer-{name}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DEVELOPER}],
    }))?;
    Api::namespaced(space.client.clone(), &space.name).create(&PostParams::default(), &binding).await?;
    Ok(())
}

async fn kubectl(fixture: &Fixture, words: &[&str]) -> Result<()> {
    let mut command = Command::new(install::kubectl(&fixture.cluster));
    command.args(words).arg(install::repository().join("config/policies"));
    let done = command.env("KUBECONFIG", fixture.cluster.kubeconfig()).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn image(mut more: Value) -> Value {
    let mut spec = json!({"server": {"image": {"ref": "ghcr.io/acme/tools:1"}}});
    spec.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
    spec
}

fn secret(name: &str) -> Value {
    json!({"secretRef": {"name": name}})
}

/// What the API server says to a server of the developer, or nothing; it is not kept.
async fn refusal(servers: &Api<McpServer>, spec: &Value) -> Result<Option<String>> {
    let object = json!({
        "apiVersion": "mcp-eks.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "mine"}, "spec": spec,
    });
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    said(servers.create(&dry, &serde_json::from_value(object)?).await)
}

/// What it says to an edit.
async fn edit(servers: &Api<McpServer>, spec: Value) -> Result<Option<String>> {
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    said(servers.patch("theirs", &dry, &Patch::Merge(json!({"spec": spec}))).await)
}

fn said(answer: Result<McpServer, kube::Error>) -> Result<Option<String>> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// What nobody may ask for who may not have it, and the word by which it is refused.
fn foreign() -> Vec<(Value, &'static str)> {
    let database = |more: Value| {
        let mut postgres = json!({"secretRef": {"name": "db", "key": "url"}});
        postgres.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"server": {"database": {"postgres": postgres}}})
    };
    vec![
        (image(json!({"className": "admitted"})), "the verb use"),
        (image(json!({"envFrom": [secret("a")]})), "get Secret a"),
        (image(json!({"envFrom": [secret("readable"), secret("a")]})), "get Secret a"),
        (
            image(json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]})),
            "get Secret a",
        ),
        (image(json!({"volumes": [{"name": "a", "secret": {"secretName": "a"}}]})), "get Secret a"),
        (image(json!({"imagePullSecrets": [{"name": "a"}]})), "get Secret a"),
        (image(json!({"envFrom": [{"configMapRef": {"name": "a"}}]})), "get ConfigMap a"),
        (image(json!({"volumes": [{"name": "a", "configMap": {"name": "a"}}]})), "get ConfigMap a"),
        (database(json!({})), "get Secret db"),
        (
            database(
                json!({"secretRef": {"name": "readable", "key": "url"}, "caConfigMapRef": {"name": "ca", "key": "a"}}),
            ),
            "get ConfigMap ca",
        ),
        (
            json!({
                "server": {"custom": {}}, "auth": {"mode": "ApiKey", "apiKey": {"secretRef": {"name": "keys", "key": "a"}}},
            }),
            "get Secret keys",
        ),
    ]
}

pub(crate) async fn rights(fixture: &Fixture) -> Result<()> {
    let space = fixture.space("admitted").await?;
    give(&space, "ClusterRole", "mcp-eks-edit").await?;
    let servers: Api<McpServer> = Api::namespaced(developer(fixture).await?, &space.name);
    let readable: Role = serde_json::from_value(json!({
        "metadata": {"name": "readable"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["readable"], "verbs": ["get"]}],
    }))?;
    Api::namespaced(space.client.clone(), &space.name).create(&PostParams::default(), &readable).await?;
    give(&space, "Role", "readable").await?;
    let allowed = json!({
        "allowedNamespaces": {"names": ["admitted"]},
        "identity": {"allowedRoleArns": [READER], "sessionPolicy": "Optional"},
        "images": {"allowedPrefixes": ["ghcr.io/acme/"]},
        "secretNames": ["theirs"],
    });
    class(&space.client, "admitted", allowed).await?;
    space.apply("theirs", image(json!({"className": "admitted", "envFrom": [secret("theirs")]}))).await?;

    kubectl(fixture, &["apply", "--server-side", "-k"]).await?;
    // The API server learns of a policy a moment later.
    let probe = image(json!({"className": "admitted"}));
    suite::eventually("the policy holds", SOON * 2, async || {
        Ok(refusal(&servers, &probe).await?.map(drop).ok_or_else(|| "it does not".to_owned()))
    })
    .await?;
    for (spec, word) in foreign() {
        let said = refusal(&servers, &spec).await?.unwrap_or_default();
        ensure!(said.contains(word), "{spec}: expected {word:?} in {said:?}");
    }
    for spec in [image(json!({})), image(json!({"envFrom": [secret("readable"), secret("readable")]}))] {
        let said = refusal(&servers, &spec).await?;
        ensure!(said.is_none(), "{spec}: {said:?}");
    }
    let changed = [
        (json!({"className": null}), "", "a class that is given up"),
        (json!({"replicas": 1}), "", "what gives nothing"),
        (json!({"envFrom": [secret("theirs"), secret("a")]}), "get Secret", "one Secret more"),
        (json!({"identity": {"roleArn": READER}}), "the verb use", "an identity"),
    ];
    for (spec, word, what) in changed {
        let said = edit(&servers, spec).await?.unwrap_or_default();
        ensure!(said.contains(word) && said.is_empty() == word.is_empty(), "{what}: expected {word:?} in {said:?}");
    }
    everything(fixture, &space, &servers).await?;

    kubectl(fixture, &["delete", "-k"]).await?;
    // The class may be named by now; the Secret may not.
    let probe = image(json!({"envFrom": [secret("a")]}));
    suite::eventually("the policy is gone", SOON * 2, async || {
        Ok(refusal(&servers, &probe).await?.map_or(Ok(()), Err))
    })
    .await?;
    without_policy(fixture, &space).await
}

/// Who may use the class and get all Secrets of the namespace may name as many as there may be, each under its own name.
async fn everything(fixture: &Fixture, space: &Space, servers: &Api<McpServer>) -> Result<()> {
    let eight: Vec<_> = (0..8).map(|number| secret(&format!("s-{number}"))).collect();
    let spec = image(json!({"className": "admitted", "envFrom": eight}));
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": {"name": "admitted-use"},
        "rules": [
            {"apiGroups": ["mcp-eks.dev"], "resources": ["mcpserverclasses"], "resourceNames": ["admitted"], "verbs": ["use"]},
        ],
    }))?;
    Api::all(fixture.cluster.client()).create(&PostParams::default(), &role).await?;
    give(space, "ClusterRole", "admitted-use").await?;
    let names: Vec<_> = (0..8).map(|number| format!("s-{number}")).collect();
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": "eight"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get"]}],
    }))?;
    Api::namespaced(space.client.clone(), &space.name).create(&PostParams::default(), &role).await?;
    give(space, "Role", "eight").await?;
    suite::eventually("eight Secrets may be named", SOON, async || {
        Ok(refusal(servers, &spec).await?.map_or(Ok(()), Err))
    })
    .await?;
    let nine: Vec<_> = (0..9).map(|number| secret(&format!("s-{number}"))).collect();
    let said = refusal(servers, &image(json!({"envFrom": nine}))).await?;
    ensure!(said.is_some(), "nine Secrets are taken");
    Ok(())
}

/// The class holds by itself.
async fn without_policy(fixture: &Fixture, space: &Space) -> Result<()> {
    let mine = Space { client: developer(fixture).await?, name: space.name.clone() };
    let cases = [
        ("secret", json!({"className": "admitted", "envFrom": [secret("a")]}), "Secret \"a\""),
        ("role", json!({"className": "admitted", "identity": {"roleArn": format!("{READER}2")}}), "allowedRoleArns"),
        ("class", json!({"className": "nobodys"}), "no McpServerClass"),
    ];
    for (name, spec, word) in cases {
        mine.apply(name, image(spec)).await?;
        let message = space.condition(name, "Stalled=True/ClassDenied", SOON).await?;
        ensure!(message.contains(word), "{name}: expected {word:?} in {message:?}");
        ensure!(space.children(name).await?.is_empty(), "{name} has children");
    }
    Ok(())
}
