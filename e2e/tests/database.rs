//! The Database server on a real PostgreSQL.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use futures::FutureExt;
use mcp_e2e::{
    cache::Cache,
    postgres::Postgres,
    suite::{self, Test},
};
use tokio::sync::Mutex;

struct Fixture {
    postgres: Mutex<Postgres>,
}

fn main() -> ExitCode {
    let tests: &[Test<Fixture>] =
        &[("a PostgreSQL that was stopped has its data when it is started again", |f| restarted(f).boxed_local())];
    suite::run_alone(
        "suite-database",
        async || Ok(Fixture { postgres: Mutex::new(Postgres::start(&Cache::from_env()?).await?) }),
        tests,
    )
}

async fn restarted(fixture: &Fixture) -> Result<()> {
    let mut postgres = fixture.postgres.lock().await;
    postgres.run("postgres", "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (NULL)").await?;
    postgres.stop()?;
    ensure!(postgres.superuser("postgres").await.is_err(), "it was stopped");
    postgres.start_again().await?;
    ensure!(postgres.rows("postgres", "SELECT id FROM kept ORDER BY id").await? == [["1"], [""]]);
    Ok(())
}
