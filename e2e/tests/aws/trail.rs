//! The audit in CloudWatch Logs: the Custom server's, whose tools show whether they were called, since one stores what another
//! reads. MiniStack enforces policies.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use mcp_e2e::{
    ministack::{Emulator, Kind, REGION},
    suite::{eventually, server::Server},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    fixture::{Fixture, ROOT, binary},
    front::Front,
    permissions::User,
};

/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);
const GROUP: &str = "/mcp-eks/audit";

/// Does something with CloudWatch Logs through botocore; its output.
async fn logs(ministack: &Emulator, script: &str) -> Result<String> {
    let client = "import botocore.session, sys\n\
                  logs = botocore.session.get_session().create_client('logs', region_name='us-west-2', \
                  endpoint_url=sys.argv[1], aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])\n\
                  group = sys.argv[4]\n";
    let mut command = Command::new(ministack.python());
    command.args(["-c", &format!("{client}{script}"), ministack.url(), ROOT.0, ROOT.1, GROUP]);
    let output = command.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// All messages of the group's streams, each stream in its order.
async fn messages(ministack: &Emulator) -> Result<String> {
    let script = "for stream in logs.describe_log_streams(logGroupName=group)['logStreams']:\n    \
                  of = dict(logGroupName=group, logStreamName=stream['logStreamName'], startFromHead=True)\n    \
                  token = None\n    \
                  while True:\n        \
                  page = logs.get_log_events(**of, **({'nextToken': token} if token else {}))\n        \
                  for event in page['events']:\n            print(event['message'])\n        \
                  if not page['events'] or page['nextForwardToken'] == token:\n            break\n        \
                  token = page['nextForwardToken']\n";
    logs(ministack, script).await
}

fn set(value: &str) -> Value {
    json!({"key": "state", "value": value})
}

/// What is stored under the key of this test. Fails when the read fails.
async fn state(server: &Server) -> Result<String> {
    let read = server.call("kv_get", json!({"key": "state"})).await?;
    Ok(read["value"].as_str().unwrap_or_default().to_owned())
}

async fn changes(server: &Server, value: &str) -> Result<()> {
    eventually("changes are taken", SOON, async || {
        let answer = server.result("kv_set", set(value)).await?;
        Ok(if answer["isError"] == false { Ok(()) } else { Err(answer.to_string()) })
    })
    .await?;
    ensure!(state(server).await? == value);
    ensure!(server.metrics().await?.contains("mcp_audit_failing{sink=\"cloudwatch-logs\"} 0"));
    Ok(())
}

async fn refuses(server: &Server, before: &str) -> Result<()> {
    eventually("changes are refused", SOON, async || {
        let answer = server.result("kv_set", set("meanwhile")).await?;
        let told = answer["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        let refused = answer["isError"] == true && told.contains("kv_set was not called and nothing was changed");
        Ok(if refused { Ok(()) } else { Err(told) })
    })
    .await?;
    ensure!(state(server).await? == before, "the tool was called all the same");
    ensure!(server.metrics().await?.contains("mcp_audit_failing{sink=\"cloudwatch-logs\"} 1"));
    Ok(())
}

async fn logged(server: &Server, said: &str) -> Result<()> {
    let look = async || Ok(if server.log().contains(said) { Ok(()) } else { Err(server.log()) });
    eventually("the log says why", SOON, look).await
}

pub(crate) async fn kept(f: &Fixture) -> Result<()> {
    let ministack = Emulator::start(&f.cache, Kind::MiniStack { enforce: true }).await?;
    let mut user = User::create(&ministack, "mcp").await?;
    let front = Front::of(&ministack, None).await?;
    let (group, custom) = (format!("--audit-log-group={GROUP}"), binary().with_file_name("mcp-custom"));
    let arguments = ["--weather=off", "--writes=allow", "--audit=cloudwatch-logs", "--audit-required=true", &group];
    let environment = [
        ("AWS_ENDPOINT_URL", front.url.as_str()),
        ("AWS_ACCESS_KEY_ID", &user.key),
        ("AWS_SECRET_ACCESS_KEY", &user.secret),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let server = Server::start(&custom, &arguments, &environment).await?;

    // Nothing is allowed, and nothing there.
    refuses(&server, "").await?;
    logged(&server, "logs:CreateLogStream on log group /mcp-eks/audit is not allowed to this server's role").await?;
    let may = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        // The second is what AWS asks for, the first what MiniStack does.
        "Resource": [format!("arn:aws:logs:*:*:log-group:{GROUP}"), format!("arn:aws:logs:*:*:log-group:{GROUP}:*")],
    }]});
    user.may(&may).await?;
    logged(&server, "log group /mcp-eks/audit is not there").await?;
    logs(&ministack, "logs.create_log_group(logGroupName=group)").await?;
    changes(&server, "one").await?;

    front.away(true);
    refuses(&server, "one").await?;
    front.away(false);
    changes(&server, "two").await?;

    let text = eventually("every change and refusal is an event", SOON, async || {
        let text = messages(&ministack).await?;
        let records: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let count = |event: &str, result: Option<&str>| {
            let is =
                |record: &&Value| record["event"] == event && result.is_none_or(|result| record["result"] == result);
            records.iter().filter(is).count()
        };
        let all = count("intended", None) >= 2
            && count("done", Some("ok")) == 2
            && count("refused", Some("audit_unavailable")) >= 2;
        Ok(if all { Ok(text) } else { Err(text) })
    })
    .await?;
    ensure!(!text.contains("kv_get"), "reads are for stdout: {text}");

    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &text)?;
    let verify = async || {
        let output =
            Command::new(&custom).args(["verify-audit", "--file"]).arg(file.path()).stdin(Stdio::null()).output();
        let output = output.await?;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    let (code, said) = verify().await?;
    ensure!(code == Some(0) && said.contains("all links hold") && !said.contains("were lost"), "{code:?} {said}");
    // One event less, and it is named.
    let without: Vec<&str> = text.lines().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect();
    std::fs::write(file.path(), without.join("\n"))?;
    let (code, said) = verify().await?;
    ensure!(code == Some(1) && said.contains("record 1 is missing"), "{code:?} {said}");
    let chain = serde_json::from_str::<Value>(text.lines().next().context("no event")?)?["chain"].clone();
    ensure!(chain.as_str().is_some_and(|chain| chain.ends_with(".cloudwatch-logs")), "{chain}");
    Ok(())
}
