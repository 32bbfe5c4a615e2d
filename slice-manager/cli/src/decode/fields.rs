//! The fields of a layer, written as tshark writes them.

use std::fmt::{Display, Write as _};

use serde_json::{Map, Value};

/// The fields of one layer, by name.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A number.
    pub(super) fn number(mut self, name: &str, value: impl Into<u64>) -> Self {
        self.0.insert(name.into(), value.into().into());
        self
    }

    /// A flag: 0 or 1.
    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.number(name, value)
    }

    /// A number in hexadecimal, with so many digits.
    pub(super) fn hex(self, name: &str, value: impl Into<u64>, digits: usize) -> Self {
        self.text(name, format_args!("{:#0width$x}", value.into(), width = digits + 2))
    }

    /// What has a text of its own: addresses and names.
    pub(super) fn text(mut self, name: &str, value: impl Display) -> Self {
        self.0.insert(name.into(), value.to_string().into());
        self
    }

    /// Octets in hexadecimal.
    pub(super) fn octets(self, name: &str, value: &[u8]) -> Self {
        let mut text = String::with_capacity(value.len() * 2);
        for octet in value {
            let _ = write!(text, "{octet:02x}");
        }
        self.text(name, text)
    }

    /// Values that have a form of their own.
    pub(super) fn value(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// What tshark calls the status of a checksum.
    pub(super) fn checksum(self, name: &str, status: Checksum) -> Self {
        self.number(name, status as u8)
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Does a checksum hold? The numbers are tshark's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Checksum {
    Bad = 0,
    Good = 1,
    /// Not all that it covers is there.
    Unverified = 2,
    /// The sender left it out.
    Absent = 3,
}

impl From<bool> for Checksum {
    fn from(holds: bool) -> Self {
        if holds { Self::Good } else { Self::Bad }
    }
}
