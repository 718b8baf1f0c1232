//! The tools as clients see them, what they cost a model, and the page that documents them.
//!
//! `UPDATE_FILES=1 cargo test -p mcp-e2e --test aws` writes the snapshot and the page anew.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context, Result, ensure};
use mcp_aws_policy::{Kind, On, Settings, TOOLS};
use mcp_e2e::{install::repository, ministack::REGION, suite::server::Server};
use serde_json::{Value, json};

use crate::fixture::{Fixture, binary};

const MODEL_TOKENS: usize = 2500;

/// What a client gives a model of a tool, in tokens of four bytes: output schemas and hints are the client's own.
fn for_a_model<'a>(tools: impl Iterator<Item = &'a Value>) -> usize {
    let one = |tool: &Value| {
        json!({"name": tool["name"], "description": tool["description"], "input_schema": tool["inputSchema"]})
            .to_string()
            .len()
    };
    tools.map(one).sum::<usize>() / 4
}

/// The text is that of the file; or the file is made so, if that is asked for.
fn same(path: &Path, text: &str) -> Result<()> {
    if std::env::var_os("UPDATE_FILES").is_some() {
        return std::fs::write(path, text).with_context(|| format!("write {}", path.display()));
    }
    let found = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    ensure!(found == text, "{} is stale: UPDATE_FILES=1 cargo test -p mcp-e2e --test aws", path.display());
    Ok(())
}

