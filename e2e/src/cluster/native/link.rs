//! The cable between the host and a node: a veth pair and two routes, so that tests reach services and pods.
//!
//! In: a slot and the node's first process. Out: an interface and routes of the host, all of which go when the
//! interface goes. The host's packet filter and settings are not touched.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cluster::slot::Slot;

/// The name of the node's end.
const NODE_INTERFACE: &str = "uplink";

/// Lays the cable and the routes. The interface carries `owner`, the cluster's directory, as its alias.
pub(super) fn connect(slot: Slot, node: i32, owner: &Path) -> Result<()> {
    let (host, node_address) = (slot.link_host().to_string(), slot.link_node().to_string());
    let (interface, pid) = (slot.host_interface(), node.to_string());
    let cidr = |address: &str| format!("{address}/30");
    ip(&["link", "add", &interface, "type", "veth", "peer", "name", NODE_INTERFACE, "netns", &pid])?;
    ip(&["link", "set", "dev", &interface, "alias", &owner.to_string_lossy()])?;
    ip(&["addr", "add", &cidr(&host), "dev", &interface])?;
    ip(&["link", "set", &interface, "up"])?;
    ip_in(&pid, &["addr", "add", &cidr(&node_address), "dev", NODE_INTERFACE])?;
    ip_in(&pid, &["link", "set", NODE_INTERFACE, "up"])?;
    ip_in(&pid, &["route", "add", "default", "via", &host])?;
    for range in [slot.services(), slot.pods()] {
        ip(&["route", "add", &range, "via", &node_address, "dev", &interface])
            .with_context(|| format!("the host already has a route to {range}, which this cluster needs for itself"))?;
    }
    Ok(())
}

/// True while the host's end exists.
pub(super) fn exists(slot: Slot) -> bool {
    Path::new("/sys/class/net").join(slot.host_interface()).exists()
}

/// Takes the cable away if it is `owner`'s; the routes go with it. Fine when there is none.
pub(super) fn disconnect(slot: Slot, owner: &Path) -> Result<()> {
    let alias = Path::new("/sys/class/net").join(slot.host_interface()).join("ifalias");
    match std::fs::read_to_string(alias) {
        Ok(alias) if Path::new(alias.trim()) == owner => {}
        _ => return Ok(()),
    }
    match ip(&["link", "del", &slot.host_interface()]) {
        // The kernel removes it by itself when the node's namespace goes, maybe in this very moment.
        Err(error) if exists(slot) => Err(error),
        _ => Ok(()),
    }
}

fn ip_in(pid: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.args(["--target", pid, "--net", "ip"]).args(arguments);
    run(command)
}

fn ip(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    run(command)
}

fn run(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
