//! Every tool under exactly the policy that `mcp-aws iam-policy` prints, and without each of its actions.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use mcp_aws_policy::TOOLS;
use mcp_e2e::{
    install::repository,
    ministack::{Emulator, Kind, REGION},
    suite::server::Server,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::fixture::{Fixture, MODEL, ROOT, binary, fill, server};

const CBOR: &str = "MiniStack finds no action in the CBOR requests of the SDK, and lets them through";

/// What the emulators do not enforce or do not have, and what they answered instead (MiniStack 1.5.33).
const UNCHECKED: &[(&str, &str, &str)] = &[
    (
        "bedrock_converse",
        "bedrock:InvokeModel",
        "MiniStack denies Converse also where InvokeModel is allowed on all resources",
    ),
    ("cloudwatch_describe_alarm", "cloudwatch:DescribeAlarms", CBOR),
    ("cloudwatch_describe_alarm", "cloudwatch:DescribeAlarmHistory", CBOR),
    ("cloudwatch_get_dashboard", "cloudwatch:GetDashboard", CBOR),
    ("cloudwatch_get_metric_statistics", "cloudwatch:GetMetricStatistics", CBOR),
    ("cloudwatch_list_alarms", "cloudwatch:DescribeAlarms", CBOR),
    ("cloudwatch_list_metrics", "cloudwatch:ListMetrics", CBOR),
    (
        "cost_get_usage",
        "ce:GetCostAndUsage",
        "moto has Cost Explorer and enforces nothing; MiniStack has no Cost Explorer",
    ),
    ("logs_query", "logs:StopQuery", "sent only for a query that takes longer than 22 s; MiniStack's end at once"),
    ("rds_get_performance", "pi:GetResourceMetrics", "neither emulator has Performance Insights"),
];

/// Where MiniStack evaluates another resource than AWS's Service Authorization Reference names, since it reads no ARN (or that
/// of the cluster) from the request. Its user gets that one too; the action is still needed, and still missed.
const ELSEWHERE: &[(&str, &str)] = &[
    ("bedrock:InvokeModel", "*"),
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
struct User {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    key: String,
    secret: String,
}

impl User {
    async fn create(ministack: &Emulator) -> Result<Self> {
        let mut process = Command::new(ministack.python())
            .arg(repository().join("e2e/emulators/policies.py"))
            .args([ministack.url(), ROOT.0, ROOT.1])
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

    async fn may(&mut self, policy: &Value) -> Result<()> {
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
    let mut user = User::create(&ministack).await?;
    let server = server(ministack.url(), f.moto.url(), (&user.key, &user.secret), &[]).await?;
    let mut wrong = Vec::new();
    let mut checked = 0;
    for tool in TOOLS {
        let policy = printed(tool.name).await?;
        let arguments = arguments(tool.name, &made);
        for access in tool.needs {
            if UNCHECKED.iter().any(|(name, action, _)| *name == tool.name && *action == access.action) {
                continue;
            }
            user.may(&without(&policy, access.action)).await?;
            let result = server.result(tool.name, arguments.clone()).await?;
            let said = result["content"][0]["text"].as_str().unwrap_or_default();
            checked += 1;
            // Where the answer must not tell, S3 and Lambda say "not found" for "denied".
            if !denied(&result, access.action) {
                wrong.push(format!("{} without {}: {said:.300}", tool.name, access.action));
            }
        }
        user.may(&policy).await?;
        if ["bedrock_converse", "rds_get_performance"].contains(&tool.name) {
            continue;
        }
        let result = server.result(tool.name, arguments).await?;
        let failed = &result["structuredContent"]["failed"];
        if result["isError"] == true || failed.as_array().is_some_and(|failed| !failed.is_empty()) {
            let said = result["content"][0]["text"].as_str().unwrap_or_default();
            wrong.push(format!("{} under its policy: {said:.300}", tool.name));
        }
    }
    ensure!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{checked} actions removed one by one; not checked:");
    for (tool, action, reason) in UNCHECKED {
        println!("  {tool} {action}: {reason}");
    }
    Ok(())
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

pub(crate) async fn account(f: &Fixture) -> Result<()> {
    let ministack = Emulator::start(&f.cache, Kind::MiniStack { enforce: true }).await?;
    let mut user = User::create(&ministack).await?;
    let reader = "arn:aws:iam::123456789012:role/reader";
    let accounts = format!("--accounts=staging={reader},gone=arn:aws:iam::123456789012:role/gone");
    let server: Server = server(ministack.url(), f.moto.url(), (&user.key, &user.secret), &[&accounts]).await?;
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
    Ok(())
}
