//! Every tool that reads.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use mcp_e2e::ministack::{ACCOUNT, REGION};
use serde_json::{Value, json};

use crate::fixture::{Fixture, MODEL};

/// One field of every item.
fn each(listing: &Value, field: &str) -> Vec<String> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

pub(crate) async fn identity(f: &Fixture) -> Result<()> {
    let found = f.server.call("aws_whoami", json!({})).await?;
    ensure!(found["account"] == ACCOUNT && found["region"] == REGION && found["aliases"] == json!([]), "{found}");
    let regions = f.server.call("aws_list_regions", json!({})).await?;
    let regions = regions["regions"].as_array().unwrap();
    ensure!(regions.contains(&json!(REGION)) && regions.contains(&json!("eu-west-1")), "{regions:?}");
    Ok(())
}

pub(crate) async fn instances(f: &Fixture) -> Result<()> {
    let list = async |arguments: Value| f.server.call("ec2_list_instances", arguments).await;
    let ids = |listing: &Value| each(listing, "instance_id").into_iter().collect::<BTreeSet<_>>();
    let set = |names: &[&str]| names.iter().map(|name| f.id(name).to_owned()).collect::<BTreeSet<_>>();
    ensure!(ids(&list(json!({})).await?) == set(&["running", "stopped"]));
    ensure!(ids(&list(json!({"state": "stopped"})).await?) == set(&["stopped"]));
    ensure!(ids(&list(json!({"tags": {"team": "blue"}})).await?) == set(&["running"]));
    ensure!(ids(&list(json!({"tags": {"team": "blue"}, "state": "stopped"})).await?).is_empty());
    ensure!(ids(&list(json!({"region": "eu-west-1"})).await?) == set(&["elsewhere"]));
    let everywhere = list(json!({"region": "all", "tags": {"team": "blue"}})).await?;
    ensure!(ids(&everywhere) == set(&["running", "elsewhere"]), "{everywhere}");
    ensure!(each(&everywhere, "region") == ["eu-west-1", REGION], "{everywhere}");
    let found = f.server.call("ec2_describe_instance", json!({"instance_id": f.id("running")})).await?;
    ensure!(found["state"] == "running" && found["name"] == "web-1" && found["type"] == "t3.micro", "{found}");
    let error = f.server.fails("ec2_describe_instance", json!({"instance_id": "i-00000000000000000"})).await?;
    ensure!(error.contains("not found in us-west-2") && error.contains("ec2_list_instances names them"), "{error}");
    Ok(())
}

pub(crate) async fn containers(f: &Fixture) -> Result<()> {
    let clusters = f.server.call("ecs_list_clusters", json!({"region": "all"})).await?;
    ensure!(each(&clusters, "name") == ["shop"] && each(&clusters, "region") == [REGION], "{clusters}");
    let cluster = f.server.call("ecs_describe_cluster", json!({"cluster": "shop"})).await?;
    ensure!(cluster["status"] == "ACTIVE" && cluster["services"] == 1, "{cluster}");
    let services = f.server.call("ecs_list_services", json!({"cluster": "shop"})).await?;
    ensure!(each(&services, "name") == ["web"] && services["items"][0]["desired"] == 2, "{services}");
    let service = f.server.call("ecs_describe_service", json!({"cluster": "shop", "service": "web"})).await?;
    ensure!(service["definition"] == "web:1" && service["deployments"][0]["status"] == "PRIMARY", "{service}");
    let tasks = f.server.call("ecs_list_tasks", json!({"cluster": "shop"})).await?;
    ensure!(each(&tasks, "definition").contains(&"web:1".to_owned()), "{tasks}");
    let definition = f.server.call("ecs_describe_task_definition", json!({"task_definition": "web:2"})).await?;
    ensure!(definition["revision"] == 2 && definition["containers"][0]["image"] == "nginx:1.28", "{definition}");
    ensure!(definition["containers"][0]["environment"] == json!(["PASSWORD"]), "{definition}");
    ensure!(!definition.to_string().contains("hunter2"), "{definition}");
    ensure!(definition["containers"][0]["log_group"] == "/shop/web", "{definition}");
    for (tool, arguments) in [
        ("ecs_describe_cluster", json!({"cluster": "none"})),
        ("ecs_describe_service", json!({"cluster": "shop", "service": "none"})),
    ] {
        let error = f.server.fails(tool, arguments).await?;
        ensure!(error.contains("not found in us-west-2"), "{error}");
    }
    Ok(())
}

pub(crate) async fn databases(f: &Fixture) -> Result<()> {
    let list = async |arguments: Value| {
        anyhow::Ok(each(&f.server.call("rds_list_db_instances", arguments).await?, "db_instance"))
    };
    ensure!(list(json!({})).await? == ["orders", "plain"]);
    ensure!(list(json!({"status": "available", "tags": {"team": "blue"}})).await? == ["orders"]);
    ensure!(
        list(json!({"status": "stopped"})).await?.is_empty() && list(json!({"tags": {"team": "x"}})).await?.is_empty()
    );
    let database = f.server.call("rds_describe_db_instance", json!({"db_instance": "orders"})).await?;
    ensure!(database["engine"] == "postgres" && database["storage_gib"] == 20, "{database}");
    ensure!(!database.to_string().contains("hunter2"), "{database}");
    let error = f.server.fails("rds_describe_db_instance", json!({"db_instance": "none"})).await?;
    ensure!(error.contains("not found in us-west-2: database \"none\""), "{error}");
    let snapshots = f.server.call("rds_list_snapshots", json!({"db_instance": "orders"})).await?;
    ensure!(each(&snapshots, "snapshot").contains(&"orders-first".to_owned()), "{snapshots}");
    Ok(())
}

