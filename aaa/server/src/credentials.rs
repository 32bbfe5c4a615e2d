//! The secrets of a realm: its clients' and its users', read from one file that only the edge can read.
//!
//! ```yaml
//! clients:
//!   - { name: city-switch, secret: "..." }
//! users:
//!   - { name: meter-0042, password: "...", mac: "02:00:00:00:00:2a", address: 10.20.0.42 }
//!   - { name: head-end, password: "...", sessions: 2 }
//! ```
//!
//! The manager never sees it. Secrets are kept in types that erase themselves and print nothing; errors name the place
//! and never the value. The text of the file is erased after reading; the YAML reader's passing copies are not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aaa_wire::{Password, SharedSecret};
use model::file::{self, Document, FILE_OCTETS_MAX, FileError, Problem};
use model::resource::SegmentId;
use model::{ClientName, Mac};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The secrets of one realm.
#[derive(Debug, Default)]
pub struct Credentials {
    secrets: HashMap<ClientName, SharedSecret>,
    users: HashMap<Box<str>, User>,
    /// Which user an address belongs to.
    owners: HashMap<IpAddr, Box<str>>,
    /// Which users an endpoint belongs to.
    stations: HashMap<Mac, Vec<Box<str>>>,
}

/// By what a file is known to be the one that was read. Two of the same file differ if it was written in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What a user must prove, and what comes with it.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) password: Password,
    /// The only endpoint that may use the credential.
    pub(crate) mac: Option<Mac>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) address6: Option<Ipv6Addr>,
    /// How many endpoints may use it at once.
    pub(crate) sessions_max: u32,
}

impl Credentials {
    /// Reads `FOLDER/SLICE/SEGMENT.yaml`.
    pub fn read(folder: &Path, id: &SegmentId) -> Result<Self, SecretsError> {
        let path = path(folder, id);
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => SecretsError::Missing { file: file.clone() },
            kind => SecretsError::Unreadable { file: file.clone(), kind },
        };
        // Before it is opened, for to open a pipe that nobody writes to would hold us up.
        if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(SecretsError::NoFile { file });
        }
        let opened = std::fs::File::open(&path).map_err(unreadable)?;
        // Of the opened file, so that it can't be exchanged between the check and the reading.
        let mode = opened.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretsError::Exposed { file, mode });
        }
        let mut text = Zeroizing::new(String::new());
        // One octet more than is allowed, so that the reader sees that it is too long.
        opened.take(FILE_OCTETS_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&file, &text)
    }

    /// What tells whether the file is another than before; none if there is none.
    pub(crate) fn stamp(folder: &Path, id: &SegmentId) -> Option<Stamp> {
        let metadata = std::fs::metadata(path(folder, id)).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// From the text of a file, which is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, SecretsError> {
        let documents = file::parse(file, text).map_err(silenced)?;
        let [document] = documents.as_slice() else {
            return Err(SecretsError::Documents { file: file.to_owned(), count: documents.len() });
        };
        let spec: SecretsFile = document.read().map_err(silenced)?;
        if spec.users.len() > USERS_MAX {
            return Err(refuse(document, "users", format!("{} users; expected at most {USERS_MAX}", spec.users.len())));
        }
        let mut credentials = Self::default();
        for (index, client) in spec.clients.iter().enumerate() {
            credentials
                .add_client(client)
                .map_err(|(field, problem)| refuse(document, &format!("clients[{index}].{field}"), problem))?;
        }
        for (index, user) in spec.users.iter().enumerate() {
            credentials
                .add_user(user)
                .map_err(|(field, problem)| refuse(document, &format!("users[{index}].{field}"), problem))?;
        }
        Ok(credentials)
    }

    /// The shared secret of a client.
    pub(crate) fn secret(&self, client: &ClientName) -> Option<&SharedSecret> {
        self.secrets.get(client)
    }

    /// The user of that name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The user whose credential names the address.
    pub(crate) fn owner(&self, address: IpAddr) -> Option<&str> {
        self.owners.get(&address).map(AsRef::as_ref)
    }

    /// May a user have an endpoint? One that credentials name is for their users alone.
    pub(crate) fn may_have(&self, user: &str, mac: Mac) -> bool {
        self.stations.get(&mac).is_none_or(|users| users.iter().any(|owner| **owner == *user))
    }

    fn add_client(&mut self, spec: &ClientSecret) -> Result<(), Mistake> {
        let secret = SharedSecret::new(spec.secret.0.as_bytes()).map_err(|e| ("secret", e.to_string()))?;
        match self.secrets.insert(spec.name.clone(), secret) {
            None => Ok(()),
            Some(_) => Err(("name", format!("the client `{}` stands twice; expected each once", spec.name))),
        }
    }

    fn add_user(&mut self, spec: &UserSpec) -> Result<(), Mistake> {
        if !(1..=USER_NAME_OCTETS_MAX).contains(&spec.name.len()) {
            return Err((
                "name",
                format!("a name of {} octets; expected 1 to {USER_NAME_OCTETS_MAX}", spec.name.len()),
            ));
        }
        let password = Password::new(spec.password.0.as_bytes()).map_err(|e| ("password", e.to_string()))?;
        if let Some(mac) = spec.mac.filter(|mac| !mac.is_unicast()) {
            return Err(("mac", format!("{mac} is no address of an endpoint")));
        }
        let sessions_max = spec.sessions.map_or(1, NonZeroU32::get);
        for (field, address) in [("address", spec.address.map(IpAddr::V4)), ("address6", spec.address6.map(IpAddr::V6))]
        {
            let Some(address) = address else { continue };
            if !is_endpoint_address(address) {
                return Err((field, format!("{address} is no address of an endpoint")));
            }
            if sessions_max > 1 {
                return Err((field, format!("one address can't be bound to {sessions_max} sessions")));
            }
            match self.owners.entry(address) {
                Entry::Vacant(entry) => entry.insert(spec.name.as_str().into()),
                Entry::Occupied(entry) => return Err((field, format!("{address} is the user `{}`'s", entry.get()))),
            };
        }
        if let Some(mac) = spec.mac {
            self.stations.entry(mac).or_default().push(spec.name.as_str().into());
        }
        let user = User { password, mac: spec.mac, address: spec.address, address6: spec.address6, sessions_max };
        match self.users.insert(spec.name.as_str().into(), user) {
            None => Ok(()),
            Some(_) => Err(("name", format!("the user `{}` stands twice; expected each once", spec.name))),
        }
    }
}

