//! The profiles: those that come with Microslice, or those of a folder.

use std::path::{Path, PathBuf};

use model::profile::{Catalog, CatalogError};

/// The profiles can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// The folder or a file can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// More files than profiles can be.
    #[error("{} has more than {PROFILE_FILES_MAX} profiles; is it the right folder?", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// One of them is wrong.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Reads every `.yaml` of a folder and of the folders in it, save `reference`, which holds resources; without a folder,
/// the profiles that are built in.
pub(crate) fn load(dir: Option<&Path>) -> Result<Catalog, ProfilesError> {
    let Some(dir) = dir else { return Ok(Catalog::builtin()?) };
    let mut files = Vec::new();
    collect(dir, dir, &mut files)?;
    files.sort();
    Ok(Catalog::from_files(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) -> Result<(), ProfilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ProfilesError::Read { path, source }
    };
    for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != RESOURCES) {
                collect(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            if files.len() >= PROFILE_FILES_MAX {
                return Err(ProfilesError::TooMany { path: root.to_owned() });
            }
            let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
            files.push((path.display().to_string(), text));
        }
    }
    Ok(())
}

const RESOURCES: &str = "reference";
const PROFILE_FILES_MAX: usize = 1_000;
