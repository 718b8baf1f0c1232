//! Published advisories about MCP servers and SDKs, replayed on the servers that ship: none succeeds.
//!
//! A row is the advisory's number, what the attacker did, and the requests that do the same here. Each replay looks at the
//! answer and at what it was after: files beside the root, rows, entries, sessions, connections are as they were.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::unused_async,
    reason = "a test"
)]

#[path = "advisories/door.rs"]
mod door;
#[path = "advisories/messages.rs"]
mod messages;
#[path = "advisories/outside.rs"]
mod outside;
#[path = "advisories/paths.rs"]
mod paths;
#[path = "advisories/sessions.rs"]
mod sessions;
#[allow(dead_code, reason = "what another suite does with the shop")]
mod shop;
#[path = "advisories/sql.rs"]
mod sql;
#[path = "../../mcp-servers/kit/tests/support/mod.rs"]
mod support;
#[path = "advisories/world.rs"]
mod world;

use std::process::ExitCode;

use futures::FutureExt;
use mcp_e2e::suite::{self, Test};
use world::World;

fn main() -> ExitCode {
    let table: &[Test<World>] = &[
        ("CVE-2025-53110: a neighbour whose name begins like the root's passed for a part of it", |w| {
            paths::neighbour(w).boxed_local()
        }),
        ("CVE-2025-53109: a link inside led the tools outside", |w| paths::link(w).boxed_local()),
        ("CVE-2025-68143: a repository was made wherever the caller said", |w| paths::anywhere(w).boxed_local()),
        ("CVE-2025-68144: a name that begins with a dash became an option and overwrote a file", |w| {
            paths::option(w).boxed_local()
        }),
        ("CVE-2025-68145: the directory given at the start was no limit for the paths of calls", |w| {
            paths::boundary(w).boxed_local()
        }),
        ("CVE-2026-27735: files were taken in from outside by a relative path", |w| paths::staged(w).boxed_local()),
        ("CVE-2026-27825: a download was written to any path, keys and start-up files among them", |w| {
            paths::download(w).boxed_local()
        }),
        ("GHSA-65hm-pwj5-73pw: read-only was a prefix of the text, and functions have effects", |w| {
            sql::prefix(w).boxed_local()
        }),
        ("CVE-2026-48774: a second statement renamed a table and left the connection out of step", |w| {
            sql::second(w).boxed_local()
        }),
        ("CVE-2025-66335: a database's name was put in front of the statement unchecked", |w| {
            sql::named(w).boxed_local()
        }),
        ("CVE-2026-5322: arguments were pasted into a statement that may be several", |w| sql::pasted(w).boxed_local()),
        ("CVE-2025-66414: a server on loopback answered to any Host", |w| door::host(w).boxed_local()),
        ("CVE-2025-66416: a page whose name was rebound was of the same origin as the server", |w| {
            door::same(w).boxed_local()
        }),
        ("CVE-2026-42559: the Host was not compared with a list", |w| door::named(w).boxed_local()),
        ("CVE-2026-35568: the Origin was not looked at", |w| door::origin(w).boxed_local()),
        ("CVE-2026-33252: a page posted what needs no preflight, and the tool ran", |w| door::simple(w).boxed_local()),
        ("GHSA-xw59-hvm2-8pj6: sessions and streams were opened under a rebound name", |w| {
            door::stream(w).boxed_local()
        }),
        ("CVE-2026-27896: keys in other letters counted as those of the protocol", |w| {
            messages::letters(w).boxed_local()
        }),
        ("GHSA-q382-vc8q-7jhj: a key that ends in NUL replaced the real one", |w| messages::nul(w).boxed_local()),
        ("CVE-2026-39313: a body without a limit filled the memory", |w| messages::body(w).boxed_local()),
        ("CVE-2025-6515: the ids of sessions could be guessed and came again", |w| sessions::guess(w).boxed_local()),
        ("CVE-2026-33946: whoever had a session's id took over its stream", |w| sessions::stream(w).boxed_local()),
        ("CVE-2026-25536: the same id of two clients' requests crossed their answers", |w| {
            sessions::crossed(w).boxed_local()
        }),
        ("CVE-2026-32211: functions that matter asked for no credentials", |w| door::credentials(w).boxed_local()),
        ("CVE-2026-33032: a second endpoint was open, and an empty list allowed everybody", |w| {
            door::second(w).boxed_local()
        }),
        ("CVE-2026-27826: headers of the request said where the server's own requests go", |w| {
            outside::headers(w).boxed_local()
        }),
        ("CVE-2025-65513: a private address was reached by a name or another spelling of it", |w| {
            outside::spelling(w).boxed_local()
        }),
        ("CVE-2025-53967: an argument became a part of a shell's command", |w| outside::shell(w).boxed_local()),
    ];
    suite::run_alone("suite-advisories", World::open, table)
}
