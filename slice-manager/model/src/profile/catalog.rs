//! All profiles together, checked against one another.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::aaa::AaaProfileSpec;
use super::segment::SegmentProfileSpec;
use super::template::TemplateSpec;
use super::{AaaProfile, ClassMap, FiveQi, FiveQiTable, GstValue, SegmentProfile, Template};
use crate::ProfileName;
use crate::file::{self, Document, FileError, Problem};
use crate::resource::{ResourceFile, TopLevel, check_version, unknown_kind};

/// All profiles.
#[derive(Debug, Clone)]
pub struct Catalog {
    templates: BTreeMap<ProfileName, Template>,
    segments: BTreeMap<ProfileName, SegmentProfile>,
    aaa: BTreeMap<ProfileName, AaaProfile>,
    five_qi: FiveQiTable,
    classes: ClassMap,
}

impl Catalog {
    /// The profiles that come with Microslice.
    pub fn builtin() -> Result<Self, CatalogError> {
        Self::from_files(BUILTIN.iter().copied())
    }

    /// From files: name and text of each.
    pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut loader = Loader::default();
        for (name, text) in files {
            for document in file::parse(name, text)? {
                loader.add(&document)?;
            }
        }
        loader.finish()
    }

    /// The template of a name.
    pub fn template(&self, name: &ProfileName) -> Option<&Template> {
        self.templates.get(name)
    }

    /// All templates, by name.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// The segment profile of a name.
    pub fn segment(&self, name: &ProfileName) -> Option<&SegmentProfile> {
        self.segments.get(name)
    }

    /// All segment profiles, by name.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentProfile> {
        self.segments.values()
    }

    /// The AAA profile of a name.
    pub fn aaa(&self, name: &ProfileName) -> Option<&AaaProfile> {
        self.aaa.get(name)
    }

    /// All AAA profiles, by name.
    pub fn aaa_profiles(&self) -> impl Iterator<Item = &AaaProfile> {
        self.aaa.values()
    }

    /// The table of 5QIs.
    pub const fn five_qi(&self) -> &FiveQiTable {
        &self.five_qi
    }

    /// The class map.
    pub const fn classes(&self) -> &ClassMap {
        &self.classes
    }
}

/// What is wrong with the profiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// One of the files is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// There must be one table of 5QIs and one class map.
    #[error("there is no document of kind {0}; expected one")]
    Missing(&'static str),
}

/// Documents are kept until all are read, so that a reference to a missing profile is shown where it stands.
#[derive(Default)]
struct Loader {
    templates: BTreeMap<ProfileName, (Template, Document)>,
    segments: BTreeMap<ProfileName, (SegmentProfile, Document)>,
    aaa: BTreeMap<ProfileName, AaaProfile>,
    five_qi: Option<FiveQiTable>,
    classes: Option<(ClassMap, Document)>,
}

impl Loader {
    fn add(&mut self, document: &Document) -> Result<(), FileError> {
        check_version(document)?;
        match document.text("kind") {
            Some("Template") => {
                let (name, spec) = read::<TemplateSpec>(document)?;
                let entry = (Template { name: name.clone(), spec }, document.clone());
                once(document, self.templates.insert(name, entry).is_none())
            }
            Some("SegmentProfile") => {
                let (name, spec) = read::<SegmentProfileSpec>(document)?;
                let entry = (SegmentProfile { name: name.clone(), spec }, document.clone());
                once(document, self.segments.insert(name, entry).is_none())
            }
            Some("AaaProfile") => {
                let (name, spec) = read::<AaaProfileSpec>(document)?;
                let profile = AaaProfile { name: name.clone(), description: spec.description, features: spec.features };
                once(document, self.aaa.insert(name, profile).is_none())
            }
            Some("FiveQITable") => once(document, self.five_qi.replace(read::<FiveQiTable>(document)?.1).is_none()),
            Some("ClassMap") => {
                let map = read::<ClassMap>(document)?.1;
                once(document, self.classes.replace((map, document.clone())).is_none())
            }
            other => Err(unknown_kind(document, other.unwrap_or_default(), &PROFILE_KINDS)),
        }
    }

    fn finish(self) -> Result<Catalog, CatalogError> {
        let five_qi = self.five_qi.ok_or(CatalogError::Missing("FiveQITable"))?;
        let (classes, document) = self.classes.ok_or(CatalogError::Missing("ClassMap"))?;
        for row in &five_qi.rows {
            if classes.get(row.five_qi).is_none() {
                let problem = format!("no row for 5QI {}; expected one for each 5QI of the table", row.five_qi);
                return Err(document.error("spec.rows", Problem::Value(problem)).into());
            }
        }
        check_classes(&classes, &document)?;
        for (template, document) in self.templates.values() {
            check_template(template, &five_qi, document)?;
        }
        for (profile, document) in self.segments.values() {
            if !self.aaa.contains_key(&profile.spec.aaa) {
                let problem = format!("there is no AAA profile `{}`", profile.spec.aaa);
                return Err(document.error("spec.aaa", Problem::Value(problem)).into());
            }
        }
        Ok(Catalog {
            templates: self.templates.into_iter().map(|(name, (template, _))| (name, template)).collect(),
            segments: self.segments.into_iter().map(|(name, (profile, _))| (name, profile)).collect(),
            aaa: self.aaa,
            five_qi,
            classes,
        })
    }
}

