//! Which versions of its messages a process writes, in the time when two releases run side by side.

use std::{fmt, str::FromStr, sync::OnceLock};

/// The versions that a process writes. It reads all of them.
///
/// Workers of two releases share the topics during a rolling deploy. Where the newest version is not written before
/// every worker reads it, each message has a reader, in whatever order the workers are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteSchemas {
    /// Those that the release before this one reads too.
    #[default]
    Released,
    /// The newest. Workers of the release before bury what they cannot read.
    Newest,
}

static OF_THIS_PROCESS: OnceLock<WriteSchemas> = OnceLock::new();

impl WriteSchemas {
    /// What this process writes from now on. Said once, at its start, before anything is written; later words change
    /// nothing. Unsaid, it is [`WriteSchemas::Released`], which every reader knows.
    pub fn settle(self) {
        let _ = OF_THIS_PROCESS.set(self);
    }

    pub(crate) fn of_this_process() -> Self {
        OF_THIS_PROCESS.get().copied().unwrap_or_default()
    }
}

impl FromStr for WriteSchemas {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "released" => Ok(Self::Released),
            "newest" => Ok(Self::Newest),
            _ => Err("it is `released` or `newest`"),
        }
    }
}

impl fmt::Display for WriteSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Newest => "newest",
        })
    }
}
