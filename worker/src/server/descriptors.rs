//! Each connection takes a file descriptor, of which the operating system grants so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for all else: Kafka's connections, the admin address, logs.
const OTHERS: u64 = 256;

/// How many connections there can be of those that are wanted. The limit is raised as far as the process may; where that is
/// not enough, the log says so.
pub fn room(wanted: usize) -> usize {
    let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let granted = raise(getrlimit(Resource::Nofile), needed);
    let connections = connections(wanted, granted);
    if connections < wanted {
        tracing::warn!(
            granted,
            needed,
            connections,
            "too few file descriptors for CAPI_MAX_CONNECTIONS: fewer connections are taken; \
             raise the limit (ulimit -n, LimitNOFILE=) or lower the setting"
        );
    }
    connections
}

/// Raises the limit to what is needed; the limit that is then in force, `None` for none.
fn raise(limit: Rlimit, needed: u64) -> Option<u64> {
    let current = limit.current?;
    let wanted = limit.maximum.map_or(needed, |most| most.min(needed));
    if wanted <= current {
        return Some(current);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }) {
        Ok(()) => Some(wanted),
        Err(_) => Some(current),
    }
}

/// What remains for connections: all but what else needs, or half of very few.
fn connections(wanted: usize, granted: Option<u64>) -> usize {
    let Some(granted) = granted else { return wanted };
    let left = granted.saturating_sub(OTHERS).max(granted / 2).max(1);
    usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_all_else() {
        assert_eq!(connections(10_000, None), 10_000);
        assert_eq!(connections(10_000, Some(20_000)), 10_000);
        assert_eq!(connections(10_000, Some(10_256)), 10_000);
        assert_eq!(connections(10_000, Some(1024)), 768);
        assert_eq!(connections(10_000, Some(256)), 128);
        assert_eq!(connections(10_000, Some(0)), 1);
    }

    #[test]
    fn the_limit_is_raised_no_further_than_allowed() {
        let limit = getrlimit(Resource::Nofile);
        let current = limit.current.unwrap();
        assert_eq!(raise(limit, current), Some(current), "enough is left as it is");
        assert_eq!(raise(limit, u64::MAX), limit.maximum.or(Some(u64::MAX)));
        assert_eq!(getrlimit(Resource::Nofile).maximum, limit.maximum);
    }
}
