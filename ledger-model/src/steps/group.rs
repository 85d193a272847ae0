//! What the group does, and what a process does that was stopped or killed.

use super::{Steps, does};
use crate::world::{Forwarder, Life, Role};

impl Steps<'_> {
    pub(super) fn of_the_group(&mut self) {
        let taken = self.from.forwarders.iter().any(|forwarder| forwarder.assigned);
        for who in 0..self.setup.forwarders {
            let forwarder = self.from.forwarders[who];
            match forwarder.life {
                Life::Up if !taken && forwarder.role == Role::Idle => self.assign(who, "is assigned the partition"),
                Life::Up if forwarder.role == Role::Owner && !forwarder.assigned => {
                    self.go(does(who, "learns that it lost the partition"), |world| world.revoke(who));
                }
                Life::Up => {}
                Life::Stopped => self.stopped(who),
                Life::Dead => {
                    self.go(does(who, "(dead): its session ends"), |world| {
                        world.forwarders[who] = Forwarder::default();
                    });
                    // A static member: no rebalance.
                    self.assign(who, "starts again");
                }
            }
        }
    }

    fn assign(&mut self, who: usize, what: &'static str) {
        let setup = self.setup;
        self.go(does(who, what), |world| world.forwarders[who] = world.assigned(setup));
    }

    fn stopped(&mut self, who: usize) {
        if self.from.forwarders[who].assigned {
            self.go(does(who, "(stopped): its session ends"), |world| world.forwarders[who].assigned = false);
        }
        self.go(does(who, "continues"), |world| world.forwarders[who].life = Life::Up);
    }
}
