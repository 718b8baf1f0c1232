//! How AWS misbehaves: once, at a call that is counted.

use crate::identity::{Call, Class};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An error of this class instead; nothing is done.
    Refuse(Class),
    /// The request never arrives, and nobody says so.
    Cut,
    /// It is done, and the answer is lost.
    Lose,
}

impl Kind {
    /// Whether the call is done all the same.
    pub(super) fn is_done(self) -> bool {
        self == Self::Lose
    }

    pub(super) fn failure(self) -> (Class, String) {
        match self {
            Self::Refuse(class) => (class, format!("the fake says {class:?}")),
            Self::Cut | Self::Lose => (Class::Lost, "no answer".to_owned()),
        }
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call; any that writes, if none is named.
    pub call: Option<Call>,
    /// How many of them pass before.
    pub after: usize,
    /// How many of them it spoils.
    pub times: usize,
    /// What goes wrong.
    pub kind: Kind,
}

impl Fault {
    /// Spoils one call, after so many of its kind.
    #[must_use]
    pub const fn once(call: Call, after: usize, kind: Kind) -> Self {
        Self { call: Some(call), after, times: 1, kind }
    }

    /// Spoils one write, after so many.
    #[must_use]
    pub const fn write(after: usize, kind: Kind) -> Self {
        Self { call: None, after, times: 1, kind }
    }

    /// Looks at a call. Returns what goes wrong with it.
    pub(super) fn meet(&mut self, call: Call) -> Option<Kind> {
        let meant = self.call.map_or(call.is_write(), |meant| meant == call);
        if !meant || self.times == 0 {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.kind)
    }
}
