//! What an operator declares: a topology, slices, micro-segments and realms.
//!
//! Each is a YAML document of the form `apiVersion`, `kind`, `metadata`, `spec`. [`read`] turns a file into resources;
//! from there on they can't be ill-formed, only unfit for one another, which the planner finds.

mod pool;
mod probe;
mod realm;
mod segment;
mod slice;
mod topology;

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::file::{self, Document, FileError, Problem};
use crate::{SegmentName, SliceName, TopologyName};

pub use pool::{Pools, RadiusPortPool, RouteTargetPool, SidFunctionPool, VlanPool, VniPool};
pub use probe::{ProbeSpec, Probes};
pub use realm::{Client, Realm, RealmSpec};
pub use segment::{MicroSegment, SegmentSpec};
pub use slice::{BackupMode, LatencyObjective, PathPolicy, Sdp, SdpVlan, Service, Slice, SliceSpec, Transport};
pub use topology::{
    Control, LabelBlock, Link, LinkEnd, Loopback, Node, NodeRole, Port, Srh, Topology, TopologySpec, UnderlayKind,
};

/// A resource of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The network that slices are laid over.
    Topology(Topology),
    /// A slice.
    Slice(Slice),
    /// A micro-segment of a slice.
    MicroSegment(MicroSegment),
    /// The AAA configuration of a micro-segment.
    Realm(Realm),
}

impl Resource {
    /// What names it.
    pub fn id(&self) -> ResourceId {
        match self {
            Self::Topology(t) => ResourceId::Topology(t.name.clone()),
            Self::Slice(s) => ResourceId::Slice(s.name.clone()),
            Self::MicroSegment(s) => ResourceId::MicroSegment(s.id.clone()),
            Self::Realm(r) => ResourceId::Realm(r.id.clone()),
        }
    }
}

/// Names a micro-segment: its slice and its name there. Its realm has the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// The slice that it is in.
    pub slice: SliceName,
    /// Its name in that slice.
    pub segment: SegmentName,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slice, self.segment)
    }
}

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceId {
    /// A topology.
    Topology(TopologyName),
    /// A slice.
    Slice(SliceName),
    /// A micro-segment.
    MicroSegment(SegmentId),
    /// A realm.
    Realm(SegmentId),
}

impl fmt::Display for ResourceId {
    /// `slice/iot`, `microsegment/iot/smart-metering`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topology(name) => write!(f, "topology/{name}"),
            Self::Slice(name) => write!(f, "slice/{name}"),
            Self::MicroSegment(id) => write!(f, "microsegment/{id}"),
            Self::Realm(id) => write!(f, "realm/{id}"),
        }
    }
}

impl std::str::FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, InvalidResourceId> {
        let invalid = || InvalidResourceId { found: text.chars().take(80).collect() };
        let parts: Vec<&str> = text.split('/').collect();
        let segment = |slice: &str, segment: &str| {
            let id = SegmentId { slice: slice.parse().ok()?, segment: segment.parse().ok()? };
            Some(id)
        };
        let id = match parts.as_slice() {
            ["topology", name] => name.parse().ok().map(Self::Topology),
            ["slice", name] => name.parse().ok().map(Self::Slice),
            ["microsegment", slice, name] => segment(slice, name).map(Self::MicroSegment),
            ["realm", slice, name] => segment(slice, name).map(Self::Realm),
            _ => None,
        };
        id.ok_or_else(invalid)
    }
}

/// A text that names no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` names no resource; expected topology/NAME, slice/NAME, microsegment/SLICE/NAME or realm/SLICE/NAME")]
pub struct InvalidResourceId {
    /// The text.
    pub found: String,
}

/// A resource with the document that it was read from, by which later errors find their line.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The resource.
    pub resource: Resource,
    /// Its document.
    pub document: Document,
}

/// Reads the resources of a file. A resource that stands twice is refused.
pub fn read(file: &str, text: &str) -> Result<Vec<Declared>, FileError> {
    let mut declared: Vec<Declared> = Vec::new();
    let mut seen = HashSet::new();
    for document in file::parse(file, text)? {
        let resource = read_document(&document)?;
        if !seen.insert(resource.id()) {
            let problem = Problem::Value(format!("{} stands twice in this file; expected it once", resource.id()));
            return Err(document.error("metadata.name", problem));
        }
        declared.push(Declared { resource, document });
    }
    Ok(declared)
}

