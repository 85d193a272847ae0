//! Calls: finding them, and what became of each.

mod call;
mod cursor;
mod filter;
mod list;
mod meaning;
mod row;
mod search;
mod story;

pub(crate) use self::{
    call::call,
    list::list,
    row::{Listed, SUMMARY},
    search::NEWEST_FIRST,
};
