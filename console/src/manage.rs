//! The settings of a business: its API keys and its WhatsApp channel. Changed by the code that `capi` uses.

mod channel;
mod connection;
mod keys;
mod show;

pub(crate) use self::{
    channel::put as put_channel,
    connection::check as check_connection,
    keys::{create as create_key, revoke as revoke_key},
    show::settings,
};