pub(crate) async fn performance(f: &Fixture) -> Result<()> {
    let load = f.server.call("rds_get_performance", json!({"db_instance": "orders"})).await?;
    ensure!(load["unit"] == "average active sessions" && load["period_seconds"] == 60, "{load}");
    let series: Vec<(&str, f64, f64)> = load["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let number = |name: &str| one[name].as_f64().unwrap();
            (one["group"].as_str().unwrap(), number("average"), number("peak"))
        })
        .collect();
    let (cpu, io) = (("db.wait_event.name=CPU", 1.5, 1.5), ("db.wait_event.name=IO", 0.5, 0.5));
    ensure!(series == [("total", 2.0, 2.0), cpu, io], "{load}");
    let points = |load: &Value| load["series"][0]["points"].as_array().unwrap().len();
    // Both ends are rounded outwards, as AWS does.
    ensure!((60..=62).contains(&points(&load)), "{load}");
    let asked = json!({"db_instance": "orders", "group_by": "db.user", "start": "1d"});
    let load = f.server.call("rds_get_performance", asked).await?;
    ensure!(load["period_seconds"] == 3600 && load["series"][1]["group"] == "db.user.name=CPU", "{load}");
    ensure!((24..=26).contains(&points(&load)), "{load}");
    for (wrong, told) in [
        (json!({"db_instance": "orders", "group_by": "db.password"}), "group_by: expected db.wait_event"),
        (json!({"db_instance": "none"}), "not found in us-west-2: database \"none\""),
        (json!({"db_instance": "plain"}), "Performance Insights is off for plain"),
    ] {
        let error = f.server.fails("rds_get_performance", wrong).await?;
        ensure!(error.contains(told), "{error}");
    }
    Ok(())
}

pub(crate) async fn metrics(f: &Fixture) -> Result<()> {
    let arguments =
        json!({"namespace": "Shop", "metric": "Errors", "dimensions": {"Service": "web"}, "statistic": "Sum"});
    let measured = f.server.call("cloudwatch_get_metric_statistics", arguments).await?;
    let points = measured["points"].as_array().unwrap();
    let sum: f64 = points.iter().map(|point| point["value"].as_f64().unwrap()).sum();
    ensure!((sum - 30.0).abs() < 1e-9 && measured["unit"] == "Count", "{measured}");
    ensure!(points.is_sorted_by_key(|point| point["at"].as_str().unwrap().to_owned()), "{measured}");
    let wrong = json!({"namespace": "Shop", "metric": "Errors", "start": "30d", "period_seconds": 60});
    let error = f.server.fails("cloudwatch_get_metric_statistics", wrong).await?;
    ensure!(error.contains("a multiple of 60 from"), "{error}");
    let metrics = f.server.call("cloudwatch_list_metrics", json!({"namespace": "Shop"})).await?;
    ensure!(metrics["items"][0]["dimensions"] == json!({"Service": "web"}), "{metrics}");
    let alarms = f.server.call("cloudwatch_list_alarms", json!({"region": "all", "state": "ALARM"})).await?;
    ensure!(each(&alarms, "name") == ["web-errors"], "{alarms}");
    ensure!(each(&f.server.call("cloudwatch_list_alarms", json!({"prefix": "db-"})).await?, "name").is_empty());
    let alarm = f.server.call("cloudwatch_describe_alarm", json!({"alarm": "web-errors"})).await?;
    ensure!(alarm["state"] == "ALARM" && alarm["threshold"] == 1.0 && alarm["statistic"] == "Sum", "{alarm}");
    let dashboard = f.server.call("cloudwatch_get_dashboard", json!({"dashboard": "shop"})).await?;
    ensure!(dashboard["body"]["widgets"][0]["properties"]["markdown"] == "hello", "{dashboard}");
    ensure!(f.server.fails("cloudwatch_describe_alarm", json!({"alarm": "none"})).await?.contains("not found"));
    ensure!(f.server.fails("cloudwatch_get_dashboard", json!({"dashboard": "none"})).await?.contains("not found"));
    Ok(())
}

pub(crate) async fn logs(f: &Fixture) -> Result<()> {
    let query = "fields @timestamp, @message | filter @message like /ERROR/";
    let found = f.server.call("logs_query", json!({"log_groups": ["/shop/web"], "query": query})).await?;
    let rows = found["rows"].as_array().unwrap();
    ensure!(rows.iter().any(|row| row["@message"] == "ERROR line 1"), "{found}");
    ensure!(rows.iter().all(|row| row.get("@ptr").is_none()), "{found}");
    let error = f.server.fails("logs_query", json!({"log_groups": ["/none"], "query": query})).await?;
    ensure!(error.contains("not found"), "{error}");
    ensure!(f.server.fails("logs_query", json!({"log_groups": [], "query": query})).await?.contains("1 to 20 names"));
    Ok(())
}

