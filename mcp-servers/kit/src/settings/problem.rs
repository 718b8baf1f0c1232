//! What is wrong with a setting, told so that a person can mend it without reading further.

use std::fmt;

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was given: `--listen`, `MCP_LISTEN`, ``key `listen` in settings.yaml``.
    pub at: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub mend: String,
}

/// All wrong settings of one start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(
        &mut self,
        at: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.0.push(Problem { at: at.into(), expected: expected.into(), found: found.into(), mend: mend.into() });
    }

    /// Whether all settings are right.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(formatter, "{count} {}", if count == 1 { "setting is wrong" } else { "settings are wrong" })?;
        for (index, problem) in self.0.iter().enumerate() {
            writeln!(formatter, "\n  {}. {}", index + 1, problem.at)?;
            writeln!(formatter, "     expected: {}", problem.expected)?;
            writeln!(formatter, "     found:    {}", problem.found)?;
            writeln!(formatter, "     mend:     {}", problem.mend)?;
        }
        Ok(())
    }
}
