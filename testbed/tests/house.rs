//! The rules of the house, checked from `cargo metadata` and from the tree: who may depend on whom, which crates are
//! pure, what may stand at the top, which licences and crates are accepted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crates without runtime, socket, clock, environment and randomness.
const PURE: [&str; 5] = ["model", "plan", "aaa-wire", "transport-wire", "transport-dataplane"];

/// What a pure crate may not link, not even through others.
const IMPURE: [&str; 8] = ["tokio", "mio", "socket2", "tonic", "hyper", "rand", "getrandom", "sled"];

struct House {
    packages: BTreeMap<String, Value>,
    /// Normal and build dependencies, by package id.
    edges: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeMap<String, String>,
}

impl House {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
            .arg(root().join("Cargo.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let packages: BTreeMap<String, Value> =
            metadata["packages"].as_array().unwrap().iter().map(|p| (text(&p["id"]), p.clone())).collect();
        let ours = metadata["workspace_members"].as_array().unwrap().iter().map(text);
        let ours = ours.map(|id| (text(&packages[&id]["name"]), id)).collect();
        let mut edges = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let used = node["deps"].as_array().unwrap().iter().filter(|dep| {
                dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].as_str() != Some("dev"))
            });
            edges.insert(text(&node["id"]), used.map(|dep| text(&dep["pkg"])).collect());
        }
        Self { packages, edges, ours }
    }

    fn name(&self, id: &str) -> &str {
        self.packages[id]["name"].as_str().unwrap()
    }

    /// The names of everything that a crate of ours links.
    fn closure(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.ours[name].as_str()];
        while let Some(id) = open.pop() {
            for next in &self.edges[id] {
                if found.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        found.into_iter().map(|id| self.name(id)).collect()
    }

    /// The names of the crates of ours that a crate of ours names as dependencies.
    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[&self.ours[name]].iter().map(|id| self.name(id)).filter(|n| self.ours.contains_key(*n)).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn model_and_api_stand_at_the_bottom() {
    let house = House::read();
    assert_eq!(house.direct("model"), BTreeSet::new());
    assert_eq!(house.direct("api"), BTreeSet::from(["model"]));
}

#[test]
fn pure_crates_link_no_runtime_socket_or_randomness_and_forbid_unsafe_code() {
    let house = House::read();
    for name in PURE {
        let closure = house.closure(name);
        let impure: Vec<&&str> = IMPURE.iter().filter(|i| closure.contains(**i)).collect();
        assert!(impure.is_empty(), "{name} links {impure:?}");
        let manifest = house.packages[&house.ours[name]]["manifest_path"].as_str().unwrap();
        let lib = Path::new(manifest).with_file_name("src/lib.rs");
        let source = std::fs::read_to_string(&lib).unwrap();
        assert!(source.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", lib.display());
    }
}

#[test]
fn pure_crates_read_no_clock_and_no_environment() {
    let house = House::read();
    for name in PURE {
        let manifest = house.packages[&house.ours[name]]["manifest_path"].as_str().unwrap();
        for file in rust_files(&Path::new(manifest).with_file_name("src")) {
            let source = std::fs::read_to_string(&file).unwrap();
            let product = source.split("#[cfg(test)]").next().unwrap();
            if file.file_name().is_some_and(|f| f == "tests.rs") {
                continue;
            }
            for banned in
                ["Instant::now", "SystemTime::now", "std::env::", "std::net::UdpSocket", "std::net::Tcp", "std::fs::"]
            {
                assert!(!product.contains(banned), "{} uses {banned}", file.display());
            }
        }
    }
}

#[test]
fn dataplane_and_aaa_do_not_know_each_other() {
    let house = House::read();
    let dataplane = house.closure("transport-dataplane");
    assert!(!dataplane.contains("aaa-wire") && !dataplane.contains("aaa-server"));
    for name in ["aaa-wire", "aaa-server"] {
        let closure = house.closure(name);
        assert!(!closure.contains("transport-wire") && !closure.contains("transport-dataplane"), "{name}");
    }
}

#[test]
fn southbound_knows_the_model_only() {
    let house = House::read();
    assert_eq!(house.direct("transport-southbound"), BTreeSet::from(["model"]));
    let source = std::fs::read_to_string(root().join("transport/southbound/src/lib.rs")).unwrap();
    assert!(source.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn an_edge_makes_no_choice_and_a_manager_forwards_no_packet() {
    let house = House::read();
    assert!(!house.closure("mec-edge").contains("plan"));
    let manager = house.closure("slice-manager");
    for other in ["mec-edge", "aaa-server", "aaa-wire", "transport-dataplane"] {
        assert!(!manager.contains(other), "the manager links {other}");
    }
    for name in house.ours.keys() {
        assert!(name == "testbed" || !house.closure(name).contains("testbed"), "{name} links the testbed");
    }
}

#[test]
fn only_the_agreed_folders_stand_at_the_top_and_no_crate_is_empty() {
    let allowed = ["slice-manager", "aaa", "transport", "mec-edge", "profiles", "testbed", "docs", "target"];
    for entry in std::fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_folder = entry.file_type().unwrap().is_dir();
        assert!(
            !is_folder || name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name}/ does not belong here"
        );
    }
    let house = House::read();
    for (name, id) in &house.ours {
        let manifest = house.packages[id]["manifest_path"].as_str().unwrap();
        let lines: usize = rust_files(&Path::new(manifest).with_file_name("src"))
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap().lines().count())
            .sum();
        assert!(lines > 100, "{name} has {lines} lines");
    }
}

#[test]
fn files_keep_to_their_size() {
    for file in rust_files(&root()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines; 600 is the most", file.display());
    }
}

/// What is built for any target, as `name vVERSION`. The metadata also list what features could switch on.
fn built() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--target", "all"])
        .args(["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let built: BTreeSet<String> =
        text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert!(built.len() > 100, "cargo tree was not understood");
    built
}

#[test]
fn licences_and_bans_are_those_of_deny_toml() {
    let house = House::read();
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
    let allow: Vec<String> = deny
        .lines()
        .skip_while(|l| !l.starts_with("allow"))
        .skip(1)
        .take_while(|l| !l.starts_with(']'))
        .filter_map(quoted)
        .collect();
    // Each with the crates that may use it all the same.
    let banned: Vec<(String, Vec<String>)> = deny
        .lines()
        .filter(|l| l.trim_start().starts_with("{ crate ="))
        .filter_map(|l| {
            let wrappers = l.split_once("wrappers = [").and_then(|(_, rest)| rest.split_once(']'));
            let wrappers = wrappers.map_or("", |(list, _)| list).split('"').skip(1).step_by(2);
            Some((quoted(l)?, wrappers.map(str::to_owned).collect()))
        })
        .collect();
    assert!(allow.len() > 5 && banned.len() > 3, "deny.toml was not understood");
    let built = built();
    for (id, package) in &house.packages {
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        if !built.contains(&format!("{name} v{version}")) {
            continue;
        }
        if let Some((_, wrappers)) = banned.iter().find(|(crate_name, _)| crate_name == name) {
            let users = house.edges.iter().filter(|(_, used)| used.contains(id)).map(|(user, _)| house.name(user));
            let others: Vec<_> = users.filter(|user| !wrappers.iter().any(|wrapper| wrapper == user)).collect();
            assert!(!wrappers.is_empty() && others.is_empty(), "{name} is banned by deny.toml; used by {others:?}");
        }
        // Some write the operator small.
        let licence = package["license"].as_str().unwrap_or("none").replace(" or ", " OR ");
        let licence = licence.as_str();
        assert!(accepted(licence, &allow), "{name}: licence `{licence}` is not accepted by deny.toml");
        if let Some(source) = package["source"].as_str() {
            assert!(
                source.starts_with("registry+https://github.com/rust-lang/crates.io-index"),
                "{name} comes from {source}"
            );
        }
    }
}

/// `A OR B AND (C OR D)`, read left to right with AND binding more tightly, as SPDX has it.
fn accepted(expression: &str, allow: &[String]) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut depth = 0;
    let mut or_parts = vec![String::new()];
    for word in expression.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        match word {
            "(" => depth += 1,
            ")" => depth -= 1,
            "OR" if depth == 0 => {
                or_parts.push(String::new());
                continue;
            }
            _ => {}
        }
        let last = or_parts.last_mut().unwrap();
        *last = format!("{last} {word}");
    }
    or_parts.iter().any(|part| {
        let part = part.trim();
        let inner = part.strip_prefix('(').and_then(|p| p.strip_suffix(')'));
        match inner {
            Some(inner) if !inner.contains('(') => accepted(inner, allow),
            _ => split_and(part).iter().all(|term| {
                let term = term.trim();
                if term.starts_with('(') { accepted(term, allow) } else { allow.iter().any(|a| a == term) }
            }),
        }
    })
}

fn split_and(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for word in text.split_whitespace() {
        match word {
            "(" => depth += 1,
            ")" => depth -= 1,
            "AND" if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        let last = parts.last_mut().unwrap();
        *last = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
    }
    parts
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}
