//! Entry point: settings in, exit code out; everything else is in `app`.

use clap::Parser;
use mcp_operator::{app, settings::Settings, telemetry};

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let telemetry = telemetry::start(&settings)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let ended = app::run(settings, telemetry.logs.clone()).await;
        telemetry.stop().await;
        ended
    })
}
