//! Tables and words for people.

use comfy_table::{ContentArrangement, Table, presets};
use model::{Latency, Rate};
use prost_types::Timestamp;

/// A table without lines; columns as wide as they need.
pub(crate) fn table<R: IntoIterator<Item = String>>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    let mut any = false;
    for row in rows {
        any = true;
        table.add_row(row.into_iter().map(|cell| visible(&cell)));
    }
    if !any {
        return "none\n".to_owned();
    }
    // Every cell has a blank on both sides, and the last column is filled up; neither belongs to what is said.
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

/// Names and values, one a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    shown.fold(String::new(), |text, (name, value)| text + &format!("{name:width$}{}\n", visible(value)))
}

/// A text without control characters: what devices and edges say must not steer the terminal.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A heading between two parts of an answer.
pub(crate) fn part(title: &str, body: &str) -> String {
    format!("\n{title}\n{body}")
}

/// A rate in words.
pub(crate) fn rate(bits_per_second: u64) -> String {
    Rate::from_bits_per_second(bits_per_second).to_string()
}

/// Limits in words.
pub(crate) fn limits(limits: Option<&api::v1::RateLimits>) -> (String, String) {
    limits.map_or_else(Default::default, |l| (rate(l.guaranteed_bits_per_second), rate(l.ceiling_bits_per_second)))
}

/// A latency in words.
pub(crate) fn latency(nanoseconds: u64) -> String {
    Latency::from_nanos(nanoseconds).to_string()
}

/// A time that was measured, in three digits or a few more.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn measured(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} us", nanoseconds as f64 / 1e3),
        _ => format!("{:.2} ms", nanoseconds as f64 / 1e6),
    }
}

/// A rate that was measured, in three digits.
#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn measured_rate(bits_per_second: u64) -> String {
    match bits_per_second {
        0..1_000 => format!("{bits_per_second} bit/s"),
        1_000..1_000_000 => format!("{:.1} kbit/s", bits_per_second as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} Mbit/s", bits_per_second as f64 / 1e6),
        _ => format!("{:.2} Gbit/s", bits_per_second as f64 / 1e9),
    }
}

/// A moment in UTC, as RFC 3339 has it.
pub(crate) fn moment(at: Option<&Timestamp>) -> String {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, 0).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// The value of an enumeration without the prefix that its kind has in protobuf.
pub(crate) fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

/// The first digits of a digest.
pub(crate) fn digest(octets: &[u8]) -> String {
    octets.iter().take(6).fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let text = table(
            &["name", "state"],
            [["iot".to_owned(), "ACTIVE".to_owned()], ["handsets".to_owned(), String::new()]],
        );
        assert_eq!(text, "NAME      STATE\niot       ACTIVE\nhandsets\n");
        assert_eq!(table::<[String; 1]>(&["name"], []), "none\n");
    }

    #[test]
    fn what_was_measured_has_a_unit_that_fits() {
        let shown = [0, 999, 1_000, 12_345, 999_900, 1_000_000, 3_104_000_000].map(measured);
        assert_eq!(shown, ["0 ns", "999 ns", "1.0 us", "12.3 us", "999.9 us", "1.00 ms", "3104.00 ms"]);
    }

    #[test]
    fn a_rate_that_was_measured_has_a_unit_that_fits() {
        let shown = [0, 999, 1_000, 9_994_400, 1_000_000_000].map(measured_rate);
        assert_eq!(shown, ["0 bit/s", "999 bit/s", "1.0 kbit/s", "9.99 Mbit/s", "1.00 Gbit/s"]);
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(moment(Some(&Timestamp { seconds: 0, nanos: 5 })), "1970-01-01T00:00:00Z");
        assert_eq!(moment(None), "");
    }
}
