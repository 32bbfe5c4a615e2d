//! Profiles: templates (NESTs), segment profiles, AAA profiles, the table of 5QIs and the class map.
//!
//! They are data in `profiles/`, typed here. [`Catalog`] holds all of them, checked against one another.

mod aaa;
mod catalog;
mod class;
mod five_qi;
mod gst;
mod queue;
mod segment;
mod template;

pub use aaa::{AaaFeature, AaaFeatures, AaaProfile};
pub use catalog::{Catalog, CatalogError, schemas};
pub use class::{ClassMap, ClassRow, MarkingRow, PriorityRow};
pub use five_qi::{FiveQi, FiveQiRow, FiveQiTable, InvalidPacketErrorRate, PacketErrorRate, ResourceType};
pub use gst::{GST_ATTRIBUTES, GstAttribute, GstKind, GstUnit, GstValue, InvalidGstValue};
pub use queue::{CodelRow, QueueClass, QueueRow};
pub use segment::{SegmentProfile, SegmentProfileSpec};
pub use template::{Attributes, Template, TemplateSpec};
