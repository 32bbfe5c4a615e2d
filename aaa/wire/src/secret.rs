//! Shared secrets and passwords: never printed, zeroised when dropped, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that can't be a secret of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// A shared secret must not be empty (RFC 2865, section 3).
    #[error("an empty secret protects nothing; expected 1 to {SECRET_OCTETS_MAX} octets")]
    Empty,
    /// Longer than a secret of its kind may be.
    #[error("a secret of {octets} octets; expected at most {most}")]
    TooLong {
        /// How long it is.
        octets: usize,
        /// How long it may be.
        most: usize,
    },
}

macro_rules! secret_type {
    ($(#[$doc:meta])* $name:ident, $most:expr) => {
        $(#[$doc])*
        pub struct $name(Zeroizing<Box<[u8]>>);

        impl $name {
            /// Checks the length and copies the octets. The caller's copy is the caller's to erase.
            pub fn new(octets: &[u8]) -> Result<Self, InvalidSecret> {
                match octets.len() {
                    0 => Err(InvalidSecret::Empty),
                    len if len > $most => Err(InvalidSecret::TooLong { octets: len, most: $most }),
                    _ => Ok(Self(Zeroizing::new(octets.into()))),
                }
            }

            /// The octets, for a computation; not for storing or printing.
            pub fn expose(&self) -> &[u8] {
                &self.0
            }
        }

        impl PartialEq for $name {
            /// In a time that depends on the lengths alone.
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret_type! {
    /// The secret that a client and a server share (RFC 2865, section 3).
    SharedSecret, SECRET_OCTETS_MAX
}
secret_type! {
    /// A user's password (RFC 2865, section 5.2: at most 128 octets).
    Password, PASSWORD_OCTETS_MAX
}

/// The longest shared secret; longer ones gain nothing over MD5's 16 octets.
const SECRET_OCTETS_MAX: usize = 255;
/// The longest password that User-Password can carry (RFC 2865, section 5.2).
pub(crate) const PASSWORD_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = SharedSecret::new(b"xyzzy5461").unwrap();
        assert_eq!(format!("{secret:?}"), "SharedSecret(redacted)");
        assert_eq!(format!("{:?}", Password::new(b"arctangent").unwrap()), "Password(redacted)");
    }

    #[test]
    fn an_empty_and_an_endless_secret_are_refused() {
        assert_eq!(SharedSecret::new(b"").unwrap_err(), InvalidSecret::Empty);
        assert!(Password::new(&[b'x'; 128]).is_ok());
        assert_eq!(Password::new(&[b'x'; 129]).unwrap_err(), InvalidSecret::TooLong { octets: 129, most: 128 });
    }

    #[test]
    fn secrets_of_other_lengths_and_contents_differ() {
        let a = SharedSecret::new(b"abc").unwrap();
        assert!(a == SharedSecret::new(b"abc").unwrap());
        assert!(a != SharedSecret::new(b"abd").unwrap());
        assert!(a != SharedSecret::new(b"abcd").unwrap());
    }
}
