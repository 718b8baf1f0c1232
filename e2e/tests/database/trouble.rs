//! A database that is slow, busy, silent or gone, that wants other certificates or another password.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::{join, join_all};
use mcp_e2e::suite::eventually;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Fixture, contains,
    shop::{SECRET, Shop},
};

pub(crate) async fn slow(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &["--statement-timeout-seconds=60"])?;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "query", "arguments": {"sql": "SELECT shop.wait(59)"}}});
    let request = shop.http.post(server.url()).header("accept", "application/json").json(&body);
    let left = request.timeout(Duration::from_secs(2)).send().await;
    ensure!(left.is_err(), "the client went away");
    eventually("the statement is cancelled", Duration::from_secs(20), async || {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND query LIKE '%shop.wait%'";
        let rows = shop.postgres.rows("shop", running).await?;
        Ok(if rows == [["0"]] { Ok(()) } else { Err(format!("{rows:?} run")) })
    })
    .await
}

pub(crate) async fn busy(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let server = shop.server("reader", &["--max-connections=2", "--statement-timeout-seconds=20"])?;
    let wait = |seconds: u32| {
        let (shop, server) = (&shop, &server);
        async move { shop.call(server, "query", json!({"sql": format!("SELECT shop.wait({seconds})")})).await }
    };
    let begun = Instant::now();
    let late = async {
        sleep(Duration::from_secs(3)).await;
        wait(0).await
    };
    let (results, third) = join(join_all([wait(12), wait(12)]), late).await;
    let results = results.into_iter().chain([third]);
    let told: Vec<String> = results.map(|it| it.map(|it| it.to_string())).collect::<Result<_>>()?;
    ensure!(told.iter().filter(|it| it.contains("\"isError\":false")).count() == 2, "{told:?}");
    contains(&told.join(" "), "all 2 database connections have been busy for 5 s", "the third")?;
    ensure!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    ensure!(shop.rows(&server, "SELECT 1").await? == json!([[1]]), "a busy pool is no failure of the database");
    let used = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'";
    let used = shop.postgres.rows("shop", used).await?;
    ensure!(used[0][0].parse::<u32>()? <= 2, "{used:?} connections");
    Ok(())
}

pub(crate) async fn tls(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let uri = format!("{}?sslmode=require", shop.postgres.uri("reader", SECRET, "shop"));
    let file = shop.file("tls", &uri)?;
    let ca = format!("--postgres-ca={}", shop.postgres.ca().display());
    let server = Shop::start(&file, &[&ca])?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    ensure!(shop.rows(&server, sql).await? == json!([[true]]));
    let distrustful = Shop::start(&file, &[])?;
    let told = shop.bad(&distrustful, "query", json!({"sql": "SELECT 1"})).await?;
    contains(&told, "cannot be reached", "a certificate nobody vouches for")
}

pub(crate) async fn rotated(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    let file = shop.file("rotated", &shop.postgres.uri("reader", "wrong-password", "shop"))?;
    let server = Shop::start(&file, &[])?;
    let told = shop.bad(&server, "query", json!({"sql": "SELECT 1"})).await?;
    contains(&told, "refuses this server's login", "a wrong password")?;
    ensure!(!told.contains("wrong-password") && !told.contains("reader"), "{told}");
    std::fs::write(&file, shop.postgres.uri("reader", SECRET, "shop"))?;
    ensure!(shop.rows(&server, "SELECT 1").await? == json!([[1]]));
    Ok(())
}

pub(crate) async fn silent(fixture: &Fixture) -> Result<()> {
    let shop = fixture.lock().await;
    // Takes connections and never says a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let file = shop.file("silent", &format!("postgres://reader:{SECRET}@{address}/shop"))?;
    let server = Shop::start(&file, &["--max-connections=5"])?;
    let ask = || shop.bad(&server, "query", json!({"sql": "SELECT 1"}));
    for told in join_all((0..5).map(|_| ask())).await {
        contains(&told?, "the database does not answer", "a silent database")?;
    }
    let begun = Instant::now();
    let told = ask().await?;
    contains(&told, "is not asked for a minute", "after five failures")?;
    ensure!(begun.elapsed() < Duration::from_secs(4), "it was asked: {:?}", begun.elapsed());
    Ok(())
}

pub(crate) async fn gone(fixture: &Fixture) -> Result<()> {
    let mut shop = fixture.lock().await;
    let server = shop.server("reader", &[])?;
    ensure!(shop.rows(&server, "SELECT 1").await? == json!([[1]]));
    let before = shop.state().await?;
    shop.postgres.stop()?;
    let told = shop.bad(&server, "query", json!({"sql": "SELECT 1"})).await?;
    ensure!(told.contains("closed the connection") || told.contains("cannot be reached"), "{told}");
    contains(
        &shop.bad(&server, "query", json!({"sql": "SELECT 1"})).await?,
        "cannot be reached",
        "a stopped database",
    )?;
    // A server that starts while the database is gone serves when it is back.
    let early = shop.server("reader", &[])?;
    contains(&shop.bad(&early, "list_tables", json!({})).await?, "cannot be reached", "a stopped database")?;
    shop.postgres.start_again().await?;
    ensure!(shop.state().await? == before);
    for server in [&server, &early] {
        let rows = shop.rows(server, "SELECT count(*) FROM shop.items").await?;
        ensure!(rows == Value::from(vec![vec![3]]), "{rows}");
    }
    Ok(())
}
