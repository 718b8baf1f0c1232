//! A command's output, line by line as it comes: into a log, and to where it can be seen.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::program;

/// Runs the command and copies what it says. `live` shows one line that changes, with the step's elapsed time, and keeps
/// only the closing lines of tests. Returns whether the command succeeded.
pub(crate) fn copy(step: &str, command: &mut Command, log: &mut File, live: bool) -> Result<bool> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let start = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let said = format!("cannot start `{}`: {error}\n", program::line(command));
            log.write_all(said.as_bytes())?;
            eprint!("{said}");
            return Ok(false);
        }
    };
    // The command holds copies of the pipe's writing end, which would keep the reader waiting for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut output = Vec::new();
        while reader.read_until(b'\n', &mut output).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut output)).is_err() {
                break;
            }
        }
    });
    let mut last = String::new();
    loop {
        match lines.recv_timeout(Duration::from_millis(500)) {
            Ok(output) => {
                log.write_all(&output)?;
                String::from_utf8_lossy(&output).trim_end().clone_into(&mut last);
                if !live {
                    io::stdout().write_all(&output)?;
                } else if last.starts_with("test result:") {
                    println!("\r\x1b[K{last}");
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                // A daemon that the step left behind may hold the pipe open; the step is over when its process is.
                if child.try_wait()?.is_some() {
                    break;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if live {
            let shown: String = last.chars().take(100).collect();
            eprint!("\r\x1b[K[{:3} s] {step}: {shown}", start.elapsed().as_secs());
        }
    }
    if live {
        eprint!("\r\x1b[K");
    }
    Ok(child.wait()?.success())
}