pub(crate) async fn costs(f: &Fixture) -> Result<()> {
    let found = f.server.call("cost_get_usage", json!({"start": "2026-11-01", "end": "2026-12-01"})).await?;
    let groups = &found["periods"][0]["groups"];
    ensure!(
        groups[0] == json!({"name": "Amazon Elastic Compute Cloud - Compute", "amount": "12.5", "unit": "USD"}),
        "{found}"
    );
    ensure!(groups[1]["amount"] == "7.25" && found["periods"][0]["estimated"] == true, "{found}");
    for wrong in [
        json!({"start": "2026-11-31"}),
        json!({"start": "2026-12-01", "end": "2026-11-01"}),
        json!({"granularity": "HOURLY"}),
    ] {
        let error = f.server.fails("cost_get_usage", wrong).await?;
        ensure!(error.contains("expected"), "{error}");
    }
    Ok(())
}

pub(crate) async fn objects(f: &Fixture) -> Result<()> {
    let buckets = f.server.call("s3_list_buckets", json!({})).await?;
    ensure!(each(&buckets, "bucket").contains(&"shop-data".to_owned()), "{buckets}");
    let (mut keys, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let mut arguments = json!({"bucket": "shop-data", "prefix": "many/"});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let listing = f.server.call("s3_list_objects", arguments).await?;
        keys.extend(each(&listing, "key"));
        pages += 1;
        cursor = listing["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    ensure!(keys.len() == 60 && keys.is_sorted() && pages == 2, "{pages} pages: {keys:?}");
    let top = f.server.call("s3_list_objects", json!({"bucket": "shop-data", "delimiter": "/"})).await?;
    ensure!(each(&top, "key") == ["many/", "notes/"], "{top}");
    let read = async |key: &str, offset: Value| {
        f.server.call("s3_get_object", json!({"bucket": "shop-data", "key": key, "offset": offset})).await
    };
    let text = read("notes/hello.txt", json!(0)).await?;
    ensure!(text["text"] == "hello, wörld\n" && text["size"] == 14 && text.get("next_offset").is_none(), "{text}");
    ensure!(read("notes/raw.bin", json!(0)).await?["base64"].as_str().unwrap().starts_with("AAEC"));
    ensure!(read("many/000", json!(0)).await?["text"] == "");
    let (mut joined, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let part = read("notes/long.txt", offset).await?;
        joined.push_str(part["text"].as_str().unwrap());
        offset = part["next_offset"].clone();
    }
    ensure!(joined == "é".repeat(30_000), "{} bytes", joined.len());
    for (tool, arguments) in [
        ("s3_get_object", json!({"bucket": "shop-data", "key": "none"})),
        ("s3_list_objects", json!({"bucket": "no-such-bucket-here"})),
    ] {
        let error = f.server.fails(tool, arguments).await?;
        ensure!(error.contains("not found"), "{error}");
    }
    let error = f.server.fails("s3_list_objects", json!({"bucket": "shop-data", "cursor": "nonsense"})).await?;
    ensure!(error.contains("next_cursor"), "{error}");
    Ok(())
}

pub(crate) async fn others(f: &Fixture) -> Result<()> {
    let clusters = f.server.call("eks_list_clusters", json!({"region": "all"})).await?;
    ensure!(each(&clusters, "name") == ["base"] && each(&clusters, "version") == ["1.35"], "{clusters}");
    let functions = f.server.call("lambda_list_functions", json!({})).await?;
    ensure!(each(&functions, "function") == ["echo"] && each(&functions, "runtime") == ["python3.11"], "{functions}");
    let (mut numbers, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let condition = "customer = :c AND #n >= :n";
        let mut arguments = json!({"table": "orders", "key_condition": condition, "values": {":c": "ann", ":n": 5}, "names": {"#n": "number"}});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let listing = f.server.call("dynamodb_query", arguments).await?;
        for item in listing["items"].as_array().unwrap() {
            ensure!(
                item["big"] == "9007199254740993" && item["lines"] == json!([{"sku": "a-1", "count": 2}]),
                "{item}"
            );
            numbers.push(item["number"].as_i64().unwrap());
        }
        cursor = listing["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    ensure!(numbers == (5..120).collect::<Vec<_>>(), "{numbers:?}");
    let error = f
        .server
        .fails("dynamodb_query", json!({"table": "none", "key_condition": "a = :a", "values": {":a": 1}}))
        .await?;
    ensure!(error.contains("not found"), "{error}");
    let models = f.server.call("bedrock_list_models", json!({"provider": "amazon"})).await?;
    let found = models["models"].as_array().unwrap().iter().find(|model| model["model"] == MODEL);
    ensure!(found.is_some_and(|model| model["callable"] == true), "{models}");
    Ok(())
}
