//! Businesses, their channels and API keys: the model, the view that workers hold in memory, and what only the command
//! line does, changing it.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | the id of a business |
//! | [`business`] | a business and its channel, checked |
//! | [`rules`] | what they may hold |
//! | [`snapshot`] | all businesses at one moment, by id and by key |
//! | [`view`] | the snapshot that follows the directory's topic |
//! | [`keys`] | API keys: making them, and who a call comes from |
//! | [`token`] | access tokens, encrypted at rest |
//! | [`secret`] | the keys they are encrypted with, and where these come from |
//! | [`store`] | changing a business, for the command line; `change` has what happens where two do at once |
//! | [`link`] | the tracking link |

pub mod business;
mod change;
mod fold;
pub mod id;
pub mod keys;
pub mod link;
pub mod rules;
pub mod secret;
pub mod snapshot;
pub mod store;
pub mod token;
pub mod view;

pub use business::{BusinessEntry, ChannelEntry};
pub use id::BusinessId;
pub use keys::{KeyIdentity, KeyRefusal, authenticate};
pub use rules::Fault;
pub use secret::{SecretKeySettings, SecretKeys};
pub use snapshot::{KeyMatch, Snapshot};
pub use store::{Store, StoreError};
pub use token::{AccessToken, TokenError};
pub use view::{DirectoryView, ViewEvent};
