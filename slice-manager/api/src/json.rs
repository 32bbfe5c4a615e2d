//! The proto3 JSON form of messages, by their descriptors.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use crate::DESCRIPTORS;

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// A message that has no JSON form; only a build whose descriptors do not match its code can meet it.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The descriptors do not name the message.
    #[error("`{0}` is not a message of this API")]
    Unknown(&'static str),
    /// The message does not decode by its descriptor.
    #[error("a message does not match its descriptor")]
    Decode(#[from] prost::DecodeError),
    /// A value has no JSON form, such as a timestamp out of range.
    #[error("a value has no JSON form")]
    Value(#[from] serde_json::Error),
}

/// The proto3 JSON of a message: lowerCamelCase names, 64-bit numbers as strings, octets in base64, and every field
/// that is not optional, even where it has its default.
pub fn to_json<M: Message + Name>(message: &M) -> Result<serde_json::Value, JsonError> {
    let descriptor =
        POOL.as_ref().and_then(|pool| pool.get_message_by_name(&M::full_name())).ok_or(JsonError::Unknown(M::NAME))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let options = SerializeOptions::new().skip_default_fields(false);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}
