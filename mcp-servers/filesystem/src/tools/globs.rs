//! Globs as clients send them: bounded in length, nesting and number before any library reads them.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use mcp_kit::ToolError;

/// The longest glob, in bytes. globset reads nested braces by recursion: this is what bounds its stack.
pub(super) const LONGEST: usize = 512;
/// The most globs in one list.
pub(super) const MOST: usize = 64;
/// How deep braces may be nested.
const BRACES: usize = 4;

/// A glob over relative paths, in which `*` does not cross a `/`.
pub(super) fn glob(pattern: &str) -> Result<Glob, ToolError> {
    if pattern.len() > LONGEST {
        let message = format!("expected a glob of at most {LONGEST} bytes, found one of {}", pattern.len());
        return Err(ToolError::new(message));
    }
    let depth = depth(pattern);
    if depth > BRACES {
        let message =
            format!("expected at most {BRACES} nested braces in a glob, found {depth}; write it flat: {{a,b,c}}");
        return Err(ToolError::new(message));
    }
    built(pattern).map_err(|error| {
        let message = format!("{pattern:?} is not a glob: {}; expected for example *.md or **/*.rs", error.kind());
        ToolError::new(message)
    })
}

/// What a list of exclude patterns leaves out: a path that matches, at any depth, and everything below it.
pub(super) fn excludes(patterns: Option<&Vec<String>>) -> Result<GlobSet, ToolError> {
    let patterns = patterns.map_or(&[][..], Vec::as_slice);
    if patterns.len() > MOST {
        let message = format!(
            "expected at most {MOST} excludePatterns, found {}; braces put several in one: {{a,b,c}}",
            patterns.len()
        );
        return Err(ToolError::new(message));
    }
    let unusable =
        |error: globset::Error| ToolError::new(format!("the exclude patterns cannot be used: {}", error.kind()));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
        set.add(built(&format!("**/{pattern}")).map_err(unusable)?);
    }
    set.build().map_err(unusable)
}

fn built(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// The deepest nesting of braces, without those that are escaped or in a class and so stand for themselves.
fn depth(pattern: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '[' => {
                letters.next_if(|letter| matches!(letter, '!' | '^'));
                // A bracket that comes first is a member of the class.
                letters.next_if_eq(&']');
                letters.by_ref().take_while(|letter| *letter != ']').for_each(drop);
            }
            '{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, MOST, depth, excludes, glob};

    #[test]
    fn braces_that_stand_for_themselves_are_not_counted() {
        for (pattern, expected) in [
            ("*.md", 0),
            ("{a,b}{c,d}{e,f}", 1),
            ("{a,{b,{c,d}}}", 3),
            (r"\{\{\{\{\{", 0),
            ("[{][{][{][{][{]", 0),
            ("{[}]{[}]{[}]{a}}}}", 4),
            ("[]{]{a}", 1),
            ("[!]{]{a}", 1),
        ] {
            assert_eq!(depth(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn bounds_are_inclusive_and_told() {
        assert!(glob(&"a".repeat(LONGEST)).is_ok());
        let long = glob(&"a".repeat(LONGEST + 1)).unwrap_err().to_string();
        assert_eq!(long, "expected a glob of at most 512 bytes, found one of 513");
        assert!(glob("{{{{a}}}}").is_ok());
        let deep = glob("{{{{{a}}}}}").unwrap_err().to_string();
        assert_eq!(deep, "expected at most 4 nested braces in a glob, found 5; write it flat: {a,b,c}");
        let list = |count: usize| vec!["a".repeat(LONGEST); count];
        assert!(excludes(Some(&list(MOST))).is_ok());
        let many = excludes(Some(&list(MOST + 1))).unwrap_err().to_string();
        assert_eq!(many, "expected at most 64 excludePatterns, found 65; braces put several in one: {a,b,c}");
    }
}
