//! Who is compared: how each is started, and what it is asked.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::Result;

use crate::{Options, question::Question};

/// One row of the comparison.
pub(crate) struct Server {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) question: Question,
    command: Box<dyn Fn(u16) -> Command>,
}

impl Server {
    /// The command for a port of loopback.
    pub(crate) fn command(&self, port: u16) -> Command {
        (self.command)(port)
    }
}

/// The handler everything is compared with.
pub(crate) const BARE: &str = "axum";
/// The kit as it ships, asked like all others.
pub(crate) const KIT: &str = "kit";
/// The SDKs.
pub(crate) const PYTHON_V1: &str = "python-v1";
pub(crate) const PYTHON_V2: &str = "python-v2";
pub(crate) const TYPESCRIPT_V2: &str = "typescript-v2";

/// All rows, in the order they are measured in each round.
pub(crate) fn all(options: &Options) -> Result<Vec<Server>> {
    let kit = || options.bin_dir.join("mcp-fixtures");
    let peer = |path: &str| options.root.join("e2e/bench").join(path);
    let own = std::env::current_exe()?;
    let mut servers = Vec::new();
    let mut add = |key, title, question, command: Box<dyn Fn(u16) -> Command>| {
        servers.push(Server { key, title, question, command });
    };
    let bare = move |port: u16| with(&own, &["bare", &port.to_string()]);
    add(BARE, "bare axum handler", Question::echo()?, Box::new(bare));
    let (plain, modern, by_rmcp) = (kit(), kit(), kit());
    add(KIT, "this kit", Question::echo()?, Box::new(move |port| kit_command(&plain, port, &[])));
    let command = move |port| kit_command(&modern, port, &[]);
    add("kit-modern", "this kit, 2026-07-28", Question::modern_echo()?, Box::new(command));
    let command = move |port| kit_command(&by_rmcp, port, &["--no-direct-path"]);
    add("kit-rmcp", "this kit without the direct way", Question::echo()?, Box::new(command));
    let (python, script) = (options.python_v2.clone(), peer("python/v2.py"));
    let command = move |port: u16| with(&python, &[&script.to_string_lossy(), &port.to_string()]);
    add(PYTHON_V2, "Python SDK 2", Question::echo()?, Box::new(command));
    let (python, script) = (options.python_v1.clone(), peer("python/v1.py"));
    let command = move |port: u16| with(&python, &[&script.to_string_lossy(), &port.to_string()]);
    add(PYTHON_V1, "Python SDK 1", Question::echo()?, Box::new(command));
    let (node, script, modules) = (options.node.clone(), peer("typescript/server.cjs"), options.modules.clone());
    let command = move |port: u16| {
        let mut command = with(&node, &[&script.to_string_lossy(), &port.to_string()]);
        command.env("NODE_PATH", &modules);
        command
    };
    add(TYPESCRIPT_V2, "TypeScript SDK 2", Question::echo()?, Box::new(command));
    Ok(servers)
}

/// A server of the kit as it ships: every gate, limit, counter and record that is on by default.
pub(crate) fn kit_command(binary: &Path, port: u16, more: &[&str]) -> Command {
    let mut command = with(binary, &[&format!("--listen=127.0.0.1:{port}"), "--health-listen=127.0.0.1:0"]);
    command.args(more);
    command
}

/// The AWS server as it ships, with this address in place of AWS and nothing of our own environment.
pub(crate) fn aws_command(binary: &Path, port: u16, aws: SocketAddr) -> Command {
    let mut command = kit_command(binary, port, &["--region=us-west-2"]);
    command.env_clear().env("AWS_ENDPOINT_URL", format!("http://{aws}")).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "bench").env("AWS_SECRET_ACCESS_KEY", "bench");
    command
}

fn with(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}
