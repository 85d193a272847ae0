//! What a running forwarder does: decides, sends, writes results and rows, and commits.

use super::{Label, Steps, does};
use crate::{
    production::{self, Decided, Question},
    rules::Rule,
    setup::Setup,
    world::{
        Act, Answer, Call, Calls, End, Fold, Forwarder, Kind, Known, Life, Record, Role, Row, SLOTS, Stage, Status,
        World, Written,
    },
};

impl Steps<'_> {
    pub(super) fn of_work(&mut self, who: usize) {
        let forwarder = self.from.forwarders[who];
        if forwarder.life != Life::Up || !matches!(forwarder.role, Role::Owner | Role::Leaving) {
            return;
        }
        let fenced = forwarder.role == Role::Owner && forwarder.fenced(self.setup);
        if fenced && forwarder.at_rest() && forwarder.assigned {
            self.reclaim(who);
        }
        for slot in 0..self.setup.slots() {
            match forwarder.acts[slot] {
                Some(act) => self.goes_on(who, slot, act),
                None if forwarder.role == Role::Owner && !fenced => self.decides(who, slot),
                None => {}
            }
        }
    }

    /// Another claim was read, and the group still says that the partition is ours.
    fn reclaim(&mut self, who: usize) {
        let setup = self.setup;
        self.go(does(who, "sees another claim, and is still the owner"), |world| {
            let again = world.assigned(setup);
            let idle = Forwarder { assigned: true, ..Forwarder::default() };
            world.forwarders[who] = if setup.keep(Rule::Reclaim) { again } else { idle };
        });
    }

    fn goes_on(&mut self, who: usize, slot: usize, act: Act) {
        match act.stage {
            Stage::Sendable { alone, bad } => self.sends(who, slot, act, alone, bad),
            Stage::Answered(answer) => self.answered(who, slot, act, answer),
            Stage::ToTier => self.go(does(who, "puts into a tier").with(act.call), |world| {
                world.tier[usize::from(act.call)] += 1;
                world.set_stage(who, slot, Stage::Row(Status::Pending));
            }),
            Stage::Row(status) => self.row(who, slot, act, status),
            Stage::Commit => self.commits(who, slot, act),
            _ => {}
        }
    }

    // -- deciding (rule 7)

    fn decides(&mut self, who: usize, slot: usize) {
        let forwarder = self.from.forwarders[who];
        let Some(view) = forwarder.view else { return };
        self.repair(who, slot, &view);
        for call in forwarder.fetched.without(forwarder.done).iter() {
            if self.setup.slot(call, false) == slot {
                self.decide(who, slot, &view, (call, false), false);
            }
        }
        for call in 0..2 {
            if self.from.tier[usize::from(call)] > 0 && self.setup.slot(call, true) == slot {
                self.decide(who, slot, &view, (call, true), false);
                self.decide(who, slot, &view, (call, true), true);
            }
        }
    }

    /// Rule 6: a void record that is the last of its key is followed by the order's state.
    fn repair(&mut self, who: usize, slot: usize, view: &Fold) {
        let Some((after, _)) = view.void[slot].filter(|_| self.setup.keep(Rule::Repair)) else { return };
        let Known { accepted, open, listed, .. } = view.known[slot].unwrap_or_default();
        let kind = Kind::State { epoch: self.from.forwarders[who].epoch, after, accepted, open, listed };
        let record = self.record(slot, kind);
        self.go(does(who, "writes the order's state again"), |world| {
            world.forwarders[who].acts[slot] = Some(Act::new(Stage::Repair(Written::Wire(record)), 0, false));
        });
    }

    fn decide(&mut self, who: usize, slot: usize, view: &Fold, of: (Call, bool), aged: bool) {
        let (call, tiered) = of;
        let known = view.known[slot];
        let question = Question {
            call,
            received_late: self.setup.received_late(call),
            aged,
            epoch: self.from.forwarders[who].epoch,
            hold_over: !self.may_be_resolved(known),
        };
        let mut answer = production::decided(known, question, self.from.late_day, self.setup);
        if matches!(answer, Decided::Credited(_)) && !self.setup.keep(Rule::Reemit) {
            answer = Decided::Intend { overrides: 0, listed: Calls::default() };
        }
        let act = |stage, rests_on| Some(Act { rests_on, ..Act::new(stage, call, tiered) });
        let (what, act) = match answer {
            Decided::Wait => return,
            // It differs from a young event only where it is too old.
            Decided::Intend { .. } | Decided::Credited(_) | Decided::Duplicate(_) if aged => return,
            Decided::Credited(credit) => ("finds accepted", act(Stage::Row(Status::Forwarded), credit.offset)),
            Decided::Duplicate(credit) => {
                ("finds that its order has credit:", act(Stage::Row(Status::Duplicate), credit.offset))
            }
            Decided::TooOld => ("finds too old", act(Stage::Row(Status::Rejected), view.end)),
            Decided::Intend { overrides, listed } => {
                let epoch = self.from.forwarders[who].epoch;
                let record = self.record(slot, Kind::Intent { epoch, call, overrides, listed });
                let intended = Act::new(Stage::Intended(Written::Wire(record)), call, tiered);
                ("writes an intent for", Some(Act { listed, ..intended }))
            }
        };
        self.go(from_tier(does(who, what), tiered, call), |world| world.forwarders[who].acts[slot] = act);
    }

    /// Whether a process that was never stopped can still resolve what is open.
    fn may_be_resolved(&self, known: Option<Known>) -> bool {
        let Some(open) = known.and_then(|known| known.open) else { return false };
        self.from
            .forwarders
            .iter()
            .filter(|forwarder| forwarder.life == Life::Up)
            .any(|forwarder| forwarder.acts().any(|act| act.intent == open.intent && !act.stopped && act.may_resolve()))
    }

    // -- sending (rule 8)

    fn sends(&mut self, who: usize, slot: usize, act: Act, alone: bool, bad: bool) {
        let forwarder = self.from.forwarders[who];
        let Act { call, intent, listed, .. } = act;
        let refused = Written::Wire(self.record(slot, Kind::Refused { intent, call, listed }));
        if forwarder.role == Role::Leaving || forwarder.fenced(self.setup) {
            let unsent = Stage::Resulted(End::Unsent, refused);
            return self.go(does(who, "does not send any more").with(call), |world| {
                world.set_stage(who, slot, unsent);
            });
        }
        let setup = self.setup;
        self.go(does(who, "sends").with(call), |world| {
            world.send(who, slot, Stage::AtMeta { together: false, bad }, setup);
        });
        if act.tiered {
            self.go(does(who, "finds too old to send").with(call), |world| {
                world.set_stage(who, slot, Stage::Resulted(End::Rejected, refused));
            });
        }
        let fresh = Stage::Sendable { alone: false, bad: false };
        let all = forwarder.acts.iter().all(|act| act.is_some_and(|act| act.stage == fresh));
        if setup.batches() && !alone && slot == 0 && all {
            self.go(does(who, "sends both in one request"), |world| {
                for slot in 0..SLOTS {
                    world.send(who, slot, Stage::AtMeta { together: true, bad: false }, setup);
                }
            });
        }
    }

    // -- results (rule 9)

    fn answered(&mut self, who: usize, slot: usize, act: Act, answer: Answer) {
        let Act { call, intent, .. } = act;
        let owner = self.from.forwarders[who].role == Role::Owner;
        let unknown = answer == Answer::Unknown;
        let listed = if unknown { act.listed.with(call) } else { act.listed };
        let closes = answer == Answer::Throttled && self.setup.keep(Rule::Close);
        let refused = Written::Wire(self.record(slot, Kind::Refused { intent, call, listed }));
        if owner && matches!(answer, Answer::Throttled | Answer::Unknown) {
            self.sends_again(who, slot, call, listed);
        }
        match answer {
            Answer::Counted => {
                let accepted = Written::Wire(self.record(slot, Kind::Accepted { intent, call, listed }));
                self.writes(who, slot, Stage::Resulted(End::Credited, accepted), "writes accepted for", call);
            }
            Answer::Rejected => {
                self.writes(who, slot, Stage::Resulted(End::Rejected, refused), "writes refused for", call);
            }
            Answer::Throttled if closes => {
                self.writes(who, slot, Stage::Resulted(End::Delayed, refused), "writes refused for", call);
            }
            Answer::Throttled | Answer::Unknown if owner => {
                self.go(does(who, "leaves the intent open of").with(call), |world| {
                    world.forwarders[who].view = Some(world.log);
                    let rests_on = world.log.end;
                    world.forwarders[who].acts[slot] =
                        Some(Act { rests_on, ..Act::new(Stage::ToTier, call, act.tiered) });
                });
            }
            Answer::Throttled | Answer::Unknown => {
                self.go(does(who, "leaves open").with(call), |world| world.drop_act(who, slot));
            }
        }
    }

    /// A quick retry, under the same intent.
    fn sends_again(&mut self, who: usize, slot: usize, call: Call, listed: Calls) {
        let setup = self.setup;
        self.go(does(who, "sends again").with(call), |world| {
            if let Some(act) = &mut world.forwarders[who].acts[slot] {
                act.listed = listed;
            }
            world.send(who, slot, Stage::AtMeta { together: false, bad: false }, setup);
        });
    }

    fn writes(&mut self, who: usize, slot: usize, stage: Stage, what: &'static str, call: Call) {
        self.go(does(who, what).with(call), |world| world.set_stage(who, slot, stage));
    }

    fn record(&self, slot: usize, kind: Kind) -> Record {
        Record { kind, slot: u8::try_from(slot).unwrap(), late: self.from.late_day }
    }

    // -- rows and commits (rules 10 and 11)

    fn row(&mut self, who: usize, slot: usize, act: Act, status: Status) {
        let setup = self.setup;
        let listed = self.from.forwarders[who].view.and_then(|view| view.known[slot]).unwrap_or_default().listed;
        let marked = if setup.keep(Rule::List) {
            listed.has(act.call)
        } else {
            !listed.is_empty() && status != Status::Duplicate
        };
        let row = Row { status, rests_on: act.rests_on, marked };
        self.go(does(who, row_of(status)).with(act.call), |world| {
            let shown = &mut world.rows[usize::from(act.call)];
            if production::version(row, setup) >= production::version(*shown, setup) {
                *shown = row;
            }
            let done = Act::new(Stage::Commit, act.call, act.tiered);
            world.forwarders[who].acts[slot] = Some(done);
        });
    }

    fn commits(&mut self, who: usize, slot: usize, act: Act) {
        let forwarder = self.from.forwarders[who];
        let setup = self.setup;
        if !forwarder.assigned {
            return self.go(does(who, "is refused the commit of").with(act.call), |world| {
                world.drop_act(who, slot);
                if world.forwarders[who].role == Role::Owner {
                    world.revoke(who);
                }
            });
        }
        self.go(from_tier(does(who, "commits"), act.tiered, act.call), |world| {
            world.drop_act(who, slot);
            if act.tiered {
                let copies = &mut world.tier[usize::from(act.call)];
                *copies = copies.saturating_sub(1);
            } else {
                world.pass(who, act.call, setup);
            }
        });
    }
}

