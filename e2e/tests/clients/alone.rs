//! A person at a terminal: the first command of a server's `--help`, and the configuration it prints.
//!
//! The ports are free ones in place of 8080 and 9090, which may be taken here; all else is as it is written there.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use mcp_e2e::suite::clients::{Client, Target};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{Fixture, judge, path};

/// Time for what takes milliseconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

pub(crate) async fn starts(f: &Fixture) -> Result<()> {
    let home = tempfile::tempdir()?;
    for name in ["docs", "src", ".aws"] {
        std::fs::create_dir(home.path().join(name))?;
    }
    std::fs::write(home.path().join("docs/hello.txt"), "hello")?;
    // What a person has whose profile is called as the example says.
    let profile = format!("[profile dev]\nendpoint_url = {}\n", f.ministack.url());
    std::fs::write(home.path().join(".aws/config"), profile)?;
    std::fs::write(
        home.path().join(".aws/credentials"),
        "[dev]\naws_access_key_id = test\naws_secret_access_key = test\n",
    )?;
    for (row, _) in f.servers.iter().filter(|(row, _)| row.binary != "mcp-demo") {
        let help = Command::new(path(row.binary)).arg("--help").output().await?;
        let help = String::from_utf8(help.stdout)?;
        for default in ["127.0.0.1:8080", "127.0.0.1:9090"] {
            ensure!(help.contains(default), "{}: {default} is no default: {help}", row.binary);
        }
        let mut lines = help.lines().skip_while(|line| *line != "Examples:").skip(2);
        let command = lines.next().context("no example")?.trim().to_owned();
        ensure!(command.contains(row.binary), "{}: the first example is {command:?}", row.binary);
        let (_server, printed) = at_a_terminal(&command, home.path()).await.with_context(|| command.clone())?;
        let configuration: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
        let short = row.binary.trim_start_matches("mcp-");
        let entry = &configuration["mcpServers"][short];
        let url = entry["url"].as_str().with_context(|| format!("no URL for {short}: {printed}"))?;
        ensure!(entry["type"] == "http" && url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp"), "{printed}");
        let answer = f.clients.run(Client::PythonV2, &row.call, &Target::Http(url.to_owned())).await?;
        judge(row, &answer, Client::PythonV2.revision()).with_context(|| format!("{command}: {answer}"))?;
    }
    Ok(())
}

/// Runs a command as typed, at a terminal that script(1) makes; it ends with what is given back, with the terminal. And the line
/// with the configuration.
async fn at_a_terminal(command: &str, home: &Path) -> Result<(Child, String)> {
    let binaries = path("").display().to_string();
    let typed = format!("{command} --listen 127.0.0.1:0 --health-listen 127.0.0.1:0");
    let mut process = Command::new("script")
        .args(["--quiet", "--return", "--command", &typed, "/dev/null"])
        .current_dir(home)
        .env_clear()
        .env("PATH", format!("{binaries}:/usr/bin:/bin"))
        .env("HOME", home)
        .env("SHELL", "/bin/sh")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start script(1), of Debian's bsdutils")?;
    let mut lines = BufReader::new(process.stdout.take().context("no stdout")?).lines();
    let mut said = String::new();
    let printed = timeout(SOON, async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("mcpServers") {
                return anyhow::Ok(Some(line.trim().to_owned()));
            }
            said.push_str(&line);
            said.push('\n');
        }
        Ok(None)
    });
    let Some(printed) = printed.await.context("no configuration was printed")?? else {
        bail!("it ended without a configuration:\n{said}");
    };
    // Whoever writes to a terminal that nobody reads waits.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((process, printed))
}
