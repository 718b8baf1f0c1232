//! A walk below a directory: depth first, by name, bounded, never through links, never into what is denied.

use std::path::{Path, PathBuf};

use globset::GlobSet;
use mcp_kit::{Call, ToolError};

use crate::sandbox::{Directory, Entry, Kind, Sandbox, VirtualPath};

/// The most entries one call looks at.
const NODES: usize = 100_000;
/// The deepest directory one call looks into.
const DEPTH: usize = 64;

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}

/// An entry on the way: where it is below the start, and under its whole path.
pub(super) struct Step<'a> {
    pub(super) entry: &'a Entry,
    pub(super) relative: &'a Path,
    pub(super) path: &'a VirtualPath,
}

/// A walk that is under way.
pub(super) struct Walk<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) call: &'a Call,
    pub(super) exclude: GlobSet,
    nodes: usize,
    /// Something was left out because of the bounds above.
    pub(super) incomplete: bool,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(sandbox: &'a Sandbox, call: &'a Call, exclude: GlobSet) -> Self {
        Self { sandbox, call, exclude, nodes: 0, incomplete: false }
    }

    /// Visits everything below `start`.
    pub(super) fn run(
        &mut self,
        start: &VirtualPath,
        visit: &mut dyn FnMut(&Step<'_>) -> Result<Flow, ToolError>,
    ) -> Result<(), ToolError> {
        let directory = self.sandbox.directory(start)?;
        self.below(start, &directory, &mut PathBuf::new(), 0, visit).map(drop)
    }

    fn below(
        &mut self,
        path: &VirtualPath,
        directory: &Directory<'_>,
        relative: &mut PathBuf,
        depth: usize,
        visit: &mut dyn FnMut(&Step<'_>) -> Result<Flow, ToolError>,
    ) -> Result<Flow, ToolError> {
        for entry in self.entries(path, directory)? {
            // Matching one path against many globs takes its time.
            self.call.check()?;
            relative.push(&entry.name);
            let flow = if self.exclude.is_match(&*relative) {
                Flow::Continue
            } else {
                let path = path.join(&entry.name);
                let mut flow = visit(&Step { entry: &entry, relative, path: &path })?;
                if flow == Flow::Continue && entry.kind == Kind::Directory && !entry.linked {
                    flow = self.enter(&path, directory, &entry, relative, depth, visit)?;
                }
                flow
            };
            relative.pop();
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn enter(
        &mut self,
        path: &VirtualPath,
        directory: &Directory<'_>,
        entry: &Entry,
        relative: &mut PathBuf,
        depth: usize,
        visit: &mut dyn FnMut(&Step<'_>) -> Result<Flow, ToolError>,
    ) -> Result<Flow, ToolError> {
        if depth + 1 >= DEPTH {
            self.incomplete = true;
            return Ok(Flow::Continue);
        }
        match directory.child(&entry.name) {
            Ok(child) => self.below(path, &child, relative, depth + 1, visit),
            // One directory that may not be read, or is gone by now, does not spoil the rest.
            Err(_) => Ok(Flow::Continue),
        }
    }

    /// The entries of one directory, counted against the bound.
    pub(super) fn entries(&mut self, path: &VirtualPath, directory: &Directory<'_>) -> Result<Vec<Entry>, ToolError> {
        self.call.check()?;
        let (mut entries, complete) = self.sandbox.entries(path, directory, self.call)?;
        let left = NODES.saturating_sub(self.nodes);
        if !complete || entries.len() > left {
            self.incomplete = true;
            entries.truncate(left);
        }
        self.nodes += entries.len();
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread::sleep, time::Duration};

    use cap_std::{ambient_authority, fs::Dir};
    use globset::GlobSet;
    use mcp_kit::Call;

    use super::{Flow, Walk};
    use crate::sandbox::{Deny, Root, Sandbox};

    #[test]
    fn no_entry_is_visited_once_the_time_is_up() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let dir = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        let deny = Deny::with(std::iter::empty()).unwrap();
        let sandbox = Sandbox::new(vec![Root { name: "data".to_owned(), dir, writable: false }], deny);
        let call = Call::detached(Duration::from_secs(2));
        let mut visited = 0;
        let result = Walk::new(&sandbox, &call, GlobSet::empty()).run(&sandbox.path("/data").unwrap(), &mut |_| {
            visited += 1;
            while call.check().is_ok() {
                sleep(Duration::from_millis(10));
            }
            Ok(Flow::Continue)
        });
        assert!(result.unwrap_err().to_string().contains("ran out of time"));
        assert_eq!(visited, 1);
    }
}
