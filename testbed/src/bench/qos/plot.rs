//! Two pictures of the rows: cost against the number of segments, rate error against the length of frames.

use std::fmt::Write;
use std::path::Path;

use super::Row;

/// Writes both beside the rows' file.
pub(super) fn draw(rows: &[Row], json: &Path) -> std::io::Result<()> {
    std::fs::write(json.with_file_name("qos-cost.svg"), cost(rows).svg())?;
    std::fs::write(json.with_file_name("qos-rate-error.svg"), error(rows).svg())
}

/// Logarithmic both ways.
struct Plot {
    title: &'static str,
    x: Axis,
    y: Axis,
    lines: Vec<Line>,
}

struct Axis {
    name: &'static str,
    ticks: &'static [(f64, &'static str)],
}

struct Line {
    name: String,
    colour: &'static str,
    /// Not measured by this run.
    published: bool,
    points: Vec<(f64, f64)>,
}

fn cost(rows: &[Row]) -> Plot {
    let mut lines = Vec::new();
    let mut add = |name: &str, colour, before: &str, after: &str, value: fn(&Row) -> Option<f64>| {
        let points: Vec<_> = rows.iter().filter_map(|row| Some((between(row, before, after)?, value(row)?))).collect();
        if !points.is_empty() {
            lines.push(Line { name: name.to_owned(), colour, published: false, points });
        }
    };
    let ours: fn(&Row) -> _ = |row| Some(row.value);
    let theirs: fn(&Row) -> _ = |row| row.peer_value;
    let (free, held) = ("shape and schedule, ", "throttled: 100 % of ");
    add("guaranteed", BLUE, free, " segments, 131072 queued, guaranteed", ours);
    add("borrowed", GREEN, free, " segments, 131072 queued, borrowed", ours);
    add("every segment over its rate, out only", PURPLE, held, " segments, dequeue, rho 0.9", ours);
    add("rte_sched", ORANGE, free, " segments, 131072 queued, guaranteed", theirs);
    add("rte_sched, every segment over its rate", RED, held, " segments, dequeue, rho 0.9", theirs);
    Plot {
        title: "What a frame of 64 octets costs",
        x: Axis {
            name: "segments, each with 13 classes",
            ticks: &[(1_024.0, "1,024"), (4_096.0, "4,096"), (65_536.0, "65,536"), (1_048_576.0, "1,048,576")],
        },
        y: Axis {
            name: "ns a frame",
            ticks: &[(10.0, "10"), (100.0, "100"), (1_000.0, "1,000"), (10_000.0, "10,000"), (100_000.0, "100,000")],
        },
        lines,
    }
}

