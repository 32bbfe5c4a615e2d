//! The text format of Prometheus, version 0.0.4: every family with its help and type, then its samples.
//!
//! ```text
//!   # HELP microslice_port_sent_bytes_total Octets that left.
//!   # TYPE microslice_port_sent_bytes_total counter
//!   microslice_port_sent_bytes_total{edge="edge-a",port="core0"} 107000
//! ```

use std::fmt::{self, Write as _};

/// A metric that a daemon shows. Each is a constant, so that the documentation can be held against all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it is, as a sentence.
    pub help: &'static str,
    /// What its samples are told apart by.
    pub labels: &'static [&'static str],
}

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins anew with what it counts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values were not above each of some bounds.
    Histogram,
}

impl Kind {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A value, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A number of something.
    Count(u64),
    /// Nanoseconds, shown as seconds.
    Nanoseconds(u64),
    /// Bits a second, shown as bytes a second: the format's base unit.
    BitsPerSecond(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part, digits) = match *self {
            Self::Count(count) => return write!(f, "{count}"),
            Self::Nanoseconds(nanos) => (nanos / 1_000_000_000, nanos % 1_000_000_000, 9),
            // Eighths have three digits.
            Self::BitsPerSecond(bits) => (bits / 8, bits % 8 * 125, 3),
        };
        write!(f, "{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let part = format!("{part:0digits$}");
        write!(f, ".{}", part.trim_end_matches('0'))
    }
}

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    /// Samples for which there was no room.
    left_out: u64,
}

/// The samples of a metric.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut Page,
    metric: &'static Metric,
    has_begun: bool,
}

impl Page {
    /// Begins a metric. Its samples follow each other, as the format asks for; one that has none is not shown.
    pub fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        Family { page: self, metric, has_begun: false }
    }

    /// The page, at its end how much was left out of it.
    pub fn finish(mut self) -> String {
        let left_out = self.left_out;
        self.begin(&LEFT_OUT);
        self.push(LEFT_OUT.name, "", &[], None, Value::Count(left_out));
        self.text
    }

    fn begin(&mut self, metric: &Metric) {
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "# HELP {} {}", metric.name, escaped(metric.help, false));
        let _ = writeln!(self.text, "# TYPE {} {}", metric.name, metric.kind.as_str());
    }

    fn push(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: Value) {
        let _ = write!(self.text, "{name}{suffix}");
        let bound = bound.map(|bound| ("le", bound));
        let mut open = '{';
        for (label, value) in labels.iter().copied().chain(bound) {
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(value, true));
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

impl Family<'_> {
    /// Adds a sample; the values of its labels in their order.
    pub fn sample<const LABELS: usize>(&mut self, labels: [&str; LABELS], value: Value) {
        if self.has_room(1) {
            let named = self.named(&labels);
            self.page.push(self.metric.name, "", &named, None, value);
        }
    }

    /// Adds a histogram: to each bound how many values were not above it, the bounds and the numbers growing; then how many
    /// there are in all. There is no sum where none was kept.
    pub fn histogram<const LABELS: usize>(&mut self, labels: [&str; LABELS], buckets: &[(Value, u64)], all: u64) {
        if !self.has_room(buckets.len() + 2) {
            return;
        }
        let named = self.named(&labels);
        for (bound, count) in buckets {
            self.page.push(self.metric.name, "_bucket", &named, Some(&bound.to_string()), Value::Count(*count));
        }
        self.page.push(self.metric.name, "_bucket", &named, Some("+Inf"), Value::Count(all));
        self.page.push(self.metric.name, "_count", &named, None, Value::Count(all));
    }

    fn named<'v>(&self, values: &[&'v str]) -> Vec<(&'static str, &'v str)> {
        debug_assert_eq!(self.metric.labels.len(), values.len(), "{}", self.metric.name);
        self.metric.labels.iter().copied().zip(values.iter().copied()).collect()
    }

    fn has_room(&mut self, samples: usize) -> bool {
        if self.page.text.len() >= PAGE_OCTETS_MAX {
            self.page.left_out += samples as u64;
            return false;
        }
        if !self.has_begun {
            self.has_begun = true;
            self.page.begin(self.metric);
        }
        true
    }
}

/// A text of a help line or of a label's value, in which a quote ends the value.
fn escaped(text: &str, is_quoted: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if is_quoted => escaped.push_str("\\\""),
            c => escaped.push(c),
        }
    }
    escaped
}

/// On every page.
pub(crate) static LEFT_OUT: Metric = Metric {
    name: "microslice_page_samples_left_out",
    kind: Kind::Gauge,
    help: "Samples that this page has no room for.",
    labels: &[],
};

impl Metric {
    /// What every page ends with.
    pub const fn left_out() -> &'static Self {
        &LEFT_OUT
    }
}

/// A page holds about so much; what comes after that is left out and counted.
pub const PAGE_OCTETS_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    static COUNTER: Metric = Metric {
        name: "a_frames_total",
        kind: Kind::Counter,
        help: "Frames \\ \"and\"\nmore.",
        labels: &["edge", "of"],
    };
    static TIMES: Metric = Metric { name: "b_seconds", kind: Kind::Histogram, help: "Times.", labels: &["edge"] };
    static PLAIN: Metric = Metric { name: "c", kind: Kind::Gauge, help: "One.", labels: &[] };

    /// By the format's own words: prometheus.io, "Exposition formats", text-based format.
    #[test]
    fn a_page_is_families_with_help_type_and_samples() {
        let mut page = Page::default();
        let mut family = page.family(&COUNTER);
        family.sample(["edge-a", "a\"b\\c\nd"], Value::Count(u64::MAX));
        family.sample(["edge-b", ""], Value::Count(0));
        let buckets = [(Value::Nanoseconds(1_023), 2), (Value::Nanoseconds(1_500_000_000), 5)];
        page.family(&TIMES).histogram(["edge-a"], &buckets, 7);
        page.family(&PLAIN).sample([], Value::BitsPerSecond(1_000_001));
        assert_eq!(
            page.finish(),
            r#"# HELP a_frames_total Frames \\ "and"\nmore.
# TYPE a_frames_total counter
a_frames_total{edge="edge-a",of="a\"b\\c\nd"} 18446744073709551615
a_frames_total{edge="edge-b",of=""} 0
# HELP b_seconds Times.
# TYPE b_seconds histogram
b_seconds_bucket{edge="edge-a",le="0.000001023"} 2
b_seconds_bucket{edge="edge-a",le="1.5"} 5
b_seconds_bucket{edge="edge-a",le="+Inf"} 7
b_seconds_count{edge="edge-a"} 7
# HELP c One.
# TYPE c gauge
c 125000.125
# HELP microslice_page_samples_left_out Samples that this page has no room for.
# TYPE microslice_page_samples_left_out gauge
microslice_page_samples_left_out 0
"#
        );
    }

    #[test]
    fn a_page_has_an_end_and_says_what_it_left_out() {
        let mut page = Page::default();
        let long = "x".repeat(1 << 20);
        let mut family = page.family(&COUNTER);
        (0..40).for_each(|_| family.sample(["edge-a", &long], Value::Count(1)));
        page.family(&TIMES).histogram(["edge-a"], &[(Value::Nanoseconds(1), 1)], 1);
        page.family(&PLAIN);
        let text = page.finish();
        assert!(text.len() < PAGE_OCTETS_MAX + (2 << 20), "{}", text.len());
        // 32 of 40 fit, and none of the three lines of the histogram.
        assert!(text.ends_with("\nmicroslice_page_samples_left_out 11\n"), "{}", &text[text.len() - 60..]);
    }
}
