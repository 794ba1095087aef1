//! Rules about manifests: who may import whom, and that every crate keeps the workspace's lints.

use super::Finding;

/// Who may import whom inside the house. `borsellino-tests` may import everything.
const MAY_IMPORT: [(&str, &[&str]); 11] = [
    ("borsellino-domain", &[]),
    ("borsellino-proto", &["borsellino-domain"]),
    ("borsellino-core", &["borsellino-proto", "borsellino-domain"]),
    ("borsellino-mobile", &["borsellino-core", "borsellino-domain"]),
    ("borsellino-bindgen", &[]),
    ("borsellino-store", &["borsellino-domain"]),
    ("borsellino-pagopa", &["borsellino-domain"]),
    ("borsellino-documents", &["borsellino-domain"]),
    (
        "borsellino-server",
        &["borsellino-store", "borsellino-pagopa", "borsellino-documents", "borsellino-proto", "borsellino-domain"],
    ),
    ("borsellino-fuzz", &["borsellino-server", "borsellino-pagopa", "borsellino-domain"]),
    (TESTS, &[]),
];
const TESTS: &str = "borsellino-tests";

/// Crates from outside that only one crate of the house may name, or that one may not.
const XML: [&str; 2] = ["roxmltree", "quick-xml"];
const NOT_IN_DOMAIN: [&str; 7] = ["tokio", "sqlx", "tonic", "prost", "axum", "uniffi", "serde_json"];

/// Every rule about manifests, on one file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    if !path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let at = |needle: &str| (1..).zip(text.lines()).find(|(_, line)| line.contains(needle)).map_or(1, |(line, _)| line);
    let finding =
        |needle: &str, what: String, remedy| Finding { path: path.to_owned(), line: at(needle), what, remedy };
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![finding("", format!("is no TOML: {error}"), "mend it")],
    };
    let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
        return Vec::new(); // the workspace's own
    };

    let mut findings = Vec::new();
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    if lints != Some(true) {
        findings.push(finding("[lints]", "escapes the house's lints".into(), "add `[lints] workspace = true`"));
    }
    let Some((_, may)) = MAY_IMPORT.iter().find(|(known, _)| *known == name) else {
        findings.push(finding(
            "name",
            format!("{name} has no place in the crate graph"),
            "give it one in ARCHITECTURE.md and here",
        ));
        return findings;
    };
    for dependency in dependencies(&manifest) {
        let ours = dependency.starts_with("borsellino-");
        if ours && name != TESTS && !may.contains(&dependency.as_str()) {
            let what = format!("{name} imports {dependency}");
            findings.push(finding(
                &dependency,
                what,
                "keep the direction of ARCHITECTURE.md's graph: move the code, not the border",
            ));
        }
        if XML.contains(&dependency.as_str()) && name != "borsellino-pagopa" {
            findings.push(finding(
                &dependency,
                format!("{name} imports {dependency}"),
                "XML stands only in server/pagopa",
            ));
        }
        if NOT_IN_DOMAIN.contains(&dependency.as_str()) && name == "borsellino-domain" {
            findings.push(finding(&dependency, format!("{name} imports {dependency}"), "the domain is pure"));
        }
    }
    findings
}

/// The names of all dependencies: of builds, tests and single targets too, and under their own name where renamed.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let mut names = Vec::new();
    for table in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let found = table.get(kind).and_then(toml::Value::as_table);
            for (key, value) in found.into_iter().flatten() {
                names.push(value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned());
            }
        }
    }
    names
}

fn lines(name: &str, rest: &str) -> Vec<usize> {
    let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}");
    check("x/Cargo.toml", &text).into_iter().map(|finding| finding.line).collect()
}

#[test]
fn edges_of_the_graph_are_the_only_ones() {
    assert_eq!(lines("borsellino-server", "[dependencies]\nborsellino-store.workspace = true\nserde = \"1\""), [0; 0]);
    assert_eq!(lines("borsellino-server", "[dependencies]\nborsellino-core.workspace = true"), [6]);
    assert_eq!(lines("borsellino-core", "[dev-dependencies]\nborsellino-server.workspace = true"), [6]);
    assert_eq!(lines("borsellino-store", "[target.'cfg(unix)'.dependencies]\nborsellino-pagopa.workspace = true"), [6]);
    assert_eq!(
        lines("borsellino-pagopa", "[build-dependencies]\nx = { package = \"borsellino-store\", path = \"y\" }"),
        [6]
    );
    assert_eq!(lines("borsellino-proto", "[dependencies]\nborsellino-tests.workspace = true"), [6]);
    assert_eq!(
        lines(TESTS, "[dependencies]\nborsellino-server.workspace = true\nborsellino-core.workspace = true"),
        [0; 0]
    );
    assert_eq!(lines("borsellino-extra", ""), [2]);
}

#[test]
fn some_crates_belong_to_one_room() {
    assert_eq!(lines("borsellino-pagopa", "[dependencies]\nroxmltree = \"1\""), [0; 0]);
    assert_eq!(lines("borsellino-server", "[dependencies]\nquick-xml = \"1\"\nroxmltree = \"1\""), [6, 7]);
    assert_eq!(lines("borsellino-domain", "[dependencies]\ntokio = \"1\"\nrust_decimal = \"1\""), [6]);
}

#[test]
fn lints_are_not_escaped() {
    let name = "[package]\nname = \"borsellino-domain\"\n";
    assert_eq!(check("x/Cargo.toml", name).len(), 1);
    assert_eq!(check("x/Cargo.toml", &format!("{name}[lints]\nworkspace = false")).len(), 1);
    assert!(check("Cargo.toml", "[workspace]\nmembers = []").is_empty());
    assert_eq!(check("x/Cargo.toml", "[package").len(), 1);
}