fn error(rows: &[Row]) -> Plot {
    let after = " octets: 99 of 100 in 1 s, in percent";
    let points = |segments: &str| {
        let before = format!("rate error, {segments} segments, ");
        let points = rows.iter().filter_map(|row| Some((between(row, &before, after)?, row.value.max(LEAST_PERCENT))));
        points.collect()
    };
    let line = |name: &str, colour, published, points| Line { name: name.to_owned(), colour, published, points };
    Plot {
        title: "By how much a rate is missed in a second",
        x: Axis {
            name: "octets of a frame",
            ticks: &[(64.0, "64"), (128.0, "128"), (594.0, "594"), (1_500.0, "1,500"), (9_000.0, "9,000")],
        },
        y: Axis { name: "%", ticks: &[(0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100")] },
        lines: vec![
            line("1,024 segments, 99 of 100", BLUE, false, points("1024")),
            line("4,096 segments, 99 of 100", GREEN, false, points("4096")),
            // 64 octets and 1,500, 1,000 and 4,096 pipes: rte_sched on another day.
            line("rte_sched, 4,096 pipes, 99 of 100", ORANGE, true, vec![(64.0, 0.28), (1_500.0, 0.32)]),
            line("Linux HTB, 100 classes, 99 of 100", PURPLE, true, vec![(64.0, 0.57), (1_500.0, 0.31)]),
            line("Open vSwitch meter of 10 Mbit/s", RED, true, vec![(58.0, 72.0), (554.0, 8.0)]),
        ],
    }
}

/// The number in a row's figure between two texts.
fn between(row: &Row, before: &str, after: &str) -> Option<f64> {
    row.figure.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

impl Plot {
    fn svg(&self) -> String {
        let mut svg = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut svg);
        svg
    }

    fn write(&self, svg: &mut String) -> std::fmt::Result {
        let height = BOTTOM + 46.0 + 18.0 * f64::from(u32::try_from(self.lines.len()).unwrap_or(0));
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" font-family=\"sans-serif\" font-size=\"13\">"
        )?;
        writeln!(svg, "<title>{}</title>", self.title)?;
        writeln!(svg, "<rect width=\"720\" height=\"{height}\" fill=\"#fff\"/>")?;
        writeln!(svg, "<text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>", self.title)?;
        for (value, label) in self.x.ticks {
            let x = self.x(*value);
            writeln!(svg, "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/>")?;
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", BOTTOM + 16.0)?;
        }
        for (value, label) in self.y.ticks {
            let y = self.y(*value);
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>")?;
            writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, y + 4.0)?;
        }
        writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\">{}</text>", TOP - 8.0, self.y.name)?;
        writeln!(svg, "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\">{}</text>", BOTTOM + 34.0, self.x.name)?;
        let mut below = BOTTOM + 52.0;
        for line in &self.lines {
            self.write_line(line, below, svg)?;
            below += 18.0;
        }
        writeln!(svg, "</svg>")
    }

    fn write_line(&self, line: &Line, below: f64, svg: &mut String) -> std::fmt::Result {
        let dash = if line.published { " stroke-dasharray=\"5 4\"" } else { "" };
        let mut path = String::new();
        for (number, (x, y)) in line.points.iter().enumerate() {
            let (step, x, y) = (if number == 0 { 'M' } else { 'L' }, self.x(*x), self.y(*y));
            write!(path, "{step}{x:.1} {y:.1}")?;
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{}\"/>", line.colour)?;
        }
        writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dash}/>", line.colour)?;
        let key = format!("M{LEFT} {}h28", below - 4.0);
        writeln!(svg, "<path d=\"{key}\" stroke=\"{}\" stroke-width=\"2\"{dash}/>", line.colour)?;
        let note = if line.published { " (published)" } else { "" };
        writeln!(svg, "<text x=\"{}\" y=\"{below}\">{}{note}</text>", LEFT + 36.0, line.name)
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + 12.0 + place(value, self.x.ticks) * (RIGHT - LEFT - 24.0)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - place(value, self.y.ticks) * (BOTTOM - TOP)
    }
}

/// From 0 to 1 between the first and the last tick.
fn place(value: f64, ticks: &[(f64, &str)]) -> f64 {
    match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) => ((value / first.0).ln() / (last.0 / first.0).ln()).clamp(-0.02, 1.0),
        _ => 0.0,
    }
}

const LEFT: f64 = 70.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 340.0;
/// What is drawn of an error that is smaller.
const LEAST_PERCENT: f64 = 0.01;
const BLUE: &str = "#1f6fb2";
const GREEN: &str = "#2a8a4a";
const PURPLE: &str = "#7a4fa3";
const ORANGE: &str = "#d07a00";
const RED: &str = "#b3261e";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_drawn_where_its_rows_say() {
        let row = |segments: u32, value| Row {
            figure: format!("shape and schedule, {segments} segments, 131072 queued, guaranteed"),
            value,
            unit: "ns/packet",
            peer: None,
            peer_value: Some(100_000.0),
            ratio: None,
            aim: None,
            met: None,
        };
        let plot = cost(&[row(1_024, 10.0), row(1 << 20, 1_000.0)]);
        assert_eq!(plot.lines.len(), 2);
        assert_eq!(plot.lines[0].points, [(1_024.0, 10.0), (1_048_576.0, 1_000.0)]);
        let svg = plot.svg();
        // From the lower left to the middle of the right side; the peer at the top.
        assert!(svg.contains("M82.0 340.0L688.0 200.0") && svg.contains("M82.0 60.0L688.0 60.0"), "{svg}");
    }
}