/// No traffic of a slice looks like network control, and each marking is told once, of a class that there is.
fn check_classes(classes: &ClassMap, document: &Document) -> Result<(), FileError> {
    let mut inner = BTreeSet::new();
    let rows = classes.rows.iter().enumerate().map(|(at, row)| (format!("spec.rows[{at}].dscp"), row.dscp));
    let told = classes.markings.iter().enumerate().map(|(at, row)| (format!("spec.markings[{at}].dscp"), row.dscp));
    for (path, dscp) in rows.chain(told) {
        if dscp.get() >= NETWORK_CONTROL {
            let problem = format!("{dscp} is for network control; expected 0 to {}", NETWORK_CONTROL - 1);
            return Err(document.error(&path, Problem::Value(problem)));
        }
    }
    for (at, marking) in classes.markings.iter().enumerate() {
        if !inner.insert(marking.inner) {
            let problem = format!("code point {} is told twice; expected it once", marking.inner);
            return Err(document.error(&format!("spec.markings[{at}].inner"), Problem::Value(problem)));
        }
        if !classes.rows.iter().any(|row| row.dscp == marking.class) {
            let problem = format!("no 5QI has the code point {}; expected that of a row", marking.class);
            return Err(document.error(&format!("spec.markings[{at}].class"), Problem::Value(problem)));
        }
    }
    Ok(())
}

/// The 5QIs of a template stand in the table, and its default is one of them.
fn check_template(template: &Template, table: &FiveQiTable, document: &Document) -> Result<(), FileError> {
    let path = format!("spec.attributes.{GST_FIVE_QI}");
    let Some(GstValue::Choices(listed)) = template.spec.attributes.get(GST_FIVE_QI) else {
        let problem = format!("missing attribute `{GST_FIVE_QI}`; expected the 5QIs of the slice");
        return Err(document.error("spec.attributes", Problem::Value(problem)));
    };
    for value in listed {
        if FiveQi::new(*value).ok().and_then(|five_qi| table.get(five_qi)).is_none() {
            let problem = format!("5QI {value} does not stand in the table of 5QIs");
            return Err(document.error(&path, Problem::Value(problem)));
        }
    }
    let default = template.spec.default_five_qi;
    if listed.contains(&u64::from(default.get())) {
        Ok(())
    } else {
        let problem = format!("{default} is not one of the template's 5QIs");
        Err(document.error("spec.defaultFiveQI", Problem::Value(problem)))
    }
}

fn read<S: DeserializeOwned>(document: &Document) -> Result<(ProfileName, S), FileError> {
    let file: ResourceFile<TopLevel<ProfileName>, S> = document.read()?;
    Ok((file.metadata.name, file.spec))
}

fn once(document: &Document, first: bool) -> Result<(), FileError> {
    if first {
        Ok(())
    } else {
        Err(document.error("metadata.name", Problem::Value("this profile stands twice; expected it once".to_owned())))
    }
}

/// The JSON Schema of each kind of profile, by the name of its file.
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    fn schema<S: JsonSchema>(kind: &str) -> schemars::Schema {
        crate::resource::schema::<TopLevel<ProfileName>, S>(kind)
    }
    vec![
        ("template", schema::<TemplateSpec>("Template")),
        ("segment-profile", schema::<SegmentProfileSpec>("SegmentProfile")),
        ("aaa-profile", schema::<AaaProfileSpec>("AaaProfile")),
        ("five-qi-table", schema::<FiveQiTable>("FiveQITable")),
        ("class-map", schema::<ClassMap>("ClassMap")),
    ]
}

/// The first code point of network control: class selectors 6 and 7 (RFC 4594, section 3).
const NETWORK_CONTROL: u8 = 48;
/// The attribute that lists the 5QIs of a slice.
pub(crate) const GST_FIVE_QI: &str = "Slice quality of service: 3GPP 5QI";
const PROFILE_KINDS: [&str; 5] = ["Template", "SegmentProfile", "AaaProfile", "FiveQITable", "ClassMap"];

macro_rules! builtin {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../profiles/", $file)))),*]
    };
}

const BUILTIN: &[(&str, &str)] = builtin![
    "5qi.yaml",
    "classes.yaml",
    "templates/embb.yaml",
    "templates/urllc.yaml",
    "templates/miot.yaml",
    "templates/v2x.yaml",
    "segments/smart-metering.yaml",
    "segments/personal-health.yaml",
    "aaa/metering-light.yaml",
    "aaa/health-strong.yaml",
];