pub(crate) async fn stable(f: &Fixture) -> Result<()> {
    let environment = [("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
    let tools = Server::start(&binary(), &[], &environment).await?.tools().await?;
    let reads: Vec<&str> = TOOLS.iter().filter(|tool| tool.kind == Kind::Read).map(|tool| tool.name).collect();
    ensure!(tools.keys().map(String::as_str).eq(reads.iter().copied()), "{:?}", tools.keys());
    let tokens = for_a_model(tools.values());
    let whole = tools.values().map(|tool| tool.to_string().len()).sum::<usize>() / 4;
    println!("{} tools by default: a model reads {tokens} tokens, a client {whole}", tools.len());
    ensure!(tokens <= MODEL_TOKENS, "a model reads {tokens} tokens of the default tools");
    let all = f.server.tools().await?;
    println!("all {} tools: a model reads {} tokens", all.len(), for_a_model(all.values()));
    let text = serde_json::to_string_pretty(&sorted(&serde_json::to_value(&all)?))? + "\n";
    same(&repository().join("e2e/tests/aws/tools.json"), &text)
}

/// The tools that a server has are those for which the operator makes a session policy.
pub(crate) async fn chosen(_: &Fixture) -> Result<()> {
    let names = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
    let (free, some) =
        ("aws_whoami,s3_get_object,ec2_stop_instance", "aws_whoami,s3_get_object,ec2_stop_instance,bedrock_converse");
    let everything = Settings { writes: true, sensitive: true, models: true, ..Settings::default() };
    let cases: [(&[&str], Settings); 5] = [
        (&["--writes", "allow"], Settings { writes: true, ..Settings::default() }),
        (&["--allow-tools", free], Settings { allow: names(free), ..Settings::default() }),
        (
            &["--sensitive", "allow", "--deny-tools", "logs_query"],
            Settings { deny: names("logs_query"), sensitive: true, ..Settings::default() },
        ),
        (&["--sensitive", "allow", "--writes", "consent", "--bedrock-models", "a.b"], everything.clone()),
        (
            &["--writes", "allow", "--bedrock-models", "a.b", "--allow-tools", some, "--deny-tools", "aws_whoami"],
            Settings { allow: names(some), deny: names("aws_whoami"), sensitive: false, ..everything },
        ),
    ];
    for (flags, settings) in cases {
        let environment = [("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
        let tools = Server::start(&binary(), flags, &environment).await?.tools().await?;
        ensure!(tools.keys().map(String::as_str).eq(settings.tools()), "{flags:?}: {:?}", tools.keys());
    }
    Ok(())
}

/// The same JSON with sorted keys, however maps are ordered in this build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(name, value)| (name, sorted(value))).collect();
            ordered.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

pub(crate) async fn described(f: &Fixture) -> Result<()> {
    let tools = f.server.tools().await?;
    ensure!(tools.len() == TOOLS.len());
    for known in TOOLS {
        let tool = tools.get(known.name).with_context(|| format!("{} is not there", known.name))?;
        ensure!(tool["title"].is_string() && tool["outputSchema"]["type"] == "object", "{tool}");
        ensure!(tool["description"].as_str().is_some_and(|text| text.len() < 200), "{tool}");
        ensure!(tool["inputSchema"]["additionalProperties"] == false && !tool.to_string().contains("$ref"), "{tool}");
        let properties = &tool["inputSchema"]["properties"];
        ensure!(properties["region"]["type"] == "string" && properties["account"]["type"] == "string", "{tool}");
        let hints = &tool["annotations"];
        ensure!(hints["readOnlyHint"] == (known.kind != Kind::Write) && hints["openWorldHint"] == true, "{tool}");
        ensure!(hints["destructiveHint"].is_boolean() && hints["idempotentHint"].is_boolean(), "{tool}");
        let dry = properties["dry_run"]["type"] == "boolean";
        ensure!(dry == (known.kind == Kind::Write), "what writes has a dry run: {tool}");
    }
    for name in ["ec2_start_instance", "ec2_stop_instance"] {
        let required = tools[name]["outputSchema"]["required"].as_array().context("nothing is required")?;
        for field in ["instance_id", "previous_state", "current_state", "message"] {
            ensure!(required.contains(&json!(field)), "{required:?}");
        }
    }
    Ok(())
}

pub(crate) async fn prompts(f: &Fixture) -> Result<()> {
    let prompts = f.server.rpc("prompts/list", json!({})).await?["result"]["prompts"].clone();
    let names: Vec<&str> =
        prompts.as_array().context("no prompts")?.iter().filter_map(|one| one["name"].as_str()).collect();
    ensure!(names == ["idle_capacity_report", "investigate_alarm", "troubleshoot_ecs_service"], "{names:?}");
    for (name, arguments, part) in [
        ("idle_capacity_report", json!({}), "region \"all\""),
        ("investigate_alarm", json!({"alarm": "web-errors", "region": "eu-west-1"}), "Pass region=\"eu-west-1\""),
        (
            "troubleshoot_ecs_service",
            json!({"cluster": "c", "service": "s", "account": "staging"}),
            "account=\"staging\"",
        ),
    ] {
        let answer = f.server.rpc("prompts/get", json!({"name": name, "arguments": arguments})).await?;
        let text = answer["result"]["messages"][0]["content"]["text"].as_str().context("no text")?;
        ensure!(text.contains(part), "{name}: {text}");
        let prefixes = ["aws_", "ec2_", "ecs_", "rds_", "cloudwatch_", "cost_", "logs_"];
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        for word in words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))) {
            ensure!(mcp_aws_policy::tool(word).is_some(), "{name} names {word}, which is no tool");
        }
    }
    Ok(())
}

pub(crate) async fn documented(f: &Fixture) -> Result<()> {
    let tools = f.server.tools().await?;
    let mut table = String::from("| tool | | what it does | IAM actions |\n| --- | --- | --- | --- |\n");
    for known in TOOLS {
        let actions: Vec<String> = known.needs.iter().map(|access| format!("`{}`", access.action)).collect();
        let actions = if actions.is_empty() { "none needed".to_owned() } else { actions.join(", ") };
        let description = tools[known.name]["description"].as_str().context("no description")?;
        writeln!(table, "| `{}` | {} | {description} | {actions} |", known.name, known.kind.word())?;
    }
    let mut stars = BTreeMap::new();
    for access in TOOLS.iter().flat_map(|tool| tool.needs) {
        if let On::All(reason) = access.on {
            stars.insert(access.action, reason);
        }
    }
    let mut all = String::from("| action on `*` | why |\n| --- | --- |\n");
    for (action, reason) in stars {
        writeln!(all, "| `{action}` | {reason} |")?;
    }
    let path = repository().join("docs/servers/aws.md");
    let page = std::fs::read_to_string(&path)?;
    same(&path, &put(&put(&page, "tools", &table)?, "stars", &all)?)
}

/// The page with this between its marks.
fn put(page: &str, mark: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let (head, rest) = page.split_once(&begin).with_context(|| format!("no {begin}"))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("no {end}"))?;
    Ok(format!("{head}{begin}{text}{end}{tail}"))
}