fn from_tier(label: Label, tiered: bool, call: Call) -> Label {
    let what = match (label.what, tiered) {
        ("commits", true) => "commits the tier's",
        ("writes an intent for", true) => "writes an intent for the tier's",
        (what, _) => what,
    };
    Label { what, ..label }.with(call)
}

fn row_of(status: Status) -> &'static str {
    match status {
        Status::None => "writes no row of",
        Status::Pending => "writes the row `pending` of",
        Status::Forwarded => "writes the row `forwarded` of",
        Status::Duplicate => "writes the row `duplicate` of",
        Status::Rejected => "writes the row `rejected` of",
    }
}

impl World {
    /// A request leaves: a second one, where Meta may have the order already.
    fn send(&mut self, who: usize, slot: usize, stage: Stage, setup: &Setup) {
        let Some(act) = self.forwarders[who].acts[slot] else { return };
        let order = setup.order(act.call);
        let same = |act: &Act| matches!(act.stage, Stage::AtMeta { .. }) && setup.order(act.call) == order;
        if self.counted[order] > 0 || self.forwarders.iter().flat_map(Forwarder::acts).any(same) {
            self.second = self.second.with(act.call);
        }
        self.set_stage(who, slot, stage);
    }

    /// A call of a lane is done: what `Frontier` lets pass is committed.
    fn pass(&mut self, who: usize, call: Call, setup: &Setup) {
        let forwarder = &mut self.forwarders[who];
        forwarder.done = forwarder.done.with(call);
        let lane = setup.place(call).0;
        let offsets = |calls: Calls| -> Vec<u8> {
            calls.iter().map(|call| setup.place(call)).filter(|place| place.0 == lane).map(|place| place.1).collect()
        };
        if let Some(passed) = production::committable(&offsets(forwarder.fetched), &offsets(forwarder.done), setup) {
            self.committed[lane] = passed;
        }
    }
}
