//! Reads YAML into typed values, and keeps where every field stood.
//!
//! A mistake is answered with file, line, column, field path and what was expected; and because the positions are kept,
//! so is a mistake that only the planner can find. Anchors, aliases, tags and merge keys are refused by name: what a
//! file says is what stands in it. Sizes and depths are bounded.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {}{problem}", position.line, position.column, Prefixed(path))]
pub struct FileError {
    /// The file, as the user named it.
    pub file: String,
    /// Where.
    pub position: Position,
    /// The field, such as `spec.sdps[1].vlan`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub problem: Problem,
}

/// The kinds of mistake a file can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not YAML, or it stops in the middle.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// A value has the wrong type, unit or range, or a field is missing or unknown.
    #[error("{0}")]
    Value(String),
    /// A key stands twice in one mapping.
    #[error("the key `{0}` stands twice; expected each key once")]
    DuplicateKey(String),
    /// A key that is not a text.
    #[error("this key is not a text; expected a field's name")]
    KeyNotText,
    /// A YAML feature that is not read.
    #[error("{0} are not read here; expected the value itself")]
    Unsupported(&'static str),
    /// Nested too deeply.
    #[error("nested more than {FILE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Too long.
    #[error("longer than {FILE_OCTETS_MAX} octets")]
    TooLong,
    /// Not one document where one was wanted.
    #[error("{0} documents; expected one")]
    DocumentCount(usize),
}

/// One YAML document: its values, and where each stood.
#[derive(Debug, Clone)]
pub struct Document {
    file: String,
    value: Value,
    positions: HashMap<String, Position>,
    start: Position,
}

/// Splits a file into its documents. Empty documents are left out.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, FileError> {
    let start = Position { line: 1, column: 1 };
    let error = |position, problem| FileError { file: file.to_owned(), position, path: String::new(), problem };
    if text.len() > FILE_OCTETS_MAX {
        return Err(error(start, Problem::TooLong));
    }
    let mut documents = Vec::new();
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader { file, parser: &mut parser, positions: HashMap::new() };
    loop {
        let (event, span) = reader.next("")?;
        match event {
            Event::DocumentStart(_) => {
                let (event, span) = reader.next("")?;
                let value = reader.node(event, span, "", 0)?;
                let positions = std::mem::take(&mut reader.positions);
                if !value.is_null() {
                    documents.push(Document { file: file.to_owned(), value, positions, start: position(&span) });
                }
            }
            Event::StreamEnd => return Ok(documents),
            Event::Alias(_) => return Err(error(position(&span), Problem::Unsupported("aliases"))),
            _ => {}
        }
    }
}

/// Reads a file that holds one document of one type.
pub fn read_one<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    let documents = parse(file, text)?;
    match documents.as_slice() {
        [document] => document.read(),
        _ => Err(FileError {
            file: file.to_owned(),
            position: Position { line: 1, column: 1 },
            path: String::new(),
            problem: Problem::DocumentCount(documents.len()),
        }),
    }
}

impl Document {
    /// The document as a value of a type; unknown fields are refused where the type refuses them.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, FileError> {
        serde_path_to_error::deserialize(&self.value).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            self.error(&path, Problem::Value(error.into_inner().to_string()))
        })
    }

    /// The text at a field directly below the document, if it has one; to tell the kind of a document.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.value.get(field).and_then(Value::as_str)
    }

    /// An error at a field path; the position is that of the field, or of the nearest one above it.
    pub fn error(&self, path: &str, problem: Problem) -> FileError {
        FileError { file: self.file.clone(), position: self.locate(path), path: path.to_owned(), problem }
    }

    /// Where a field stands, or the nearest one above it.
    pub fn locate(&self, path: &str) -> Position {
        let mut path = path;
        loop {
            if let Some(position) = self.positions.get(path) {
                return *position;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return self.start,
            }
        }
    }
}

