//! Answers: a table for people, or the message itself.

use std::io::Write;

use prost::{Message, Name};

use crate::args::Form;
use crate::error::Error;

/// Writes a message in the form that was asked for; `table` writes it for people.
pub(crate) fn write<M: Message + Name>(
    out: &mut dyn Write,
    form: Form,
    message: &M,
    table: impl FnOnce(&M) -> String,
) -> Result<(), Error> {
    match form {
        Form::Table => out.write_all(table(message).as_bytes())?,
        Form::Json => {
            let json = api::to_json(message)?;
            writeln!(out, "{}", serde_json::to_string_pretty(&json).map_err(|e| Error::Json(e.to_string()))?)?;
        }
        Form::Yaml => {
            let json = api::to_json(message)?;
            let yaml = serde_saphyr::to_string(&json).map_err(|e| Error::Json(e.to_string()))?;
            writeln!(out, "{}", yaml.trim_end())?;
        }
    }
    out.flush()?;
    Ok(())
}
