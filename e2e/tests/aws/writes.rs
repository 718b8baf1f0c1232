//! Every tool that changes something or costs money.

use std::time::Duration;

use anyhow::{Result, ensure};
use mcp_e2e::suite::eventually;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::fixture::{Fixture, MODEL, ROOT, server, server_to};

/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn instances(f: &Fixture) -> Result<()> {
    let id = f.id("stopped");
    let started = f.server.call("ec2_start_instance", json!({"instance_id": id})).await?;
    ensure!(started["instance_id"] == id && started["previous_state"] == "stopped", "{started}");
    ensure!(["pending", "running"].contains(&started["current_state"].as_str().unwrap()), "{started}");
    let again = f.server.call("ec2_start_instance", json!({"instance_id": id})).await?;
    ensure!(again["message"].as_str().unwrap().starts_with("nothing to do"), "{again}");
    let stopped = f.server.call("ec2_stop_instance", json!({"instance_id": id})).await?;
    ensure!(["stopping", "stopped"].contains(&stopped["current_state"].as_str().unwrap()), "{stopped}");
    let again = f.server.call("ec2_stop_instance", json!({"instance_id": id})).await?;
    ensure!(again["message"].as_str().unwrap().starts_with("nothing to do"), "{again}");
    let error = f.server.fails("ec2_stop_instance", json!({"instance_id": "i-00000000000000000"})).await?;
    ensure!(error.contains("not found"), "{error}");
    Ok(())
}

/// MiniStack does what it is asked in a dry run too; moto, like AWS, does not.
pub(crate) async fn dry_run(f: &Fixture) -> Result<()> {
    let make = "import botocore.session, sys\n\
                ec2 = botocore.session.get_session().create_client('ec2', region_name='us-west-2', endpoint_url=sys.argv[1], \
                aws_access_key_id='test', aws_secret_access_key='test')\n\
                id = ec2.run_instances(ImageId='ami-12345678', MinCount=1, MaxCount=1)['Instances'][0]['InstanceId']\n\
                print(id)";
    let output = Command::new(f.moto.python()).args(["-c", make, f.moto.url()]).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let id = String::from_utf8(output.stdout)?.trim().to_owned();
    let server = server(f.moto.url(), f.moto.url(), ROOT, &[]).await?;
    let state =
        async || anyhow::Ok(server.call("ec2_describe_instance", json!({"instance_id": id})).await?["state"].clone());
    ensure!(state().await? == "running");
    for (tool, is) in [("ec2_stop_instance", "running"), ("ec2_start_instance", "stopped")] {
        let dry = server.call(tool, json!({"instance_id": id, "dry_run": true})).await?;
        ensure!(dry["previous_state"] == is && dry["current_state"] == is, "{dry}");
        ensure!(dry["message"].as_str().unwrap().starts_with("dry run"), "{dry}");
        ensure!(state().await? == is, "a dry run of {tool} changed it");
        if is == "running" {
            server.call(tool, json!({"instance_id": id})).await?;
        }
    }
    Ok(())
}

