//! Businesses, their channels and API keys, and who signs in to the console: the model, the view that workers hold in
//! memory, and what only the command line and the console do, changing it.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | the id of a business |
//! | [`business`] | a business and its channel, checked |
//! | [`rules`] | what they may hold |
//! | [`users`] | who signs in, what they may see, and which sessions are over |
//! | [`snapshot`] | all of it at one moment |
//! | [`view`] | the snapshot that follows the directory's topic |
//! | [`keys`] | API keys: making them, and who a call comes from |
//! | [`token`] | access tokens, encrypted at rest |
//! | [`secret`] | the keys they are encrypted with, and where these come from |
//! | `sign` | what a browser is given and shows again, signed |
//! | [`store`] | changing it; `change` has what happens where two do at once, and `entry` the parts that change |
//! | [`link`] | the tracking link |

pub mod business;
mod change;
mod entry;
mod fold;
pub mod id;
pub mod keys;
pub mod link;
pub mod rules;
pub mod secret;
mod sign;
pub mod snapshot;
pub mod store;
mod subject;
pub mod token;
pub mod users;
pub mod view;

pub use business::{BusinessEntry, ChannelEntry};
pub use id::BusinessId;
pub use keys::{KeyIdentity, KeyRefusal, authenticate};
pub use rules::Fault;
pub use secret::{SecretKeySettings, SecretKeys};
pub use snapshot::{KeyMatch, Snapshot};
pub use store::{Store, StoreError};
pub use token::{AccessToken, TokenError};
pub use users::{Role, SessionId, User, UserName};
pub use view::{DirectoryView, ViewEvent};
