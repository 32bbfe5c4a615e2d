//! The JSON Schemas in `docs/reference/schema/` are those of the types. `UPDATE=1 cargo test -p model` writes them.

use std::path::PathBuf;

#[test]
fn the_checked_in_schemas_are_those_of_the_types() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/schema"));
    let schemas: Vec<_> = model::resource::schemas().into_iter().chain(model::profile::schemas()).collect();
    let mut expected: Vec<String> = schemas.iter().map(|(name, _)| format!("{name}.json")).collect();
    expected.sort();
    for (name, schema) in schemas {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{} is not what the types say; UPDATE=1 writes it anew", path.display());
    }
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, expected, "a file too many or too few");
}