pub(crate) async fn service(f: &Fixture) -> Result<()> {
    let update = async |more: serde_json::Value| {
        let mut arguments = json!({"cluster": "shop", "service": "web"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        f.server.call("ecs_update_service", arguments).await
    };
    let dry = update(json!({"desired_count": 3, "task_definition": "web:2", "dry_run": true})).await?;
    ensure!(dry["previous_desired"] == 2 && dry["desired"] == 3 && dry["definition"] == "web:2", "{dry}");
    let now = f.server.call("ecs_describe_service", json!({"cluster": "shop", "service": "web"})).await?;
    ensure!(now["desired"] == 2 && now["definition"] == "web:1", "a dry run changed it: {now}");
    let done = update(json!({"desired_count": 3, "task_definition": "web:2"})).await?;
    ensure!(done["previous_desired"] == 2 && done["desired"] == 3, "{done}");
    ensure!(done["previous_definition"] == "web:1" && done["definition"] == "web:2", "{done}");
    for (wrong, told) in [
        (json!({"cluster": "shop", "service": "web"}), "found none"),
        (json!({"cluster": "shop", "service": "web", "desired_count": -1}), "0 to 5000"),
        (json!({"cluster": "shop", "service": "none", "desired_count": 1}), "not found"),
    ] {
        let error = f.server.fails("ecs_update_service", wrong).await?;
        ensure!(error.contains(told), "{error}");
    }
    Ok(())
}

pub(crate) async fn snapshot(f: &Fixture) -> Result<()> {
    let arguments = json!({"db_instance": "orders", "snapshot": "orders-second"});
    let mut dry = arguments.clone();
    dry["dry_run"] = json!(true);
    let told = f.server.call("rds_create_snapshot", dry).await?;
    ensure!(told["status"] == "none", "{told}");
    let listed = f.server.call("rds_list_snapshots", json!({})).await?.to_string();
    ensure!(!listed.contains("orders-second"), "a dry run took one: {listed}");
    let taken = f.server.call("rds_create_snapshot", arguments.clone()).await?;
    ensure!(["creating", "available"].contains(&taken["status"].as_str().unwrap()), "{taken}");
    ensure!(f.server.call("rds_list_snapshots", json!({})).await?.to_string().contains("orders-second"));
    let error = f.server.fails("rds_create_snapshot", arguments).await?;
    ensure!(error.contains("there is a snapshot \"orders-second\" already"), "{error}");
    for wrong in ["", "-a", "a--b", "a-", "a b", "1a"] {
        let error = f.server.fails("rds_create_snapshot", json!({"db_instance": "orders", "snapshot": wrong})).await?;
        ensure!(error.contains("snapshot: expected"), "{wrong:?}: {error}");
    }
    Ok(())
}

pub(crate) async fn object(f: &Fixture) -> Result<()> {
    let put = |text: &str| json!({"bucket": "shop-data", "key": "written/a.txt", "text": text});
    let mut dry = put("one");
    dry["dry_run"] = json!(true);
    ensure!(f.server.call("s3_put_object", dry).await?["message"].as_str().unwrap().starts_with("dry run"));
    let get = json!({"bucket": "shop-data", "key": "written/a.txt"});
    ensure!(f.server.fails("s3_get_object", get.clone()).await?.contains("not found"), "a dry run wrote it");
    let created = f.server.call("s3_put_object", put("one")).await?;
    ensure!(created["message"] == "created", "{created}");
    let error = f.server.fails("s3_put_object", put("two")).await?;
    ensure!(error.contains("already; to replace it, give if_match"), "{error}");
    let mut over = put("two");
    over["if_match"] = json!("\"00000000000000000000000000000000\"");
    let error = f.server.fails("s3_put_object", over.clone()).await?;
    ensure!(error.contains("has changed"), "{error}");
    over["if_match"] = created["etag"].clone();
    let replaced = f.server.call("s3_put_object", over).await?;
    ensure!(replaced["message"] == "replaced" && replaced["previous_etag"] == created["etag"], "{replaced}");
    ensure!(f.server.call("s3_get_object", get).await?["text"] == "two");
    Ok(())
}

pub(crate) async fn recorded(f: &Fixture) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let server = server_to(f.ministack.url(), f.moto.url(), ROOT, &[], file.reopen()?).await?;
    let object = |key: &str| json!({"bucket": "shop-data", "key": key});
    let name = "recorded/ä b+c.txt";
    let mut put = object(name);
    put["text"] = json!("one");
    server.call("s3_put_object", put).await?;
    server.call("s3_get_object", object(name)).await?;
    server.fails("s3_get_object", object("postgres://app:hunter2@db/orders")).await?;
    let records = eventually("three calls are recorded, one of them twice", SOON, async || {
        let text = std::fs::read_to_string(file.path())?;
        let records: Vec<Value> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
        Ok(if records.len() == 4 { Ok(records) } else { Err(text) })
    })
    .await?;
    let key = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let asked = |record: &Value| (key(&record["event"]), key(&record["arguments"]["key"]));
    let told: Vec<_> = records.iter().map(asked).collect();
    let expected = [("intended", name), ("done", "none"), ("done", name), ("done", "[redacted]")];
    let same = told.iter().map(|(event, key)| (event.as_str(), key.as_str()));
    ensure!(same.eq(expected), "{records:?}");
    // Of a list, the key is a prefix; every other request names the object.
    let requests = records.iter().flat_map(|record| record["aws"].as_array().cloned().unwrap_or_default());
    let sent: Vec<_> = requests
        .filter(|call| call["operation"] != "ListObjectsV2")
        .map(|call| (key(&call["operation"]), call["parameters"].clone()))
        .collect();
    ensure!(sent.iter().all(|(_, parameters)| parameters["Bucket"] == "shop-data"), "{sent:?}");
    let keys: Vec<_> =
        sent.iter().map(|(operation, parameters)| (operation.as_str(), key(&parameters["Key"]))).collect();
    let object = name.to_owned();
    let redacted = "[redacted]".to_owned();
    ensure!(keys == [("PutObject", object.clone()), ("GetObject", object), ("GetObject", redacted)], "{sent:?}");
    let text = std::fs::read_to_string(file.path())?;
    ensure!(!text.contains("hunter2") && !text.contains("%20"), "{text}");
    Ok(())
}

pub(crate) async fn function(f: &Fixture) -> Result<()> {
    let dry = f.server.call("lambda_invoke", json!({"function": "echo", "dry_run": true})).await?;
    ensure!(dry["status"] == 204, "{dry}");
    let answer = f.server.call("lambda_invoke", json!({"function": "echo", "payload": {"n": 7}})).await?;
    ensure!(answer["status"] == 200 && answer["payload"] == json!({"got": {"n": 7}}), "{answer}");
    let taken = f.server.call("lambda_invoke", json!({"function": "echo", "asynchronous": true})).await?;
    ensure!(taken["status"] == 202, "{taken}");
    let error = f.server.fails("lambda_invoke", json!({"function": "none"})).await?;
    ensure!(error.contains("not found"), "{error}");
    Ok(())
}

pub(crate) async fn model(f: &Fixture) -> Result<()> {
    let said = f.server.call("bedrock_converse", json!({"model": MODEL, "prompt": "Say hello."})).await?;
    ensure!(!said["text"].as_str().unwrap().is_empty() && said["output_tokens"].is_number(), "{said}");
    let error = f.server.fails("bedrock_converse", json!({"model": "anthropic.claude-v2", "prompt": "x"})).await?;
    ensure!(error.contains(&format!("expected one of {MODEL}")), "{error}");
    let error = f.server.fails("bedrock_converse", json!({"model": MODEL, "prompt": "x", "max_tokens": 101})).await?;
    ensure!(error.contains("1 to 100"), "{error}");
    Ok(())
}
