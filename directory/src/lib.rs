//! Businesses, their channels and API keys: the model, the view that workers hold in memory, and what only the command
//! line does, changing it.
//!
//! | module | holds |
//! |---|---|
//! | [`business`] | a business and its channel, checked |
//! | [`snapshot`] | all businesses at one moment, by id and by key |
//! | [`view`] | the snapshot that follows the directory's topic |
//! | [`keys`] | API keys: making them, and who a call comes from |
//! | [`token`] | access tokens, encrypted at rest |
//! | [`secret`] | the keys they are encrypted with, and where these come from |
//! | [`link`] | the tracking link |

pub mod business;
pub mod keys;
pub mod link;
pub mod secret;
pub mod snapshot;
pub mod token;
pub mod view;

pub use business::{BusinessEntry, BusinessId, ChannelEntry, Fault};
pub use keys::{KeyIdentity, KeyRefusal, authenticate};
pub use secret::{SecretKeySettings, SecretKeys};
pub use snapshot::{KeyMatch, Snapshot};
pub use token::{AccessToken, TokenError};
pub use view::{DirectoryView, ViewEvent};
