//! Paths as clients see them: `/root/dir/file`. Nothing in them names a place of the host.

use std::{fmt, path::PathBuf};

use mcp_kit::ToolError;

const LONGEST: usize = 4096;
const LONGEST_NAME: usize = 255;

/// A checked virtual path: the name of a root and plain names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VirtualPath {
    root: String,
    names: Vec<String>,
}

impl VirtualPath {
    /// Reads a path, or says what one looks like.
    pub(crate) fn parse<'a>(text: &str, roots: &(impl Iterator<Item = &'a str> + Clone)) -> Result<Self, ToolError> {
        if text.len() > LONGEST {
            let message = format!("the path has {} bytes; expected at most {LONGEST}", text.len());
            return Err(ToolError::new(message));
        }
        let told = || {
            let roots: Vec<String> = roots.clone().map(|name| format!("/{name}")).collect();
            format!("expected a path below one of {}", roots.join(", "))
        };
        if text.contains('\0') {
            return Err(ToolError::new(format!("the path contains a NUL byte; {}", told())));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(ToolError::new(format!("{text:?} does not begin with /; {}", told())));
        };
        let names: Vec<&str> = rest.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        if names.contains(&"..") {
            return Err(ToolError::new(format!("{text:?} contains `..`; write the path out; {}", told())));
        }
        if names.iter().any(|name| name.len() > LONGEST_NAME) {
            return Err(ToolError::new(format!("a name in the path is longer than {LONGEST_NAME} bytes; {}", told())));
        }
        let mut names = names.into_iter().map(str::to_owned);
        let root = names.next().filter(|name| roots.clone().any(|root| root == name));
        let root = root.ok_or_else(|| ToolError::new(format!("{text:?} is not below a root; {}", told())))?;
        Ok(Self { root, names: names.collect() })
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The path relative to the root.
    pub(crate) fn below(&self) -> PathBuf {
        if self.names.is_empty() { PathBuf::from(".") } else { self.names.iter().collect() }
    }

    /// The path above this one and the last name; nothing for a root.
    pub(crate) fn split_last(&self) -> Option<(Self, String)> {
        let mut above = self.clone();
        let name = above.names.pop()?;
        Some((above, name))
    }

    /// This path and one more name.
    pub(crate) fn join(&self, name: &str) -> Self {
        let mut joined = self.clone();
        joined.names.push(name.to_owned());
        joined
    }
}

impl fmt::Display for VirtualPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}", self.root)?;
        self.names.iter().try_for_each(|name| write!(formatter, "/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::VirtualPath;

    fn parse(text: &str) -> Result<String, String> {
        let path = VirtualPath::parse(text, &["data", "docs"].into_iter());
        path.map(|path| path.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_written_in_one_way() {
        assert_eq!(parse("/data"), Ok("/data".into()));
        assert_eq!(parse("/data/"), Ok("/data".into()));
        assert_eq!(parse("//docs/./a//b/"), Ok("/docs/a/b".into()));
    }

    #[test]
    fn refusals_say_what_a_path_looks_like() {
        for text in ["", "data/a", "/", "/etc/passwd", "/Data", "/data/../docs", "/data/a\0b", "C:\\data", "~/a"] {
            let error = parse(text).unwrap_err();
            assert!(error.ends_with("expected a path below one of /data, /docs"), "{text:?}: {error}");
        }
        assert!(parse(&format!("/data/{}", "a/".repeat(4000))).unwrap_err().contains("at most 4096"));
        assert!(parse(&format!("/data/{}", "a".repeat(300))).unwrap_err().contains("longer than 255"));
    }
}
