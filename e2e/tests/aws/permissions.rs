//! Every tool under exactly the policy that `mcp-aws iam-policy` prints, and without each of its actions.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mcp_aws_policy::{TOOLS, Tool};
use mcp_e2e::{
    install::repository,
    ministack::{Emulator, Kind, REGION},
    python,
    suite::{eventually, server::Server},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    fixture::{Fixture, MODEL, ROOT, binary, costs, fill, server, server_to},
    front::Front,
};

/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_secs(30);
/// What MiniStack does not have is moto's.
const OF_MOTO: &[&str] = &["cost_get_usage"];
/// Only a query that takes longer than 22 s is stopped, which has a test of its own.
const SLOW: &str = "logs:StopQuery";

/// Where an emulator evaluates another resource than AWS's Service Authorization Reference names, since it reads no ARN (or that
/// of the cluster) from the request. The user gets that one too; the action is still needed, and still missed.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cloudwatch:DescribeAlarms", "*"),
    ("cloudwatch:GetDashboard", "*"),
    ("ecs:DescribeClusters", "*"),
    ("ecs:DescribeServices", "arn:aws:ecs:*:*:cluster/*"),
    ("ecs:DescribeTasks", "arn:aws:ecs:*:*:cluster/*"),
    ("ecs:ListTasks", "arn:aws:ecs:*:*:cluster/*"),
    ("ecs:UpdateService", "arn:aws:ecs:*:*:cluster/*"),
    ("logs:GetQueryResults", "*"),
    ("logs:StartQuery", "*"),
    ("rds:DescribeDBInstances", "*"),
    ("rds:DescribeDBSnapshots", "*"),
];

