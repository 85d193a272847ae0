//! Faults of processes, of the group, of the producer and of operators. Meta's are in [`super::meta`].

use super::{Steps, does, happens};
use crate::{
    rules::Rule,
    setup::Fault,
    world::{Act, Forwarder, Kind, Life, Role, SLOTS, Stage, Status, World, Written},
};

impl Steps<'_> {
    pub(super) fn faults(&mut self) {
        for who in 0..self.setup.forwarders {
            let forwarder = self.from.forwarders[who];
            if forwarder.role == Role::Idle || forwarder.life == Life::Dead {
                continue;
            }
            self.crash(who);
            if forwarder.life == Life::Up {
                self.stop(who);
                self.time_out(who);
            }
            if forwarder.life == Life::Up && forwarder.assigned {
                self.fault(Fault::Move, does(who, "is revoked"), |world| world.revoke(who));
            }
        }
        self.replay();
    }

    /// `kill -9`: of the requests at Meta, any may have been counted; what is on the wire may land.
    fn crash(&mut self, who: usize) {
        for counted in 0..1_u8 << SLOTS {
            if self.may_be_counted(who, counted) {
                let label = if counted == 0 { "is killed" } else { "is killed, Meta counts its request" };
                let setup = self.setup;
                self.fault(Fault::Crash, does(who, label), |world| {
                    let killed = world.forwarders[who];
                    for (_, act) in slots(&killed).filter(|(slot, _)| counted & (1 << slot) != 0) {
                        world.count(act.call, setup);
                    }
                    world.blame(&killed);
                    killed.on_the_wire().for_each(|record| world.wander(record));
                    let left = Forwarder { assigned: true, life: Life::Dead, ..Forwarder::default() };
                    world.forwarders[who] = if killed.assigned { left } else { Forwarder::default() };
                });
            }
        }
    }

    /// A request is counted for all of its events or for none.
    fn may_be_counted(&self, who: usize, counted: u8) -> bool {
        let mut together = 0;
        for (slot, act) in slots(&self.from.forwarders[who]) {
            let bit = 1 << slot;
            match act.stage {
                Stage::AtMeta { together: true, .. } => together |= bit,
                Stage::AtMeta { bad: false, .. } => {}
                _ if counted & bit != 0 => return false,
                _ => {}
            }
        }
        let used = slots(&self.from.forwarders[who]).fold(0, |used, (slot, _)| used | 1 << slot);
        counted & !used == 0 && (counted & together == 0 || counted & together == together)
    }

    /// SIGSTOP: nobody waits for what it has at work any more.
    fn stop(&mut self, who: usize) {
        self.fault(Fault::Stop, does(who, "is stopped"), |world| {
            let stopped = world.forwarders[who];
            world.blame(&stopped);
            world.forwarders[who].life = Life::Stopped;
            world.forwarders[who].acts.iter_mut().flatten().for_each(|act| act.stopped = true);
        });
    }

    /// The producer gives a record up; it may land all the same.
    fn time_out(&mut self, who: usize) {
        if self.setup.keep(Rule::Patience) {
            return;
        }
        let setup = self.setup;
        for record in self.from.forwarders[who].on_the_wire().collect::<Vec<_>>() {
            self.fault(Fault::TimeOut, does(who, "gives a record up"), |world| {
                world.wander(record);
                let forwarder = world.forwarders[who];
                // The same result again is harmless.
                if matches!(record.kind, Kind::Accepted { .. } | Kind::Refused { .. }) {
                    return;
                }
                let again = world.assigned(setup);
                world.forwarders[who] = match forwarder.role {
                    Role::Leaving => Forwarder::default(),
                    _ => Forwarder { assigned: forwarder.assigned, ..again },
                };
            });
        }
    }

    fn replay(&mut self) {
        for call in 0..2 {
            let (lane, offset) = self.setup.place(call);
            let committed = self.from.committed[lane] > offset;
            if committed && self.from.rows[usize::from(call)].status == Status::Rejected {
                self.fault(Fault::Replay, happens("the operator replays").with(call), |world| {
                    world.tier[usize::from(call)] += 1;
                });
            }
        }
    }
}

fn slots(forwarder: &Forwarder) -> impl Iterator<Item = (usize, &Act)> {
    forwarder.acts.iter().enumerate().filter_map(|(slot, act)| Some((slot, act.as_ref()?)))
}

impl World {
    /// What a fault leaves unresolved is a cause for marks.
    fn blame(&mut self, of: &Forwarder) {
        let unresolved = |act: &Act| {
            act.in_flight()
                && !matches!(act.written(), Some(Written::Landed { .. }) if matches!(act.stage, Stage::Resulted(..)))
        };
        for (slot, _) in slots(of).filter(|(_, act)| unresolved(act)) {
            self.cause |= 1 << slot;
        }
    }
}