fn read_document(document: &Document) -> Result<Resource, FileError> {
    check_version(document)?;
    let resource = match document.text("kind") {
        Some("Topology") => {
            let file: ResourceFile<TopLevel<TopologyName>, TopologySpec> = document.read()?;
            Resource::Topology(Topology { name: file.metadata.name, spec: file.spec })
        }
        Some("Slice") => {
            let file: ResourceFile<TopLevel<SliceName>, SliceSpec> = document.read()?;
            Resource::Slice(Slice { name: file.metadata.name, spec: file.spec })
        }
        Some("MicroSegment") => {
            let file: ResourceFile<InSlice, SegmentSpec> = document.read()?;
            Resource::MicroSegment(MicroSegment { id: file.metadata.into(), spec: file.spec })
        }
        Some("Realm") => {
            let file: ResourceFile<InSlice, RealmSpec> = document.read()?;
            Resource::Realm(Realm { id: file.metadata.into(), spec: file.spec })
        }
        Some(other) => return Err(unknown_kind(document, other, &RESOURCE_KINDS)),
        None => return Err(document.error("kind", Problem::Value("missing field `kind`".to_owned()))),
    };
    Ok(resource)
}

/// Refuses a document of another API version.
pub(crate) fn check_version(document: &Document) -> Result<(), FileError> {
    match document.text("apiVersion") {
        Some(API_VERSION) => Ok(()),
        Some(other) => {
            let problem = format!("`{other}` is not an API version of this build; expected `{API_VERSION}`");
            Err(document.error("apiVersion", Problem::Value(problem)))
        }
        None => {
            let problem = format!("missing field `apiVersion`; expected `apiVersion: {API_VERSION}`");
            Err(document.error("", Problem::Value(problem)))
        }
    }
}

pub(crate) fn unknown_kind(document: &Document, found: &str, known: &[&str]) -> FileError {
    let problem = format!("`{found}` is not a kind that is read here; expected one of {}", known.join(", "));
    document.error("kind", Problem::Value(problem))
}

/// The form of every resource file. The kind is checked before the type is chosen, so it is only carried here.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceFile<M, S> {
    /// `microslice/v1`.
    pub api_version: String,
    /// The kind of resource.
    pub kind: String,
    /// What names it.
    pub metadata: M,
    /// What it is.
    pub spec: S,
}

/// The metadata of a resource that stands by itself.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopLevel<N> {
    /// Its name.
    pub name: N,
}

/// The metadata of a resource inside a slice.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InSlice {
    /// The micro-segment's name.
    pub name: SegmentName,
    /// The slice that it is in.
    pub slice: SliceName,
}

impl From<InSlice> for SegmentId {
    fn from(metadata: InSlice) -> Self {
        Self { slice: metadata.slice, segment: metadata.name }
    }
}

/// The version that every file names.
pub const API_VERSION: &str = "microslice/v1";
const RESOURCE_KINDS: [&str; 4] = ["Topology", "Slice", "MicroSegment", "Realm"];

/// The JSON Schema of each kind, by the name of its file.
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    vec![
        ("topology", schema::<TopLevel<TopologyName>, TopologySpec>("Topology")),
        ("slice", schema::<TopLevel<SliceName>, SliceSpec>("Slice")),
        ("microsegment", schema::<InSlice, SegmentSpec>("MicroSegment")),
        ("realm", schema::<InSlice, RealmSpec>("Realm")),
    ]
}

/// The schema of one kind of file: its version and its kind are what they must be, so that an editor can tell.
pub(crate) fn schema<M: schemars::JsonSchema, S: schemars::JsonSchema>(kind: &str) -> schemars::Schema {
    let mut schema = schemars::schema_for!(ResourceFile<M, S>);
    schema.insert("title".to_owned(), kind.into());
    schema.insert("description".to_owned(), format!("A file of kind {kind}.").into());
    for (field, value) in [("apiVersion", API_VERSION), ("kind", kind)] {
        if let Some(field) = schema.pointer_mut(&format!("/properties/{field}")) {
            *field = serde_json::json!({ "const": value });
        }
    }
    schema
}