/// The user whose policy changes.
pub(crate) struct User {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl User {
    pub(crate) async fn create(emulator: &Emulator, name: &str) -> Result<Self> {
        let mut process = Command::new(emulator.python())
            .arg(repository().join("e2e/emulators/policies.py"))
            .args([emulator.url(), ROOT.0, ROOT.1, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start policies.py")?;
        let input = process.stdin.take().context("no stdin")?;
        let mut output = BufReader::new(process.stdout.take().context("no stdout")?).lines();
        let keys: Value = serde_json::from_str(&output.next_line().await?.context("policies.py made no user")?)?;
        let text = |name: &str| keys[name].as_str().unwrap().to_owned();
        Ok(Self { input, output, key: text("key"), secret: text("secret"), _process: process })
    }

    pub(crate) async fn may(&mut self, policy: &Value) -> Result<()> {
        self.input.write_all(format!("{policy}\n").as_bytes()).await?;
        ensure!(self.output.next_line().await?.as_deref() == Some("ok"), "the policy was not taken: {policy}");
        Ok(())
    }
}

/// Arguments under which a tool takes every one of its actions.
fn arguments(tool: &str, made: &Value) -> Value {
    match tool {
        "aws_whoami" | "aws_list_regions" | "bedrock_list_models" | "cloudwatch_list_metrics" | "s3_list_buckets" => {
            json!({})
        }
        "cost_get_usage" => json!({"start": "2026-11-01", "end": "2026-12-01"}),
        "bedrock_converse" => json!({"model": MODEL, "prompt": "Say hello."}),
        "cloudwatch_describe_alarm" => json!({"alarm": "web-errors"}),
        "cloudwatch_get_dashboard" => json!({"dashboard": "shop"}),
        "cloudwatch_get_metric_statistics" => json!({"namespace": "Shop", "metric": "Errors"}),
        "dynamodb_query" => json!({"table": "orders", "key_condition": "customer = :c", "values": {":c": "ann"}}),
        "ec2_describe_instance" | "ec2_stop_instance" => json!({"instance_id": made["running"]}),
        "ec2_start_instance" => json!({"instance_id": made["stopped"]}),
        "ecs_describe_cluster" | "ecs_list_services" | "ecs_list_tasks" => json!({"cluster": "shop"}),
        "ecs_describe_service" => json!({"cluster": "shop", "service": "web"}),
        "ecs_describe_task_definition" => json!({"task_definition": "web:1"}),
        "ecs_update_service" => json!({"cluster": "shop", "service": "web", "desired_count": 1}),
        "lambda_invoke" => json!({"function": "echo", "dry_run": true}),
        "logs_query" => json!({"log_groups": ["/shop/web"], "query": "fields @message"}),
        "rds_create_snapshot" => json!({"db_instance": "orders", "snapshot": "exact"}),
        "rds_describe_db_instance" | "rds_get_performance" => json!({"db_instance": "orders"}),
        "s3_get_object" => json!({"bucket": "shop-data", "key": "notes/hello.txt"}),
        "s3_list_objects" => json!({"bucket": "shop-data"}),
        "s3_put_object" => {
            json!({"bucket": "shop-data", "key": "notes/hello.txt", "text": "new", "if_match": made["etag"]})
        }
        "cloudwatch_list_alarms"
        | "ec2_list_instances"
        | "ecs_list_clusters"
        | "eks_list_clusters"
        | "lambda_list_functions"
        | "rds_list_db_instances"
        | "rds_list_snapshots" => json!({"region": "all"}),
        other => panic!("say how {other} takes all of its actions"),
    }
}

/// What the command prints.
async fn printed(tool: &str) -> Result<Value> {
    let output = Command::new(binary()).args(["iam-policy", "--tools", tool, "--models", MODEL]).output().await?;
    ensure!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    let mut policy: Value = serde_json::from_slice(&output.stdout)?;
    let text = policy.to_string();
    for (action, resource) in ELSEWHERE.iter().filter(|(action, _)| text.contains(&format!("\"{action}\""))) {
        let more = json!({"Effect": "Allow", "Action": [action], "Resource": [resource]});
        policy["Statement"].as_array_mut().context("no statements")?.push(more);
    }
    Ok(policy)
}

/// The policy without one of its actions.
fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        statement["Action"].as_array_mut().unwrap().retain(|one| one != action);
    }
    statements.retain(|statement| !statement["Action"].as_array().unwrap().is_empty());
    policy
}

pub(crate) async fn exact(f: &Fixture) -> Result<()> {
    let ministack = Emulator::start(&f.cache, Kind::MiniStack { enforce: true }).await?;
    let made = fill(&ministack).await?;
    let ((of_ministack, mut wrong), (of_moto, more), stopped) =
        tokio::try_join!(by_ministack(f, &ministack, &made), by_moto(f, &made), stopped(f, &ministack, &made))?;
    wrong.extend(more);
    let checked = of_ministack + of_moto + stopped;
    let all: usize = TOOLS.iter().map(|tool| tool.needs.len()).sum();
    ensure!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(checked == all, "{checked} of {all} actions were removed");
    println!("{checked} of {all} actions removed one by one");
    Ok(())
}

async fn by_ministack(f: &Fixture, ministack: &Emulator, made: &Value) -> Result<(usize, Vec<String>)> {
    let mut user = User::create(ministack, "mcp").await?;
    let front = Front::of(ministack, Some((&user.key, &user.secret))).await?;
    let server = server(&front.url, f.moto.url(), (&user.key, &user.secret), &[]).await?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for tool in TOOLS.iter().filter(|tool| !OF_MOTO.contains(&tool.name)) {
        checked += tried(tool, &server, made, &mut wrong, async |policy: &Value| user.may(policy).await).await?;
    }
    Ok((checked, wrong))
}

async fn by_moto(f: &Fixture, made: &Value) -> Result<(usize, Vec<String>)> {
    // One of its own: it is one process that enforces policies for everybody or for nobody.
    let moto = Emulator::start(&f.cache, Kind::Moto).await?;
    costs(&moto).await?;
    let mut user = User::create(&moto, "mcp").await?;
    let server = server(moto.url(), moto.url(), (&user.key, &user.secret), &[]).await?;
    let (mut checked, mut wrong) = (0, Vec::new());
    for tool in TOOLS.iter().filter(|tool| OF_MOTO.contains(&tool.name)) {
        let give = async |policy: &Value| {
            moto.enforce(false).await?;
            user.may(policy).await?;
            moto.enforce(true).await
        };
        checked += tried(tool, &server, made, &mut wrong, give).await?;
    }
    Ok((checked, wrong))
}

/// Runs a tool under its policy without each action, and under the whole of it; counts the actions and tells what is wrong.
async fn tried(
    tool: &Tool,
    server: &Server,
    made: &Value,
    wrong: &mut Vec<String>,
    mut give: impl AsyncFnMut(&Value) -> Result<()>,
) -> Result<usize> {
    let policy = printed(tool.name).await?;
    let arguments = arguments(tool.name, made);
    let mut checked = 0;
    for access in tool.needs.iter().filter(|access| access.action != SLOW) {
        give(&without(&policy, access.action)).await?;
        let result = server.result(tool.name, arguments.clone()).await?;
        let said = result["content"][0]["text"].as_str().unwrap_or_default();
        checked += 1;
        // Where the answer must not tell, S3 and Lambda say "not found" for "denied".
        if !denied(&result, access.action) {
            wrong.push(format!("{} without {}: {said:.300}", tool.name, access.action));
        }
    }
    give(&policy).await?;
    let result = server.result(tool.name, arguments).await?;
    let failed = &result["structuredContent"]["failed"];
    if result["isError"] == true || failed.as_array().is_some_and(|failed| !failed.is_empty()) {
        let said = result["content"][0]["text"].as_str().unwrap_or_default();
        wrong.push(format!("{} under its policy: {said:.300}", tool.name));
    }
    Ok(checked)
}

/// A query that does not end is stopped, if that is allowed: with the permission and without, at the same time.
async fn stopped(f: &Fixture, ministack: &Emulator, made: &Value) -> Result<usize> {
    let front = Front::of(ministack, None).await?;
    front.slow();
    let policy = printed("logs_query").await?;
    let asked = |name: &'static str, policy: Value| {
        let front = &front;
        async move {
            let mut user = User::create(ministack, name).await?;
            user.may(&policy).await?;
            let server = server(&front.url, f.moto.url(), (&user.key, &user.secret), &[]).await?;
            server.fails("logs_query", arguments("logs_query", made)).await
        }
    };
    let (with, without) =
        tokio::try_join!(asked("patient", policy.clone()), asked("hindered", without(&policy, SLOW)))?;
    ensure!(with.contains("took longer than 22 s and was stopped"), "{with}");
    ensure!(without.contains("access denied: logs:StopQuery"), "{without}");
    Ok(1)
}

