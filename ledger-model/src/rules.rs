//! The rules that a test can switch off, one at a time.

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An own record is acted on only once it was read back and counts, and the ledger is what was read.
    Readback,
    /// A new owner first writes a claim; intents of an older epoch that land after it are void.
    Claim,
    /// A claim that was read back is confirmed by the group before its writer acts.
    Confirm,
    /// An intent names the open intent that it overrides, and is void if another is open by then.
    Over,
    /// An open intent of another owner is left alone until no live process can still resolve it.
    Wait,
    /// A result counts for as long as its intent is open, whoever owns the partition by then.
    Late,
    /// An order lists the calls that took part in an unknown outcome, and a mark is being on the list.
    List,
    /// A refusal keeps that list.
    Keep,
    /// A throttle closes the intent before the call goes to a tier.
    Close,
    /// A row's version is the offset of the ledger record that it rests on.
    Version,
    /// A pending row never replaces a final one.
    Final,
    /// No row rests on a result that was read back void.
    Rows,
    /// A call that the ledger shows accepted gets its row again, and no request.
    Reemit,
    /// An owner voided by a stray claim that is still the group's owner claims again.
    Reclaim,
    /// A void record that is the last of its key is followed by the order's state.
    Repair,
    /// A ledger record is produced without a time-out: it lands, or the process ends.
    Patience,
    /// Compaction leaves fresh records alone, so that a repair comes first.
    Lag,
    /// Rule 1: a copy in a tier stays in its order's partition.
    Partition,
    /// A repair is void where a record of the order counted after the one that it repairs (`State.after`).
    After,
    /// What is committed is contiguous.
    Contiguous,
    /// A lost answer is unknown for every event of the batch.
    LostForAll,
    /// Of a batch that was counted in part, every event is accepted.
    PartlyForAll,
    /// After the window an acceptance may be overridden.
    Expiry,
    /// The intent that overrides an expired acceptance names it by its offset.
    ExpiredByOffset,
}

/// All rules, or all but one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) off: Option<Rule>,
}

impl Rules {
    pub(crate) fn keep(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }
}
