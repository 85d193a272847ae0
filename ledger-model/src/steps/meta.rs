//! Meta's answers. They come to a stopped process too: its socket has them.

use super::{Steps, does};
use crate::{
    rules::Rule,
    setup::Fault,
    world::{Act, Answer, Call, SLOTS, Stage, World},
};

impl Steps<'_> {
    pub(super) fn of_meta(&mut self, who: usize) {
        let acts = self.from.forwarders[who].acts;
        for (slot, act) in acts.iter().enumerate() {
            match act {
                Some(Act { stage: Stage::AtMeta { together: false, bad: false }, call, .. }) => {
                    self.answers(who, slot, *call);
                }
                Some(Act { stage: Stage::AtMeta { together: false, bad: true }, call, .. }) => {
                    self.go(does(who, "is told that Meta rejects").with(*call), |world| {
                        world.answered(who, slot, Answer::Rejected);
                    });
                }
                Some(Act { stage: Stage::AtMeta { together: true, .. }, .. }) if slot == 0 => self.batch_answers(who),
                _ => {}
            }
        }
    }

    fn answers(&mut self, who: usize, slot: usize, call: Call) {
        let setup = self.setup;
        self.go(does(who, "is told that Meta counts").with(call), |world| {
            world.count(call, setup);
            world.answered(who, slot, Answer::Counted);
        });
        self.answer(Fault::Unknown, does(who, "is not told that Meta counts").with(call), |world| {
            world.count(call, setup);
            world.lost(who, slot);
        });
        self.answer(Fault::Unknown, does(who, "waits in vain for").with(call), |world| world.lost(who, slot));
        self.answer(Fault::Reject, does(who, "is told that Meta rejects").with(call), |world| {
            world.answered(who, slot, Answer::Rejected);
        });
        self.answer(Fault::Throttle, does(who, "is throttled for").with(call), |world| {
            world.answered(who, slot, Answer::Throttled);
        });
    }

    /// A request with both calls.
    fn batch_answers(&mut self, who: usize) {
        let setup = self.setup;
        self.go(does(who, "is told that Meta counts both"), |world| {
            for slot in 0..SLOTS {
                world.count_at(who, slot, setup);
                world.answered(who, slot, Answer::Counted);
            }
        });
        for counted in [true, false] {
            let label = if counted { "is not told that Meta counts both" } else { "waits in vain for both" };
            self.answer(Fault::Unknown, does(who, label), |world| {
                for slot in 0..SLOTS {
                    if counted {
                        world.count_at(who, slot, setup);
                    }
                    world.lost(who, slot);
                }
                if !setup.keep(Rule::LostForAll) {
                    world.answered(who, 1, Answer::Throttled);
                }
            });
        }
        self.answer(Fault::Throttle, does(who, "is throttled for both"), |world| {
            (0..SLOTS).for_each(|slot| world.answered(who, slot, Answer::Throttled));
        });
        for one in 0..SLOTS {
            self.batch_with_one_apart(who, one);
        }
    }

    /// Meta refuses the batch for one event, and the search sends them alone, under the same intents; or it counts only
    /// one, and nobody knows which.
    fn batch_with_one_apart(&mut self, who: usize, one: usize) {
        let setup = self.setup;
        self.answer(Fault::Reject, does(who, "is told that Meta rejects both for one"), |world| {
            (0..SLOTS).for_each(|slot| world.set_stage(who, slot, Stage::Sendable { alone: true, bad: slot == one }));
        });
        self.answer(Fault::Partly, does(who, "is told that Meta counts one of both"), |world| {
            world.count_at(who, one, setup);
            for slot in 0..SLOTS {
                if setup.keep(Rule::PartlyForAll) {
                    world.answered(who, slot, Answer::Counted);
                    let call = world.forwarders[who].acts[slot].map_or(0, |act| act.call);
                    world.partly = world.partly.with(call);
                } else {
                    world.answered(who, slot, Answer::Throttled);
                }
            }
        });
    }
}

impl World {
    fn answered(&mut self, who: usize, slot: usize, answer: Answer) {
        self.set_stage(who, slot, Stage::Answered(answer));
    }

    /// An answer that never comes is a cause for marks.
    fn lost(&mut self, who: usize, slot: usize) {
        self.cause |= 1 << slot;
        self.answered(who, slot, Answer::Unknown);
    }

    fn count_at(&mut self, who: usize, slot: usize, setup: &crate::setup::Setup) {
        if let Some(act) = self.forwarders[who].acts[slot] {
            self.count(act.call, setup);
        }
    }
}
