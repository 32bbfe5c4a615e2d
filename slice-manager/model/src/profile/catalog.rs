//! All profiles together, checked against one another.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::aaa::AaaProfileSpec;
use super::segment::SegmentProfileSpec;
use super::template::TemplateSpec;
use super::{
    AaaProfile, ClassMap, CodelRow, FiveQi, FiveQiRow, FiveQiTable, GstValue, QueueClass, QueueRow, ResourceType,
    SegmentProfile, Template,
};
use crate::file::{self, Document, FileError, Problem};
use crate::resource::{ResourceFile, TopLevel, check_version, unknown_kind};
use crate::{ProfileName, Qfi};

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
        let (mut classes, document) = self.classes.ok_or(CatalogError::Missing("ClassMap"))?;
        for row in &five_qi.rows {
            if classes.get(row.five_qi).is_none() {
                let problem = format!("no row for 5QI {}; expected one for each 5QI of the table", row.five_qi);
                return Err(document.error("spec.rows", Problem::Value(problem)).into());
            }
        }
        for row in &mut classes.rows {
            row.qfi = row.qfi.or_else(|| own_qfi(five_qi.get(row.five_qi)?));
        }
        check_classes(&classes, &document)?;
        check_queues(&classes.queues, &document)?;
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

/// Without a guaranteed bit rate, a 5QI that fits may be the QFI of its flows; those of all others differ from session to
/// session (TS 23.501, section 5.7.1.3).
fn own_qfi(row: &FiveQiRow) -> Option<Qfi> {
    Qfi::new(row.five_qi.get().into()).ok().filter(|_| row.resource_type == ResourceType::NonGbr)
}

/// No traffic of a slice looks like network control, and each mark is told once, of a class that there is.
fn check_classes(classes: &ClassMap, document: &Document) -> Result<(), FileError> {
    let wrong = |path: String, problem: String| Err(document.error(&path, Problem::Value(problem)));
    let rows = classes.rows.iter().enumerate().map(|(at, row)| (format!("spec.rows[{at}]"), row.dscp));
    let markings = classes.markings.iter().enumerate();
    let markings =
        markings.map(|(at, row)| (format!("spec.markings[{at}]"), "inner", row.inner.get(), row.class, row.dscp));
    let priorities = classes.priorities.iter().enumerate();
    let priorities = priorities
        .map(|(at, row)| (format!("spec.priorities[{at}]"), "priority", row.priority.get(), row.class, row.dscp));
    let told: Vec<_> = markings.chain(priorities).collect();
    for (path, dscp) in rows.chain(told.iter().map(|(path, .., dscp)| (path.clone(), *dscp))) {
        if dscp.get() >= NETWORK_CONTROL {
            let problem = format!("{dscp} is for network control; expected 0 to {}", NETWORK_CONTROL - 1);
            return wrong(format!("{path}.dscp"), problem);
        }
    }
    let mut marks = BTreeSet::new();
    for (path, field, mark, class, _) in told {
        if !marks.insert((field, mark)) {
            let what = if field == "inner" { "code point" } else { field };
            return wrong(format!("{path}.{field}"), format!("{what} {mark} is told twice; expected it once"));
        }
        if !classes.rows.iter().any(|row| row.dscp == class) {
            let problem = format!("no 5QI has the code point {class}; expected that of a row");
            return wrong(format!("{path}.class"), problem);
        }
    }
    let mut flows = BTreeMap::new();
    for (at, row) in classes.rows.iter().enumerate() {
        let Some(qfi) = row.qfi else { continue };
        // No flow has the QFI 0 (TS 24.501, section 9.11.4.12).
        if qfi == Qfi::MIN {
            return wrong(
                format!("spec.rows[{at}].qfi"),
                format!("0 is the QFI of no flow; expected 1 to {}", Qfi::MAX),
            );
        }
        if let Some(other) = flows.insert(qfi, row.five_qi) {
            let problem = format!("QFI {qfi} is that of 5QI {other}, too; expected it once");
            return wrong(format!("spec.rows[{at}].qfi"), problem);
        }
    }
    Ok(())
}

/// Each queue is told once, and its CoDel has time to act.
fn check_queues(queues: &[QueueRow], document: &Document) -> Result<(), FileError> {
    let wrong = |path: &str, problem: String| Err(document.error(path, Problem::Value(problem)));
    let mut seen = BTreeSet::new();
    for (at, row) in queues.iter().enumerate() {
        if !seen.insert(row.queue) {
            let problem = format!("queue {} is told twice; expected it once", row.queue);
            return wrong(&format!("spec.queues[{at}].queue"), problem);
        }
        if row.time.as_nanos() == 0 {
            return wrong(&format!("spec.queues[{at}].time"), "0 ns lets nothing wait; expected more".to_owned());
        }
        // RFC 8289, section 4.3: the target is a small part of the interval.
        if let Some(CodelRow { target, interval }) = row.codel
            && (target.as_nanos() == 0 || target >= interval)
        {
            let problem =
                format!("{target} is no target; expected more than 0 ns and less than the interval of {interval}");
            return wrong(&format!("spec.queues[{at}].codel.target"), problem);
        }
    }
    match QueueClass::ALL.into_iter().find(|queue| !seen.contains(queue)) {
        None => Ok(()),
        Some(queue) => wrong("spec.queues", format!("no row for the queue {queue}; expected one for each queue")),
    }
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
