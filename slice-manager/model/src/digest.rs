//! A digest by which two programs are known to be the same.

use std::fmt;

use sha2::Digest as _;

/// SHA-256 of a program's canonical form. Equal digests mean equal programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a value, by its JSON form: fields in declaration order, maps in key order, so it is the same on every node.
    pub fn of<T: serde::Serialize>(value: &T) -> Self {
        let mut hasher = Hasher(sha2::Sha256::new());
        // Writing into a hasher can't fail, and every type that is digested has string keys.
        let _ = serde_json::to_writer(&mut hasher, value);
        Self(hasher.0.finalize().into())
    }

    /// From its 32 octets.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits; `{:.12}` prints the first twelve.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(64);
        self.0.iter().flat_map(|b| [b >> 4, b & 15]).take(digits).try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self:.12})")
    }
}

struct Hasher(sha2::Sha256);

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha256_of_the_json_form() {
        // FIPS 180-4 example "abc" is over raw octets; here the text is the JSON string, quotes included:
        // printf '"abc"' | sha256sum
        assert_eq!(Digest::of(&"abc").to_string(), "6cc43f858fbb763301637b5af970e2a46b46f461f27e5a0f41e009c59b827b25");
    }
}
