//! How a resource differs from the declared one, field by field, in the JSON form of its message.
//!
//! Members of a list that have names are compared by name (`sdps[city].vlan`), others by their place, so that a member
//! that was put in shows as one line and not as a shift of all that follow.

use std::collections::BTreeSet;

use api::{JsonError, v1};
use model::operation::{ChangeKind, ResourceChange};
use model::resource::Resource;
use serde_json::Value;

/// `None` if both are the same.
pub(crate) fn resource(declared: Option<&Resource>, wanted: &Resource) -> Result<Option<v1::ResourceDiff>, JsonError> {
    if declared == Some(wanted) {
        return Ok(None);
    }
    let (kind, fields) = match declared {
        None => (ChangeKind::Add, Vec::new()),
        Some(declared) => (ChangeKind::Modify, fields(&json(declared)?, &json(wanted)?)),
    };
    let change = ResourceChange { resource: wanted.id(), kind };
    Ok(Some(v1::ResourceDiff { change: Some((&change).into()), fields }))
}

fn json(resource: &Resource) -> Result<Value, JsonError> {
    match resource {
        Resource::Topology(r) => api::to_json(&v1::Topology::from(r)),
        Resource::Slice(r) => api::to_json(&v1::Slice::from(r)),
        Resource::MicroSegment(r) => api::to_json(&v1::MicroSegment::from(r)),
        Resource::Realm(r) => api::to_json(&v1::Realm::from(r)),
    }
}

fn fields(declared: &Value, wanted: &Value) -> Vec<v1::FieldDiff> {
    let mut found = Vec::new();
    compare("", Some(declared), Some(wanted), &mut found);
    found
}

fn compare(path: &str, declared: Option<&Value>, wanted: Option<&Value>, found: &mut Vec<v1::FieldDiff>) {
    match (declared, wanted) {
        (declared, wanted) if declared == wanted => {}
        (Some(Value::Object(declared)), Some(Value::Object(wanted))) => {
            let keys: BTreeSet<&String> = declared.keys().chain(wanted.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, declared.get(key), wanted.get(key), found);
            }
        }
        (Some(Value::Array(declared)), Some(Value::Array(wanted))) => members(path, declared, wanted, found),
        (declared, wanted) => {
            let text = |value: Option<&Value>| value.map_or_else(String::new, Value::to_string);
            found.push(v1::FieldDiff { path: path.to_owned(), declared: text(declared), wanted: text(wanted) });
        }
    }
}

fn members(path: &str, declared: &[Value], wanted: &[Value], found: &mut Vec<v1::FieldDiff>) {
    let (Some(before), Some(after)) = (names(declared), names(wanted)) else {
        for index in 0..declared.len().max(wanted.len()) {
            compare(&format!("{path}[{index}]"), declared.get(index), wanted.get(index), found);
        }
        return;
    };
    let all: Vec<&str> = before.iter().chain(after.iter().filter(|name| !before.contains(name))).copied().collect();
    for name in all {
        let of = |names: &[&str], values| named(names, values, name);
        compare(&format!("{path}[{name}]"), of(&before, declared), of(&after, wanted), found);
    }
    // The same members in another order are another list.
    let kept = |names: &[&str], others: &[&str]| -> Vec<String> {
        names.iter().filter(|name| others.contains(name)).map(|name| (*name).to_owned()).collect()
    };
    let (kept_before, kept_after) = (kept(&before, &after), kept(&after, &before));
    if kept_before != kept_after {
        let order = |names: Vec<String>| Value::from(names).to_string();
        found.push(v1::FieldDiff { path: path.to_owned(), declared: order(kept_before), wanted: order(kept_after) });
    }
}

/// The names of all members; `None` if one has none.
fn names(members: &[Value]) -> Option<Vec<&str>> {
    members.iter().map(|member| member.get("name")?.as_str()).collect()
}

fn named<'a>(names: &[&str], members: &'a [Value], name: &str) -> Option<&'a Value> {
    members.get(names.iter().position(|n| *n == name)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(declared: &Value, wanted: &Value) -> Vec<String> {
        fields(declared, wanted).into_iter().map(|f| format!("{}: {} -> {}", f.path, f.declared, f.wanted)).collect()
    }

    #[test]
    fn fields_are_named_and_only_those_that_differ() {
        let declared = json!({ "name": "iot", "rate": { "ceiling": "2", "guaranteed": "1" } });
        let wanted = json!({ "name": "iot", "rate": { "ceiling": "3", "guaranteed": "1" }, "latency": "10" });
        assert_eq!(lines(&declared, &wanted), ["latency:  -> \"10\"", "rate.ceiling: \"2\" -> \"3\""]);
        assert!(lines(&declared, &declared).is_empty());
    }

    #[test]
    fn members_with_names_are_compared_by_name() {
        let declared = json!({ "sdps": [{ "name": "city", "vlan": 110 }, { "name": "dc", "vlan": 110 }] });
        let put_in =
            json!({ "sdps": [{ "name": "new" }, { "name": "city", "vlan": 110 }, { "name": "dc", "vlan": 7 }] });
        assert_eq!(lines(&declared, &put_in), ["sdps[dc].vlan: 110 -> 7", "sdps[new]:  -> {\"name\":\"new\"}"]);
        let turned = json!({ "sdps": [{ "name": "dc", "vlan": 110 }, { "name": "city", "vlan": 110 }] });
        assert_eq!(lines(&declared, &turned), ["sdps: [\"city\",\"dc\"] -> [\"dc\",\"city\"]"]);
    }

    #[test]
    fn members_without_names_are_compared_by_place() {
        assert_eq!(
            lines(&json!({ "at": ["edge-a", "edge-b"] }), &json!({ "at": ["edge-a", "edge-c", "edge-d"] })),
            ["at[1]: \"edge-b\" -> \"edge-c\"", "at[2]:  -> \"edge-d\""]
        );
    }
}
