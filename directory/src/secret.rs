//! The keys that access tokens are encrypted with, and where these come from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const SECRET_KEY: &str = "CAPI_SECRET_KEY";
const SECRET_KEY_FILE: &str = "CAPI_SECRET_KEY_FILE";
const SECRET_KEY_PREVIOUS: &str = "CAPI_SECRET_KEY_PREVIOUS";

/// How many bytes name the key that a token was sealed with.
pub(crate) const KEY_ID: usize = 4;

/// One key; wiped when dropped.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first bytes of the key's SHA-256: they choose among two keys and tell nothing of either.
    pub(crate) fn id(&self) -> [u8; KEY_ID] {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(self.bytes()));
        [a, b, c, d]
    }
}

/// The current key, and the one before it while a rotation is under way. Nothing formats it, and it is wiped when dropped.
pub struct SecretKeys {
    current: Key,
    previous: Option<Key>,
}

impl SecretKeys {
    /// From the keys' bytes.
    #[must_use]
    pub fn new(current: [u8; 32], previous: Option<[u8; 32]>) -> Self {
        Self { current: Key::new(current), previous: previous.map(Key::new) }
    }

    pub(crate) fn current(&self) -> &Key {
        &self.current
    }

    pub(crate) fn with_id(&self, id: [u8; KEY_ID]) -> Option<&Key> {
        self.all().find(|key| key.id() == id)
    }

    /// The current key, then the one before.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Key> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }
}

/// Where the keys come from. Flags stand in process lists, so the keys themselves are read from the environment or a
/// file only.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SecretKeySettings {
    /// File with the key that encrypts access tokens: 32 bytes in base64, on one line. The environment variable
    /// `CAPI_SECRET_KEY` holds the key itself instead; one of the two is required. After a rotation, the key before may
    /// stand in `CAPI_SECRET_KEY_PREVIOUS`, and still decrypts
    #[arg(long, env = SECRET_KEY_FILE, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
}

/// Why there is no usable key: one sentence, which never repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyFault {
    /// Neither a key nor a file.
    #[error("{SECRET_KEY} (32 bytes in base64) or {SECRET_KEY_FILE} is required")]
    Missing,
    /// A key and a file.
    #[error("{SECRET_KEY} and {SECRET_KEY_FILE} are both set: set one of them")]
    Both,
    /// The file cannot be read.
    #[error("{SECRET_KEY_FILE}: {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Not base64.
    #[error("{0} is not base64 (standard alphabet, with padding)")]
    NotBase64(&'static str),
    /// Another length.
    #[error("{name} has {bytes} bytes where 32 are needed; `openssl rand -base64 32` makes such a key")]
    Length {
        /// The setting.
        name: &'static str,
        /// Its length.
        bytes: usize,
    },
}

impl SecretKeySettings {
    /// The file that the key is read from, with the name of its setting.
    pub fn file(&self) -> Option<(&'static str, &Path)> {
        self.secret_key_file.as_deref().map(|file| (SECRET_KEY_FILE, file))
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// Where there is none, more than one, or one that is no key of 32 bytes.
    pub fn load(&self) -> Result<SecretKeys, SecretKeyFault> {
        self.load_with(|name| std::env::var(name).ok())
    }

    fn load_with(&self, environment: impl Fn(&'static str) -> Option<String>) -> Result<SecretKeys, SecretKeyFault> {
        let set = |name| environment(name).map(Zeroizing::new).filter(|value| !value.is_empty());
        let current = match (set(SECRET_KEY), &self.secret_key_file) {
            (None, None) => return Err(SecretKeyFault::Missing),
            (Some(_), Some(_)) => return Err(SecretKeyFault::Both),
            (Some(text), None) => decode(SECRET_KEY, &text)?,
            (None, Some(path)) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| SecretKeyFault::File { path: path.clone(), error })
                    .map(Zeroizing::new)?;
                decode(SECRET_KEY_FILE, text.trim_end())?
            }
        };
        let previous = set(SECRET_KEY_PREVIOUS).map(|text| decode(SECRET_KEY_PREVIOUS, &text)).transpose()?;
        Ok(SecretKeys { current, previous })
    }
}

fn decode(name: &'static str, text: &str) -> Result<Key, SecretKeyFault> {
    let bytes = BASE64_STANDARD.decode(text).map(Zeroizing::new).map_err(|_| SecretKeyFault::NotBase64(name))?;
    <[u8; 32]>::try_from(bytes.as_slice())
        .map(Key::new)
        .map_err(|_| SecretKeyFault::Length { name, bytes: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<SecretKeys, SecretKeyFault> {
        let settings = SecretKeySettings { secret_key_file: file.map(PathBuf::from) };
        settings
            .load_with(|name| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned()))
    }

    fn fault(file: Option<&str>, environment: &[(&str, &str)]) -> String {
        load(file, environment).err().unwrap().to_string()
    }

    #[test]
    fn keys_come_from_the_environment_or_a_file() {
        let keys = load(None, &[(SECRET_KEY, ONES), (SECRET_KEY_PREVIOUS, TWOS)]).ok().unwrap();
        assert_eq!((*keys.current.0, keys.previous.map(|key| *key.0)), ([1; 32], Some([2; 32])));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{TWOS}\n")).unwrap();
        let keys = load(file.path().to_str(), &[(SECRET_KEY, "")]).ok().unwrap();
        assert_eq!((*keys.current.0, keys.previous.is_none()), ([2; 32], true));
    }

    #[test]
    fn each_fault_says_what_is_wrong_and_repeats_no_key() {
        assert!(fault(None, &[]).contains("is required"));
        assert!(fault(Some("/key"), &[(SECRET_KEY, ONES)]).contains("both set"));
        assert!(fault(Some("/nowhere/key"), &[]).contains("/nowhere/key"));
        assert!(fault(None, &[(SECRET_KEY, "hunter2!")]).ends_with("is not base64 (standard alphabet, with padding)"));
        let short = fault(None, &[(SECRET_KEY, ONES), (SECRET_KEY_PREVIOUS, "AQEB")]);
        assert!(short.starts_with("CAPI_SECRET_KEY_PREVIOUS has 3 bytes") && !short.contains("AQEB"));
    }

    #[test]
    fn a_key_id_tells_keys_apart() {
        let keys = SecretKeys::new([1; 32], Some([2; 32]));
        assert_eq!(*keys.with_id(Key::new([2; 32]).id()).unwrap().0, [2; 32]);
        assert!(keys.with_id(Key::new([3; 32]).id()).is_none());
    }
}
