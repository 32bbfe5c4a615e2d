//! Files of resources: read together, sent together, and remembered, so that a refusal is shown where it stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;

use api::v1;
use model::file::{FILE_OCTETS_MAX, Problem};
use model::resource::{self, Declared, ResourceId};
use tonic::Status;
use tonic_types::StatusExt;

use crate::error::Error;
use crate::table::visible;

/// What the files of one command say.
#[derive(Debug)]
pub(crate) struct Files {
    declared: Vec<Declared>,
    places: HashMap<ResourceId, usize>,
}

impl Files {
    /// Reads all of them; a resource that stands in two is refused.
    pub(crate) fn read(names: &[String]) -> Result<Self, Error> {
        let mut declared: Vec<Declared> = Vec::new();
        let mut places = HashMap::new();
        for name in names {
            let (shown, text) = read(name)?;
            for new in resource::read(&shown, &text)? {
                let id = new.resource.id();
                match places.entry(id) {
                    Entry::Vacant(entry) => entry.insert(declared.len()),
                    Entry::Occupied(entry) => {
                        let found = format!("{} stands in another file, too; expected it once", entry.key());
                        return Err(new.document.error("metadata.name", Problem::Value(found)).into());
                    }
                };
                declared.push(new);
            }
        }
        if declared.is_empty() { Err(Error::NothingGiven) } else { Ok(Self { declared, places }) }
    }

    /// As messages.
    pub(crate) fn resources(&self) -> Vec<v1::Resource> {
        self.declared.iter().map(|d| (&d.resource).into()).collect()
    }

    /// What they name.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ResourceId> {
        self.declared.iter().map(|d| d.resource.id())
    }

    /// A refusal of the manager, each reason with file, line and field where the field is in one of the files.
    pub(crate) fn explain(&self, status: &Status) -> Error {
        explain(status, |field, description| {
            let (id, path) = field.split_once(':')?;
            let id: ResourceId = id.parse().ok()?;
            let declared = &self.declared[*self.places.get(&id)?];
            Some(declared.document.error(path, Problem::Value(description.to_owned())).to_string())
        })
    }
}

/// A refusal of the manager in words; `locate` may know a better place for a field.
pub(crate) fn explain(status: &Status, locate: impl Fn(&str, &str) -> Option<String>) -> Error {
    let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    if violations.is_empty() {
        return Error::Status(visible(status.message()));
    }
    let reasons = violations.iter().map(|v| {
        let reason = locate(&v.field, &v.description).unwrap_or_else(|| match v.field.as_str() {
            "" => v.description.clone(),
            field => format!("{field}: {}", v.description),
        });
        visible(&reason)
    });
    Error::Refused(reasons.collect())
}

/// The name that is shown, and the text: of what has no end, no more than shows that it is too long.
fn read(name: &str) -> Result<(String, String), Error> {
    let shown = if name == "-" { "standard input" } else { name };
    let mut octets = Vec::new();
    let bounded = |from: &mut dyn Read, to: &mut Vec<u8>| from.take(FILE_OCTETS_MAX as u64 + 1).read_to_end(to);
    let read = match name {
        "-" => bounded(&mut std::io::stdin(), &mut octets),
        _ => std::fs::File::open(name).and_then(|mut file| bounded(&mut file, &mut octets)),
    };
    read.map_err(|source| Error::Read { file: shown.to_owned(), source })?;
    // A file that is too long may have been cut inside a character; that it is too long is what matters.
    let is_cut = octets.len() > FILE_OCTETS_MAX;
    match String::from_utf8(octets) {
        Ok(text) => Ok((shown.to_owned(), text)),
        Err(error) if is_cut => Ok((shown.to_owned(), String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Err(error) => {
            let (whole, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let line = whole.split(|octet| *octet == b'\n').count();
            let begun = whole.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
            let column = String::from_utf8_lossy(begun).chars().count() + 1;
            Err(Error::NotText { file: shown.to_owned(), line, column })
        }
    }
}