/// The answer names the missing action: as the error, or for every region that was asked.
fn denied(result: &Value, action: &str) -> bool {
    let named = |text: &str| text.contains("access denied") && text.contains(action);
    if result["isError"] == true {
        return named(result["content"][0]["text"].as_str().unwrap_or_default());
    }
    let failed = result["structuredContent"]["failed"].as_array();
    failed.is_some_and(|failed| {
        !failed.is_empty() && failed.iter().all(|one| named(one["error"].as_str().unwrap_or_default()))
    })
}

/// The policy of all tools, to parliament, which carries AWS's Service Authorization Reference: every action exists, and is
/// bound to a kind of resource that it has.
pub(crate) async fn judged(f: &Fixture) -> Result<()> {
    let all = TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>().join(",");
    // Parliament takes the colon in names of newer models for a part of the ARN.
    let output =
        Command::new(binary()).args(["iam-policy", "--tools", &all, "--models", "amazon.model"]).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let policy = String::from_utf8(output.stdout)?;
    let environment = python::environment(&f.cache, "parliament", "xtask/terraform/parliament.txt").await?;
    let judge = "import parliament, sys\n\
                 for it in parliament.analyze_policy_string(sys.argv[1]).findings: print(it.issue, it.detail, it.location)";
    let judged = async |policy: &str| {
        let output = Command::new(environment.join("bin/python")).args(["-c", judge, policy]).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let findings = judged(&policy).await?;
    // Of eight kinds of resource that InvokeModel has, the policy names the models of the server's list and no other.
    let is_known = |finding: &str| {
        finding.starts_with("RESOURCE_MISMATCH")
            && finding.matches("'action'").count() == 7
            && finding.matches("'bedrock:InvokeModel'").count() == 7
            && !finding.contains("foundation-model")
    };
    ensure!(findings.lines().count() == 1 && findings.lines().all(is_known), "{findings}");
    let findings = judged(&policy.replace("ec2:StopInstances", "ec2:StopInstance")).await?;
    ensure!(findings.contains("UNKNOWN_ACTION"), "a slip is found: {findings}");
    Ok(())
}

pub(crate) async fn account(f: &Fixture) -> Result<()> {
    let ministack = Emulator::start(&f.cache, Kind::MiniStack { enforce: true }).await?;
    let mut user = User::create(&ministack, "mcp").await?;
    let reader = "arn:aws:iam::123456789012:role/reader";
    let accounts = format!("--accounts=staging={reader},gone=arn:aws:iam::123456789012:role/gone");
    let audit = tempfile::NamedTempFile::new()?;
    let server: Server =
        server_to(ministack.url(), f.moto.url(), (&user.key, &user.secret), &[&accounts], audit.reopen()?).await?;
    user.may(&json!({"Version": "2012-10-17", "Statement": []})).await?;
    let staging = json!({"account": "staging"});
    let error = server.fails("ec2_list_instances", staging.clone()).await?;
    ensure!(error.contains("the role of account staging could not be assumed"), "{error}");
    let output =
        Command::new(binary()).args(["iam-policy", "--tools", "aws_whoami", "--assume", reader]).output().await?;
    user.may(&serde_json::from_slice(&output.stdout)?).await?;
    // The role may list; the user itself may not.
    let listed = server.call("ec2_list_instances", staging.clone()).await?;
    ensure!(listed["items"] == json!([]), "{listed}");
    let everywhere = server.call("ec2_list_instances", json!({"account": "staging", "region": "all"})).await?;
    ensure!(everywhere.get("failed").is_none(), "{everywhere}");
    let error = server.fails("ec2_list_instances", json!({})).await?;
    ensure!(error.contains("access denied: ec2:DescribeInstances"), "{error}");
    let error = server.fails("s3_list_buckets", staging.clone()).await?;
    ensure!(
        error.contains("access denied: s3:ListAllMyBuckets is not allowed in us-west-2 of account staging"),
        "{error}"
    );
    let who = server.call("aws_whoami", staging).await?;
    ensure!(who["arn"].as_str().unwrap().contains("assumed-role/reader") && who["region"] == REGION, "{who}");
    ensure!(who["aliases"] == json!(["staging", "gone"]), "{who}");
    for alias in ["prod", "", reader, "staging/../prod", "STAGING"] {
        let error = server.fails("aws_whoami", json!({"account": alias})).await?;
        ensure!(error.contains("expected one of staging, gone"), "{alias:?}: {error}");
    }
    let error = server.fails("aws_whoami", json!({"account": "gone"})).await?;
    if !error.contains("the role of account gone could not be assumed") {
        bail!("{error}");
    }
    assumed(audit.path(), reader).await
}

/// The audit has what was asked of STS with the calls that needed it: refused, granted once, and for a role there is not.
async fn assumed(audit: &Path, reader: &str) -> Result<()> {
    let expected = [
        ("ec2_list_instances", reader, "AccessDenied"),
        ("ec2_list_instances", reader, "ok"),
        ("aws_whoami", "arn:aws:iam::123456789012:role/gone", "AccessDenied"),
    ];
    eventually("three calls of AssumeRole are recorded", SOON, async || {
        let text = std::fs::read_to_string(audit)?;
        let mut found = Vec::new();
        for record in text.lines().map_while(|line| serde_json::from_str::<Value>(line).ok()) {
            let calls = record["aws"].as_array().cloned().unwrap_or_default();
            for call in calls.iter().filter(|call| call["service"] == "sts" && call["operation"] == "AssumeRole") {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                ensure!(call["parameters"]["RoleSessionName"] == "mcp-aws" && !call.to_string().contains("Secret"));
                found.push((word(&record["tool"]), word(&call["parameters"]["RoleArn"]), word(&call["status"])));
            }
        }
        let same = found.iter().map(|(tool, role, status)| (tool.as_str(), role.as_str(), status.as_str()));
        Ok(if same.eq(expected) { Ok(()) } else { Err(format!("{found:?}")) })
    })
    .await
}
