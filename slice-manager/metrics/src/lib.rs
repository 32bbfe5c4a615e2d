//! What the daemons show Prometheus: a page in its text format, and the little of HTTP that it takes to hand it over.
//!
//! A [`Page`] is written from what is read at that moment; nothing is counted twice, and there is no registry that could
//! say something else than the source. [`serve`] gives it to whoever asks, and so that asking costs nothing: few
//! connections, small requests, little time, and no more than one page a second.
#![forbid(unsafe_code)]

/// Names metrics, and lists them, so that none is shown that the documentation does not have.
#[macro_export]
macro_rules! metrics {
    ($(#[$doc:meta])* $list:ident: $($name:ident = $kind:ident $text:literal $labels:tt $help:literal;)*) => {
        $(
            static $name: $crate::Metric =
                $crate::Metric { name: $text, kind: $crate::Kind::$kind, help: $help, labels: &$labels };
        )*
        $(#[$doc])*
        pub static $list: &[&$crate::Metric] = &[$(&$name),*];
    };
}

mod listen;
mod page;
mod serve;

pub use listen::{Address, InvalidAddress, listen};
pub use page::{Family, Kind, Metric, PAGE_OCTETS_MAX, Page, Value};
pub use serve::{CONNECTION_TIME, CONNECTIONS_MAX, PAGE_AGE, REQUEST_OCTETS_MAX, serve};