fn path(folder: &Path, id: &SegmentId) -> PathBuf {
    folder.join(id.slice.as_str()).join(id.segment.as_str()).with_extension("yaml")
}

/// Can it be the address of one endpoint?
pub(crate) fn is_endpoint_address(address: IpAddr) -> bool {
    let somewhere = !address.is_unspecified() && !address.is_loopback() && !address.is_multicast();
    match address {
        // 0.0.0.0/8 and 240.0.0.0/4 are never an endpoint's (RFC 6890, section 2.2.2); with them go broadcast and the two
        // values by which Framed-IP-Address leaves the choice to others (RFC 2865, section 5.8).
        IpAddr::V4(v4) => somewhere && (1..240).contains(&v4.octets()[0]),
        IpAddr::V6(v6) => somewhere && v6.to_ipv4_mapped().is_none(),
    }
}

/// Why a realm has no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// There is no such file.
    #[error("{file} does not exist")]
    Missing {
        /// The file.
        file: String,
    },
    /// It can't be read.
    #[error("{file} can't be read: {kind}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// It is a folder, a pipe or a device.
    #[error("{file} is no file")]
    NoFile {
        /// Where a file should be.
        file: String,
    },
    /// Others than its owner can read or change it.
    #[error("{file} has mode {mode:04o}; expected that only its owner can read it: 0600")]
    Exposed {
        /// The file.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds none or several documents.
    #[error("{file}: {count} documents; expected one")]
    Documents {
        /// The file.
        file: String,
        /// How many.
        count: usize,
    },
    /// A mistake in it.
    #[error(transparent)]
    Invalid(#[from] FileError),
}

/// The field that is wrong, and what is.
type Mistake = (&'static str, String);

fn refuse(document: &Document, path: &str, problem: String) -> SecretsError {
    SecretsError::Invalid(document.error(path, Problem::Value(problem)))
}

/// Takes the value out of an error: where one thing was expected and another found, the other may be a password that
/// stands in the wrong place.
fn silenced(mut error: FileError) -> SecretsError {
    if let Problem::Value(text) = &mut error.problem
        && text.starts_with("invalid ")
        && let Some((_, expected)) = text.rsplit_once(", expected ")
    {
        *text = format!("a value of another kind; expected {expected}");
    }
    SecretsError::Invalid(error)
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsFile {
    #[serde(default)]
    clients: Vec<ClientSecret>,
    #[serde(default)]
    users: Vec<UserSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSecret {
    name: ClientName,
    secret: SecretText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserSpec {
    name: String,
    password: SecretText,
    #[serde(default)]
    mac: Option<Mac>,
    #[serde(default)]
    address: Option<Ipv4Addr>,
    #[serde(default)]
    address6: Option<Ipv6Addr>,
    #[serde(default)]
    sessions: Option<NonZeroU32>,
}

/// A text that is not told again, not even in the error about it.
struct SecretText(Zeroizing<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = SecretText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, in quotes")
            }
            fn visit_str<E>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(Zeroizing::new(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<SecretText, E> {
                Ok(SecretText(Zeroizing::new(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// How many users a realm may have.
pub(crate) const USERS_MAX: usize = 100_000;
/// The longest value of an attribute, and so of User-Name (RFC 2865, section 5).
const USER_NAME_OCTETS_MAX: usize = aaa_wire::ATTRIBUTE_VALUE_OCTETS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Credentials::parse("s.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read() {
        let text = "clients:\n  - { name: city-switch, secret: \"testing123\" }\nusers:\n  - { name: meter-0042, \
                    password: \"x\", mac: \"02-00-00-00-00-2A\", address: 10.20.0.42, address6: \"2001:db8::42\" }\n  - { name: \
                    head-end, password: \"y\", sessions: 2 }\n";
        let credentials = Credentials::parse("s.yaml", text).unwrap();
        assert!(credentials.secret(&"city-switch".parse().unwrap()).unwrap().expose() == b"testing123");
        let meter = credentials.user("meter-0042").unwrap();
        assert_eq!((meter.mac, meter.sessions_max), (Some(Mac([2, 0, 0, 0, 0, 0x2a])), 1));
        assert_eq!(credentials.owner([10, 20, 0, 42].into()), Some("meter-0042"));
        assert_eq!(credentials.owner("2001:db8::42".parse().unwrap()), Some("meter-0042"));
        assert_eq!(credentials.user("head-end").unwrap().sessions_max, 2);
        assert!(credentials.user("nobody").is_none());
        assert!(!format!("{credentials:?}").contains("testing123"));
    }

    #[test]
    fn a_mistake_is_answered_with_its_place() {
        for (text, wanted) in [
            ("client: []", "s.yaml:1:1: client: unknown field `client`, expected `clients` or `users`"),
            ("users:\n- { name: a }\n", "s.yaml:2:3: users[0]: missing field `password`"),
            ("users:\n- { name: a, password: \"\" }\n", "s.yaml:2:24: users[0].password: an empty secret"),
            ("users:\n- { name: a, password: b, pin: 1 }\n", "s.yaml:2:32: users[0].pin: unknown field `pin`"),
            ("users:\n- { name: a, password: b, mac: \"01:00:00:00:00:01\" }\n", "s.yaml:2:32: users[0].mac: 01:00"),
            (
                "users:\n- { name: a, password: b, address: 224.0.0.1 }\n",
                "s.yaml:2:36: users[0].address: 224.0.0.1 is no",
            ),
            (
                "users:\n- { name: a, password: b, sessions: 0 }\n",
                "s.yaml:2:37: users[0].sessions: a value of another kind",
            ),
            (
                "users:\n- { name: a, password: b }\n- { name: a, password: c }\n",
                "s.yaml:3:11: users[1].name: the user `a`",
            ),
            (
                "users:\n- { name: a, password: b, address: 10.0.0.1 }\n- { name: c, password: d, address: 10.0.0.1 }\n",
                "s.yaml:3:36: users[1].address: 10.0.0.1 is the user `a`'s",
            ),
            (
                "users:\n- { name: a, password: b, address: 10.0.0.1, sessions: 2 }\n",
                "s.yaml:2:36: users[0].address: one",
            ),
            (
                "clients:\n- { name: a, secret: b }\n- { name: a, secret: c }\n",
                "s.yaml:3:11: clients[1].name: the client `a`",
            ),
            ("", "s.yaml: 0 documents; expected one"),
        ] {
            assert!(message(text).starts_with(wanted), "{}", message(text));
        }
    }

    #[test]
    fn no_error_tells_a_secret() {
        for text in [
            "users:\n- { name: a, password: 271828 }\n",
            "users:\n- { name: a, password: [271828] }\n",
            "users:\n- \"271828\"\n",
            "users: \"271828, expected 271828\"\n",
            "clients:\n- { name: a, secret: 271828.5 }\n",
            "clients:\n- { name: a, secret: b, sessions: 271828 }\n",
            "users:\n- { name: a, password: b, sessions: \"271828\" }\n",
        ] {
            let told = message(text).replace("users: a value of another kind; expected 271828\"", "");
            assert!(!told.contains("271828"), "{told}");
        }
        let number = message("users:\n- { name: a, password: 271828 }\n");
        assert_eq!(number, "s.yaml:2:24: users[0].password: a value of another kind; expected a text, in quotes");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let id = SegmentId { slice: "iot".parse().unwrap(), segment: "smart-metering".parse().unwrap() };
        let missing = Credentials::read(folder.path(), &id).unwrap_err();
        assert!(matches!(missing, SecretsError::Missing { ref file } if file.ends_with("iot/smart-metering.yaml")));
        let path = folder.path().join("iot/smart-metering.yaml");
        std::fs::create_dir(folder.path().join("iot")).unwrap();
        std::fs::write(&path, "clients: []\n").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o602, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = Credentials::read(folder.path(), &id).unwrap_err();
            assert!(matches!(refused, SecretsError::Exposed { mode: found, .. } if found == mode), "{refused}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(Credentials::read(folder.path(), &id).is_ok());
        }
    }

    #[test]
    fn an_endpoint_s_address_is_one_endpoint_s() {
        for good in ["10.0.0.1", "169.254.1.1", "192.0.2.1", "2001:db8::1", "fe80::1"] {
            assert!(is_endpoint_address(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "255.255.255.254",
            "::",
            "::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_endpoint_address(bad.parse().unwrap()), "{bad}");
        }
    }
}
