//! Which IAM actions, on which resources, every tool of the AWS server needs: one table, and the policies made of it.
//!
//! In: names of tools. Out: the least policy under which they work, as IAM writes it. Depends on no SDK, so that the
//! operator and the documentation can read the table without compiling one. Calls nothing.

mod policy;
mod session;
mod table;

pub use policy::{Policy, Scope, Statement, UnknownTool, policy};
pub use session::{Settings, session};
pub use table::{ALWAYS_ALLOWED, TOOLS};

/// When a tool is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads descriptions and measurements; there by default.
    Read,
    /// Reads content (logs, objects); there when it is asked for.
    Sensitive,
    /// Costs money by the call; there when its models are named.
    Cost,
    /// Changes something; there when `writes` says so.
    Write,
}

impl Kind {
    /// One word for tables of documentation.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sensitive => "sensitive",
            Self::Cost => "costs",
            Self::Write => "write",
        }
    }
}

/// What an action acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Resources of these forms; `{partition}`, `{region}` and `{account}` are filled in.
    Arns(&'static [&'static str]),
    /// All: AWS knows no narrower resource for the action. With the reason.
    All(&'static str),
    /// The models that the server may call; all of them when none are named.
    Models,
}

/// One action a tool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// For example `ec2:StartInstances`.
    pub action: &'static str,
    /// What it acts on.
    pub on: On,
}

/// A tool and all it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// When it is there.
    pub kind: Kind,
    /// Every action it may take. A call of another action is a defect, and the server refuses to make it.
    pub needs: &'static [Access],
}

/// The entry of a tool.
#[must_use]
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}
