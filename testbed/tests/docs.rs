//! The documentation against the product: links lead somewhere, commands exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

use std::path::{Path, PathBuf};

use clap::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Markdown page of the project.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 8, "the documentation was not found");
    pages
}

/// A heading's anchor, as it is made on the usual forges.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The text outside of fenced blocks.
fn prose(page: &str) -> String {
    let mut fenced = false;
    page.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_link_leads_to_a_file_or_a_heading_that_exists() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = file.exists()
                && (heading.is_empty()
                    || std::fs::read_to_string(&file)
                        .unwrap()
                        .lines()
                        .any(|l| l.starts_with('#') && anchor(l) == heading));
            if !found {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// The commands of a page's shell blocks, continuation lines joined, comments and prompts left out.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut shell = false;
    let mut open = String::new();
    for line in page.lines() {
        let line = line.trim();
        if let Some(language) = line.strip_prefix("```") {
            shell = !shell && matches!(language, "sh" | "console");
            continue;
        }
        if !shell {
            continue;
        }
        let line = line.strip_prefix("$ ").unwrap_or(line).split(" #").next().unwrap_or_default().trim();
        match line.strip_suffix('\\') {
            Some(part) => open.push_str(part),
            None => commands.push(std::mem::take(&mut open) + line),
        }
    }
    commands
}

/// Checks one command line against a clap command: every subcommand and every flag is known.
fn check(line: &str, command: &Command) -> Result<(), String> {
    let mut command = command.clone();
    command.build();
    let mut here = &command;
    for word in line.split_whitespace().skip(1) {
        let word = word.trim_matches(['"', '\'']);
        if matches!(word, "|" | ">" | "<" | "&&" | "&" | ";") {
            return Ok(());
        }
        if let Some(long) = word.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or_default();
            if !name.is_empty() && name != "help" && !here.get_arguments().any(|a| a.get_long() == Some(name)) {
                return Err(format!("`{}` has no --{name}: {line}", here.get_name()));
            }
        } else if let Some(short) = word.strip_prefix('-').and_then(|s| s.chars().next()) {
            if short != 'h' && !here.get_arguments().any(|a| a.get_short() == Some(short)) {
                return Err(format!("`{}` has no -{short}: {line}", here.get_name()));
            }
        } else if let Some(next) = here.find_subcommand(word) {
            here = next;
        } else if here.has_subcommands() && !here.get_arguments().any(clap::Arg::is_positional) && !is_value(word) {
            return Err(format!("`{}` has no subcommand `{word}`: {line}", here.get_name()));
        }
    }
    Ok(())
}

/// A word that is a flag's value rather than a subcommand.
fn is_value(word: &str) -> bool {
    word.contains(['/', '.', ':', '=', '$', '['])
        || word.chars().all(|c| c.is_ascii_digit())
        || matches!(word, "json" | "yaml" | "table")
}

#[test]
fn every_command_of_the_documentation_exists() {
    let tools: [(&str, Command); 3] = [
        ("slicectl", slicectl::command()),
        ("slice-manager", slice_manager::command()),
        ("mec-edge", mec_edge::command()),
    ];
    let demo = testbed::command();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for line in commands(&std::fs::read_to_string(&page).unwrap()) {
            let line = line.strip_prefix("sudo ").unwrap_or(&line).to_owned();
            let line = line.strip_prefix("cargo demo").map_or(line.clone(), |rest| format!("testbed demo{rest}"));
            let line = line
                .strip_prefix("cargo run --release -p testbed --")
                .map_or(line.clone(), |rest| format!("testbed{rest}"));
            let tool = line.split_whitespace().next().unwrap_or_default().to_owned();
            let command = tools.iter().find(|(name, _)| *name == tool).map(|(_, c)| c);
            let command = command.or((tool == "testbed").then_some(&demo));
            if let Some(command) = command {
                checked += 1;
                wrong.extend(check(&line, command).err().map(|e| format!("{}: {e}", page.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "commands that do not exist:\n{}", wrong.join("\n"));
    assert!(checked > 10, "only {checked} commands were found");
}

/// The names in the first column of a page's tables, in backticks.
fn listed(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_reason_to_drop_a_packet_is_explained_in_the_order_in_which_a_packet_meets_it() {
    let dataplane = transport_dataplane::DropReason::ALL.map(|reason| reason.as_str().to_owned());
    let ports = mec_edge::ports::Loss::ALL.map(|loss| loss.as_str().to_owned());
    let page = "docs/reference/drops.md";
    assert_eq!(listed(page), [&dataplane[..], &ports[..]].concat());
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    for reason in transport_dataplane::DropReason::ALL {
        let row = format!("| `{reason}` | {} |", reason.meaning());
        assert!(text.lines().any(|line| line == row), "{row}");
    }
}

/// Name, kind, labels and meaning, as they are in the code; and nothing that is not.
#[test]
fn every_metric_is_explained_as_it_is_shown() {
    let row = |metric: &&metrics::Metric| {
        let metrics::Metric { name, kind, help, labels } = metric;
        format!("| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "))
    };
    let left_out = [metrics::Metric::left_out()];
    let lists = [slice_manager::METRICS, mec_edge::METRICS, &left_out];
    let expected: Vec<String> = lists.into_iter().flatten().map(row).collect();
    let page = std::fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let found: Vec<&str> = page.lines().filter(|line| line.starts_with("| `microslice_")).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_reason_of_the_aaa_is_explained() {
    let listed = listed("docs/guides/aaa.md");
    let dropped = aaa_server::DropReason::ALL.iter().map(|reason| reason.as_str());
    let rejected = aaa_server::RejectReason::ALL.iter().map(|reason| reason.as_str());
    let missing: Vec<_> = dropped.chain(rejected).filter(|name| !listed.iter().any(|row| row == name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_check_of_commands_bites() {
    let command = Command::new("x").subcommand(Command::new("list").arg(clap::Arg::new("all").long("all")));
    assert!(check("x list --all", &command).is_ok());
    assert!(check("x lost", &command).is_err());
    assert!(check("x list --some", &command).is_err());
}
