//! Files that hold secrets, and who may read them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

/// What everybody may do with a file that is readable by others than its owner and group. A group may read: so orchestrators
/// mount secrets for a process that is not root.
const OTHERS_READ: u32 = 0o004;

/// Says in the log that everybody on the machine may read the file of `setting`. It is no fault: the worker can work, and
/// a container may have no other users.
pub(crate) fn warn_if_open(setting: &str, file: &Path) {
    // A file that is not there is told by whoever reads it.
    let Ok(metadata) = fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS_READ != 0 {
        tracing::warn!(
            setting,
            file = %file.display(),
            mode = format!("{mode:04o}"),
            "everybody on this machine may read a secret: take that right away (chmod o-rwx)"
        );
    }
}
