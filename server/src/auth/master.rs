//! The server's one secret: `<data-dir>/secret.key`. Every other key (session tokens, hashes of secret keys) is derived from it by
//! purpose, so that none can be used in another's place. Never printed, never sent.

use hmac::{Hmac, KeyInit, Mac};
use rand::RngCore;
use sha2::Sha256;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// 256 random bits.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads `<data_dir>/secret.key`, making it (mode 600) on the first start.
    pub fn load_or_create(data_dir: &Path) -> io::Result<MasterKey> {
        fs::create_dir_all(data_dir)?;
        let path = data_dir.join("secret.key");
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{} is not 64 hex digits; restore it from a backup (a new one makes all secret keys and tokens invalid)",
                        path.display()
                    ),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(data_dir, &path),
            Err(error) => Err(error),
        }
    }

    /// A key that lives in memory only, for tests.
    pub fn random() -> MasterKey {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        MasterKey(bytes)
    }

    /// The key for one purpose. The same purpose always gives the same key.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        self.mac(purpose).finalize().into_bytes().into()
    }

    /// Keyed hash of a secret that we need to recognise but never to read again, in lowercase hex.
    pub fn hash(&self, purpose: &str, secret: &str) -> String {
        // The key has a fixed length, so it cannot be refused.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.derive(purpose)).expect("any length is a key");
        mac.update(secret.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(b"karta/");
        mac.update(purpose.as_bytes());
        mac
    }

    /// Two processes may start at once: the file is written whole under another name and then linked, so the first one wins and both read it.
    fn create(data_dir: &Path, path: &Path) -> io::Result<MasterKey> {
        let key = Self::random();
        let draft = data_dir.join(format!("secret.key.{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(hex(&key.0).as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::load_or_create(data_dir)
            }
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<MasterKey> {
        let text = text.trim().as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit = |c: u8| (c as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(MasterKey(bytes))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_start_reads_the_same_key() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = MasterKey::load_or_create(&dir.path().join("new")).expect("made");
        let second = MasterKey::load_or_create(&dir.path().join("new")).expect("read");
        assert_eq!(first.0, second.0);
        assert_eq!(
            fs::read_dir(dir.path().join("new"))
                .expect("listed")
                .count(),
            1,
            "no draft stays behind"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        MasterKey::load_or_create(dir.path()).expect("made");
        let mode = fs::metadata(dir.path().join("secret.key"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            fs::write(dir.path().join("secret.key"), text).expect("written");
            assert!(MasterKey::load_or_create(dir.path()).is_err(), "{text}");
            assert_eq!(
                fs::read_to_string(dir.path().join("secret.key")).expect("kept"),
                text
            );
        }
    }

    #[test]
    fn purposes_give_different_keys_and_nothing_prints_them() {
        let key = MasterKey::random();
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_ne!(key.hash("a", "x"), key.hash("a", "y"));
        assert_ne!(key.hash("a", "x"), key.hash("b", "x"));
        assert_eq!(key.hash("a", "x"), key.hash("a", "x"));
        assert_eq!(format!("{key:?}"), "***");
    }
}
