//! Room for work in flight, in events and in bytes: of one dataset, and of the process.

use std::sync::{Arc, Mutex, PoisonError};

use schemas::Lane;

/// How much may be in flight, from admission to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Events.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Room {
    /// What one lane may fill. A backfill leaves a quarter to those who wait for an answer.
    fn of(self, lane: Lane) -> Self {
        match lane {
            Lane::Live => self,
            Lane::Backfill => Self { events: (self.events * 3 / 4).max(1), bytes: self.bytes / 4 * 3 },
        }
    }
}

/// A room and what is in it.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    taken: Mutex<Room>,
}

impl Share {
    pub(super) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self { room, taken: Mutex::new(Room { events: 0, bytes: 0 }) })
    }

    /// A place for one event of `bytes`; `None` where the room is full. An empty room takes an event of any size, so that
    /// none is too large for ever.
    pub(super) fn take(self: &Arc<Self>, lane: Lane, bytes: usize) -> Option<Place> {
        let room = self.room.of(lane);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = taken.events < room.events && taken.bytes.saturating_add(bytes) <= room.bytes;
        if !fits && taken.events > 0 {
            return None;
        }
        taken.events += 1;
        taken.bytes = taken.bytes.saturating_add(bytes);
        Some(Place { share: Arc::clone(self), bytes })
    }

    /// Events in the room.
    pub(super) fn events(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).events
    }
}

/// A place in a [`Share`], given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    share: Arc<Share>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.share.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.events -= 1;
        taken.bytes = taken.bytes.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_bounded_in_events_and_in_bytes() {
        let share = Share::new(Room { events: 4, bytes: 100 });
        let places: Vec<_> = (0..4).map(|_| share.take(Lane::Live, 10).unwrap()).collect();
        assert!(share.take(Lane::Live, 1).is_none());
        assert_eq!(share.events(), 4);
        drop(places);
        assert_eq!(share.events(), 0);
        let place = share.take(Lane::Live, 99).unwrap();
        assert!(share.take(Lane::Live, 2).is_none());
        assert!(share.take(Lane::Live, 1).is_some());
        drop(place);
        assert!(share.take(Lane::Live, 1000).is_some());
    }

    #[test]
    fn a_backfill_leaves_room_for_live_events() {
        let share = Share::new(Room { events: 4, bytes: 100 });
        let _places: Vec<_> = (0..3).map(|_| share.take(Lane::Backfill, 1).unwrap()).collect();
        assert!(share.take(Lane::Backfill, 1).is_none());
        assert!(share.take(Lane::Live, 1).is_some());
    }
}
