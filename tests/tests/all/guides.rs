//! The code that the guides for app developers show is taken from files, most of which are compiled and run: here it is
//! held against them.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Lines without what they are indented by in common: a guide shows the inside of a class at its margin.
fn at_the_margin(lines: &[&str]) -> Vec<String> {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(common..).unwrap_or_default().trim_end().to_owned()).collect()
}

/// Whether `file` holds `block`, line by line.
fn holds(file: &str, block: &[&str]) -> bool {
    let lines: Vec<&str> = file.lines().collect();
    let wanted = at_the_margin(block);
    !block.is_empty() && lines.windows(block.len()).any(|window| at_the_margin(window) == wanted)
}

/// Each block of code in `language`: the file that it is from, where it says so, the line on which it begins, the code.
fn blocks<'a>(guide: &'a str, language: &str) -> Vec<(Option<&'a str>, usize, Vec<&'a str>)> {
    let lines: Vec<&str> = guide.lines().collect();
    let begins = (0..lines.len()).filter(|at| lines[*at] == format!("```{language}"));
    let block = |at: usize| {
        let from = lines.get(at.wrapping_sub(1)).and_then(|line| line.strip_prefix("<!-- from ")?.strip_suffix(" -->"));
        let code = lines[at + 1..].iter().take_while(|line| **line != "```").copied().collect();
        (from, at + 1, code)
    };
    begins.map(block).collect()
}

#[test]
fn the_guides_show_code_that_is_there() {
    for (guide, language) in [("docs/first-screen-kotlin.md", "kotlin"), ("docs/first-screen-swift.md", "swift")] {
        let text = fs::read_to_string(root().join(guide)).expect("a guide");
        let blocks = blocks(&text, language);
        assert!(blocks.len() >= 8, "{guide} shows little");
        for (from, line, code) in blocks {
            let from = from.unwrap_or_else(|| panic!("{guide}:{line}: say which file the code is from"));
            let file = fs::read_to_string(root().join(from)).unwrap_or_else(|error| panic!("{guide}:{line}: {error}"));
            assert!(
                holds(&file, &code),
                "{guide}:{line}: {from} says something else now: take the code over from there"
            );
        }
    }
}

#[test]
fn a_block_that_differs_is_found() {
    let file = "class A {\n    fun b() {\n        c()\n    }\n}\n";
    assert!(holds(file, &["fun b() {", "    c()", "}"]));
    assert!(!holds(file, &["fun b() {", "    d()", "}"]));
    assert!(!holds(file, &["fun b() {", "c()", "}"]));
    assert!(!holds(file, &[]));
    let guide = "x\n<!-- from a.kt -->\n```kotlin\none\n```\n```kotlin\ntwo\n```\n";
    assert_eq!(blocks(guide, "kotlin"), [(Some("a.kt"), 3, vec!["one"]), (None, 6, vec!["two"])]);
}
