//! The services of `microslice.v1`: from messages to the model, and back. What is decided is decided elsewhere.

mod diff;
mod edge;
mod intent;
mod objective;
mod operation;
mod reading;
mod refuse;
mod slice;
mod template;
mod transport;

use std::str::FromStr;
use std::sync::Arc;

use tonic::Status;

use crate::core::Core;

/// Implements every service; each in its own file.
#[derive(Clone)]
pub(crate) struct Services(Arc<Core>);

impl Services {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self(core)
    }
}

/// A name in a request.
fn name<T: FromStr<Err = E>, E: ToString>(field: &str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|error: E| refuse::invalid(vec![(field.to_owned(), error.to_string())]))
}

/// A name that narrows an answer; none if it is left out.
fn narrowing<T: FromStr<Err = E>, E: ToString>(field: &str, text: &str) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { name(field, text).map(Some) }
}
