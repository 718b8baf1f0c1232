//! What the kernel knows of this process, read when it is asked for.

use std::fmt;

use procfs::{ProcResult, WithCurrentSystemInfo, process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use super::names;

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

struct Facts {
    cpu_seconds: f64,
    resident: u64,
    virtual_size: u64,
    open_fds: usize,
    max_fds: Option<u64>,
    started: u64,
}

impl Facts {
    fn read() -> ProcResult<Self> {
        let process = process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second();
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            process::LimitValue::Value(limit) => Some(limit),
            process::LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_seconds: seconds(stat.utime + stat.stime, ticks),
            resident: stat.rss_bytes().get(),
            virtual_size: stat.vsize,
            open_fds: process.fd_count()?,
            max_fds,
            started: procfs::boot_time_secs()? + stat.starttime / ticks,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float counts hundredths of a second exactly for 2.8 million years")]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second as f64
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // Where there is no /proc there are no metrics of it, and everything else is as it was.
        let Ok(facts) = Facts::read() else { return Ok(()) };
        let cpu = ConstCounter::new(facts.cpu_seconds);
        let name = names::CPU_SECONDS;
        cpu.encode(encoder.encode_descriptor(name.registered(), name.help, None, cpu.metric_type())?)?;
        let gauges = [
            (names::RESIDENT_BYTES, Some(facts.resident)),
            (names::VIRTUAL_BYTES, Some(facts.virtual_size)),
            (names::OPEN_FDS, u64::try_from(facts.open_fds).ok()),
            (names::MAX_FDS, facts.max_fds),
            (names::START_TIME, Some(facts.started)),
        ];
        for (name, value) in gauges {
            let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name.registered(), name.help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
