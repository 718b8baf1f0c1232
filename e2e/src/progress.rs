//! Progress for people: one line a step on standard error, with the seconds since the work began.
//! Standard output is never touched, so that commands which print a path stay usable in scripts.

use std::fmt::Display;
use std::time::Instant;

/// A stopwatch that talks. Cheap to copy: every copy counts from the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    began: Instant,
}

impl Progress {
    /// Starts the watch now.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Says that something has begun or is done.
    pub fn say(&self, what: impl Display) {
        eprintln!("{:7.1}s  {what}", self.began.elapsed().as_secs_f32());
    }
}
