//! Conversions between messages and the model.

mod operation;
mod plan;
mod program;
mod queueing;
mod resource;
mod topology;
mod transport;

use model::operation::{InvalidOperationId, Timestamp};
use model::resource::InvalidResourceId;
use model::{DuplicateName, InvalidAddress, InvalidLimits, InvalidName, InvalidShare, OutOfRange};

/// A message that is no value of the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ConvertError {
    /// The field, as the JSON form of the message has it, such as `slice.sdps[1].vlan`.
    pub path: String,
    /// What is wrong with it.
    pub problem: ConvertProblem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertProblem {
    /// A field that must be there is not.
    #[error("missing; expected {0}")]
    Missing(&'static str),
    /// A number is out of range.
    #[error(transparent)]
    Number(#[from] OutOfRange),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Two members of a list have one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateName),
    /// An address is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// Rates contradict each other.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// A share is none.
    #[error(transparent)]
    Share(#[from] InvalidShare),
    /// A text that is none of the values of its kind.
    #[error("`{found}` is not {what}")]
    Text {
        /// What was wanted.
        what: &'static str,
        /// The text.
        found: String,
    },
    /// An enumeration has no such value, or was left unspecified.
    #[error("{found} is not a value of {what}")]
    Enumeration {
        /// The enumeration.
        what: &'static str,
        /// The number.
        found: i32,
    },
    /// A resource is not named.
    #[error(transparent)]
    Resource(#[from] InvalidResourceId),
    /// An operation is not named.
    #[error(transparent)]
    Operation(#[from] InvalidOperationId),
    /// Two fields that exclude each other.
    #[error("set together with {0}; expected one of the two")]
    Contradiction(&'static str),
    /// A digest of another length.
    #[error("{0} octets; expected the 32 of a SHA-256 digest")]
    Digest(usize),
    /// The digest is not that of the content.
    #[error("the digest is not that of the content")]
    DigestMismatch,
}

/// Says which field a problem is about; fields are added from the inside out.
pub(crate) trait At<T> {
    fn at(self, field: &str) -> Result<T, ConvertError>;

    fn at_index(self, field: &str, index: usize) -> Result<T, ConvertError>
    where
        Self: Sized,
    {
        self.at(&format!("{field}[{index}]"))
    }
}

impl<T, E: Into<ConvertProblem>> At<T> for Result<T, E> {
    fn at(self, field: &str) -> Result<T, ConvertError> {
        self.map_err(|problem| ConvertError { path: field.to_owned(), problem: problem.into() })
    }
}

/// Adds an outer field to a path.
pub(crate) trait Within<T> {
    fn within(self, field: &str) -> Result<T, ConvertError>;

    fn within_index(self, field: &str, index: usize) -> Result<T, ConvertError>
    where
        Self: Sized,
    {
        self.within(&format!("{field}[{index}]"))
    }
}

impl<T> Within<T> for Result<T, ConvertError> {
    fn within(self, field: &str) -> Result<T, ConvertError> {
        self.map_err(|mut error| {
            error.path = format!("{field}.{}", error.path);
            error
        })
    }
}

/// A message field that must be there.
pub(crate) fn required<T>(value: Option<T>, what: &'static str, field: &str) -> Result<T, ConvertError> {
    value.ok_or(ConvertProblem::Missing(what)).at(field)
}

/// A text in the form that `FromStr` reads.
pub(crate) fn text<T: std::str::FromStr>(found: &str, what: &'static str) -> Result<T, ConvertProblem> {
    found.parse().map_err(|_| ConvertProblem::Text { what, found: found.chars().take(64).collect() })
}

/// A number that fits 16 bits.
pub(crate) fn narrow16(what: &'static str, min: u16, found: u32) -> Result<u16, ConvertProblem> {
    u16::try_from(found).ok().filter(|n| *n >= min).ok_or_else(|| {
        let range = OutOfRange { what, found: u64::from(found), min: u64::from(min), max: u64::from(u16::MAX) };
        ConvertProblem::Number(range)
    })
}

/// A number from 1 that fits 8 bits.
pub(crate) fn narrow8(what: &'static str, found: u32) -> Result<u8, ConvertProblem> {
    u8::try_from(found).ok().filter(|n| *n > 0).ok_or_else(|| {
        ConvertProblem::Number(OutOfRange { what, found: u64::from(found), min: 1, max: u64::from(u8::MAX) })
    })
}

/// An enumeration: the value, or the number as found.
pub(crate) fn enumeration<E: TryFrom<i32>, T>(
    found: i32,
    what: &'static str,
    map: impl FnOnce(E) -> Option<T>,
) -> Result<T, ConvertProblem> {
    E::try_from(found).ok().and_then(map).ok_or(ConvertProblem::Enumeration { what, found })
}

/// A list, each member converted, its index in the path of an error.
pub(crate) fn list<M, T>(
    messages: Vec<M>,
    field: &str,
    convert: impl Fn(M) -> Result<T, ConvertError>,
) -> Result<Vec<T>, ConvertError> {
    messages.into_iter().enumerate().map(|(index, message)| convert(message).within_index(field, index)).collect()
}

/// A list of texts.
pub(crate) fn texts<T: std::str::FromStr<Err = E>, E: Into<ConvertProblem>>(
    found: &[String],
    field: &str,
) -> Result<Vec<T>, ConvertError> {
    found.iter().enumerate().map(|(index, text)| text.parse::<T>().at_index(field, index)).collect()
}

/// A moment as protobuf has it.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1000).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds, nanos }
}

/// A moment from protobuf; before 1970 counts as 1970.
pub(crate) fn moment(at: prost_types::Timestamp) -> Timestamp {
    let millis = u64::try_from(at.nanos / 1_000_000).unwrap_or(0);
    Timestamp(u64::try_from(at.seconds).unwrap_or(0).saturating_mul(1000).saturating_add(millis))
}

#[cfg(test)]
mod tests;