/// Turns parser events into values.
struct Reader<'a, 'p> {
    file: &'a str,
    parser: &'p mut Parser<'a, saphyr_parser::StrInput<'a>>,
    positions: HashMap<String, Position>,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self, path: &str) -> Result<(Event<'a>, Span), FileError> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(path, &error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, path: &str, error: &ScanError) -> FileError {
        let marker = error.marker();
        let position = Position { line: marker.line(), column: marker.col() + 1 };
        FileError {
            file: self.file.to_owned(),
            position,
            path: path.to_owned(),
            problem: Problem::Syntax(error.info().to_owned()),
        }
    }

    fn error(&self, span: &Span, path: &str, problem: Problem) -> FileError {
        FileError { file: self.file.to_owned(), position: position(span), path: path.to_owned(), problem }
    }

    fn node(&mut self, event: Event<'a>, span: Span, path: &str, depth: usize) -> Result<Value, FileError> {
        if depth > FILE_DEPTH_MAX {
            return Err(self.error(&span, path, Problem::TooDeep));
        }
        self.positions.insert(path.to_owned(), position(&span));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(&span, path, anchor, tag.is_some())?;
                Ok(scalar(&text, style))
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(&span, path, anchor, tag.is_some())?;
                self.sequence(path, depth)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(&span, path, anchor, tag.is_some())?;
                self.mapping(path, depth)
            }
            Event::Alias(_) => Err(self.error(&span, path, Problem::Unsupported("aliases"))),
            _ => Ok(Value::Null),
        }
    }

    fn plain(&self, span: &Span, path: &str, anchor: usize, tagged: bool) -> Result<(), FileError> {
        match (anchor, tagged) {
            (0, false) => Ok(()),
            (0, true) => Err(self.error(span, path, Problem::Unsupported("tags"))),
            _ => Err(self.error(span, path, Problem::Unsupported("anchors"))),
        }
    }

    fn sequence(&mut self, path: &str, depth: usize) -> Result<Value, FileError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next(path)?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(Value::Array(items));
            }
            let path = format!("{path}[{}]", items.len());
            items.push(self.node(event, span, &path, depth + 1)?);
        }
    }

    fn mapping(&mut self, path: &str, depth: usize) -> Result<Value, FileError> {
        let mut fields = Map::new();
        loop {
            let (event, span) = self.next(path)?;
            let key = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(Value::Object(fields)),
                Event::Scalar(text, style, anchor, tag) => {
                    self.plain(&span, path, anchor, tag.is_some())?;
                    if text == "<<" && style == ScalarStyle::Plain {
                        return Err(self.error(&span, path, Problem::Unsupported("merge keys")));
                    }
                    text.into_owned()
                }
                _ => return Err(self.error(&span, path, Problem::KeyNotText)),
            };
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let (event, value_span) = self.next(&path)?;
            let value = self.node(event, value_span, &path, depth + 1)?;
            // An unknown field is best shown where its name stands, a wrong value where the value stands; the value's
            // position serves both when they share a line, and the key's is kept for values that open a block.
            if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                self.positions.insert(path.clone(), position(&span));
            }
            if fields.insert(key.clone(), value).is_some() {
                return Err(self.error(&span, &path, Problem::DuplicateKey(key)));
            }
        }
    }
}

/// YAML 1.2 core schema, without hexadecimal, octal and exponents: a number with a leading zero stays a text, so that
/// an SD such as `001122` is not mangled.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let is_number = numeric(whole) && fraction.is_none_or(numeric) && (whole == "0" || !whole.starts_with('0'));
    let number = match fraction {
        _ if !is_number => None,
        None => text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok(),
        Some(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// Prints a path with a colon behind it, or nothing.
struct Prefixed<'a>(&'a str);

impl fmt::Display for Prefixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// The longest file that is read.
pub const FILE_OCTETS_MAX: usize = 16 << 20;
/// The deepest nesting that is read.
pub const FILE_DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        vlans: Vec<crate::Vlan>,
    }

    #[test]
    fn a_sound_file_is_read() {
        let sample: Sample = read_one("x.yaml", "name: a\nvlans: [7]\n").unwrap();
        assert_eq!((sample.name.as_str(), sample.vlans), ("a", vec![crate::Vlan::new(7).unwrap()]));
    }

    fn message(text: &str) -> String {
        read_one::<Sample>("x.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        assert_eq!(
            message("name: a\nvlans: [1, 5000]\n"),
            "x.yaml:2:12: vlans[1]: 5000 is not a VLAN identifier; expected 1 to 4094"
        );
        assert_eq!(message("name: a\nvlan: 1\n"), "x.yaml:2:7: vlan: unknown field `vlan`, expected `name` or `vlans`");
        assert_eq!(message("vlans: []\n"), "x.yaml:1:1: missing field `name`");
        assert_eq!(
            message("name: a\nname: b\n"),
            "x.yaml:2:1: name: the key `name` stands twice; expected each key once"
        );
        assert!(message("name: 7\n").starts_with("x.yaml:1:7: name: invalid type: integer `7`, expected a string"));
    }

    #[test]
    fn a_file_cut_in_the_middle_is_refused_with_its_place() {
        assert!(message("name: \"cut").starts_with("x.yaml:1:7: name: not YAML:"), "{}", message("name: \"cut"));
        assert!(message("name: a\nvlans: [1, ").contains("not YAML"), "{}", message("name: a\nvlans: [1, "));
    }

    #[test]
    fn yaml_that_hides_what_it_says_is_refused_by_name() {
        assert!(message("name: &x a\n").contains("anchors are not read here"));
        assert!(message("name: !!str a\n").contains("tags are not read here"));
        assert!(message("<<: {name: a}\n").contains("merge keys are not read here"));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("name: {}{}", "[".repeat(100), "]".repeat(100));
        assert!(message(&deep).contains("nested more than 32 levels deep"), "{}", message(&deep));
    }

    #[test]
    fn numbers_with_a_leading_zero_stay_texts() {
        assert_eq!(scalar("001122", ScalarStyle::Plain), Value::String("001122".into()));
        assert_eq!(scalar("0", ScalarStyle::Plain), Value::from(0_u64));
        assert_eq!(scalar("-5", ScalarStyle::Plain), Value::from(-5_i64));
        assert_eq!(scalar("1.5", ScalarStyle::Plain), Value::from(1.5));
        assert_eq!(scalar("7", ScalarStyle::DoubleQuoted), Value::String("7".into()));
    }
}
