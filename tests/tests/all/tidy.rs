//! Reads the sources and fails where an invariant of ARCHITECTURE.md is broken, with file, line and remedy.
//!
//! A rule is a function over one file; each has a test of its own below it that plants a breach and sees it found.
//! `rust.rs` reads Rust text, `sources.rs` holds the rules about code, `crates.rs` those about manifests,
//! `migrations.rs` those about tables.

mod crates;
mod migrations;
mod rust;
mod sources;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A breach of an invariant.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the repository.
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
    remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.remedy)
    }
}

/// A file of the repository: its path relative to the root, with `/`, and its text.
struct File {
    path: String,
    text: String,
}

/// Built or fetched, not written here.
const NOT_OURS: [&str; 6] = ["target", "node_modules", "vendor", "generated", "build", "worktrees"];
const READ: [&str; 8] = ["rs", "toml", "sql", "html", "css", "proto", "kt", "swift"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

fn read_tree(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("a file type");
            if kind.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                directories.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| READ.iter().any(|known| end == *known)) {
                let relative = path.strip_prefix(root).expect("a path below the root");
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                files.push(File { path: relative.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

#[test]
fn the_sources_keep_the_invariants() {
    let files = read_tree(&root());
    let mut findings = Vec::new();
    for file in &files {
        findings.extend(sources::check(&file.path, &file.text));
        findings.extend(crates::check(&file.path, &file.text));
        findings.extend(migrations::check(&file.path, &file.text));
    }
    findings.extend(migrations::same_names(files.iter().map(|file| file.path.as_str())));

    // A test that reads the wrong directory finds nothing wrong there.
    for crate_root in ["core/domain/src/lib.rs", "core/src/lib.rs", "server/src/main.rs", "server/store/Cargo.toml"] {
        assert!(files.iter().any(|file| file.path == crate_root), "{crate_root} was not read");
    }
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} breaches of ARCHITECTURE.md's invariants:\n{}", list.len(), list.join("\n"));
}
