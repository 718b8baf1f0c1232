//! The AWS server against MiniStack, and moto for Cost Explorer: every tool, every permission, and what goes wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "aws/fixture.rs"]
mod fixture;
#[path = "aws/front.rs"]
mod front;
#[path = "aws/list.rs"]
mod list;
#[path = "aws/permissions.rs"]
mod permissions;
#[path = "aws/reads.rs"]
mod reads;
#[path = "aws/trail.rs"]
mod trail;
#[path = "aws/trouble.rs"]
mod trouble;
#[path = "aws/writes.rs"]
mod writes;

use std::process::ExitCode;

use fixture::Fixture;
use futures::FutureExt;
use mcp_e2e::suite::{self, Test};

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] = &[
        ("the list of tools is stable, small and complete", |f| list::stable(f).boxed_local()),
        ("every tool is described, closed and hinted", |f| list::described(f).boxed_local()),
        ("prompts lead through tools that exist", |f| list::prompts(f).boxed_local()),
        ("the page of the documentation is fresh", |f| list::documented(f).boxed_local()),
        ("the tools that are there are those that a session policy is made for", |f| list::chosen(f).boxed_local()),
        ("the account, its role and its regions are told", |f| reads::identity(f).boxed_local()),
        ("instances are listed by state and tags, in one region and in all", |f| reads::instances(f).boxed_local()),
        ("clusters, services, tasks and task definitions are told, without values of the environment", |f| {
            reads::containers(f).boxed_local()
        }),
        ("databases and their snapshots are told, by status and tags", |f| reads::databases(f).boxed_local()),
        ("the load of a database is asked for where it is measured", |f| reads::performance(f).boxed_local()),
        ("metrics, alarms and dashboards are told", |f| reads::metrics(f).boxed_local()),
        ("log lines are found", |f| reads::logs(f).boxed_local()),
        ("costs are told by service", |f| reads::costs(f).boxed_local()),
        ("objects are listed page by page and read in parts", |f| reads::objects(f).boxed_local()),
        ("clusters, functions, items and models are told", |f| reads::others(f).boxed_local()),
        ("instances start and stop", |f| writes::instances(f).boxed_local()),
        ("a dry run of starting and stopping changes nothing", |f| writes::dry_run(f).boxed_local()),
        ("a service is scaled, and a dry run changes nothing", |f| writes::service(f).boxed_local()),
        ("a snapshot is taken once", |f| writes::snapshot(f).boxed_local()),
        ("an object is written, and never over one that was not read", |f| writes::object(f).boxed_local()),
        ("the audit names the key of every object, as it is written", |f| writes::recorded(f).boxed_local()),
        ("a function is called", |f| writes::function(f).boxed_local()),
        ("a model answers, if it is on the list and within its tokens", |f| writes::model(f).boxed_local()),
        (
            "every tool works under exactly the policy that is printed, and without each action it says which is missing",
            |f| permissions::exact(f).boxed_local(),
        ),
        ("the policy of all tools names actions and kinds of resources that AWS has", |f| {
            permissions::judged(f).boxed_local()
        }),
        ("another account is reached by its alias alone, through its role", |f| permissions::account(f).boxed_local()),
        ("audit records go straight to CloudWatch Logs, by two permissions, and nothing changes without", |f| {
            trail::kept(f).boxed_local()
        }),
        ("AWS calls are counted by service, operation and region", |f| trouble::counted(f).boxed_local()),
        ("five failures of a region open its breaker, and no other", |f| trouble::breaker(f).boxed_local()),
        ("what AWS refuses is told in a sentence, and no credential is logged", |f| {
            trouble::sentences(f).boxed_local()
        }),
        ("what is off is neither listed nor called", |f| trouble::off(f).boxed_local()),
    ];
    suite::run_alone("suite-aws", Fixture::new, tests)
}
