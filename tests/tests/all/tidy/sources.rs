//! Rules about what a source file may say, and how long it may be.

use super::Finding;
use super::rust::{Rust, is_word};

/// Every rule about code, on one file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = length(path, text);
    if path.ends_with(".rs") {
        let rust = Rust::parse(text);
        findings.extend(says_what_it_is_for(path, text));
        for rule in [
            domain_is_pure, usecases_name_no_edge, sql_stays_home, xml_stays_home, sandbox_stands_alone,
            unsafe_stays_home, nothing_unfinished,
        ] {
            findings.extend(rule(path, &rust));
        }
    }
    findings
}

fn finding(path: &str, line: usize, what: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { path: path.to_owned(), line, what: what.into(), remedy }
}

/// Findings for every occurrence of one of `words` as a whole word of the code.
fn forbid(path: &str, rust: &Rust, words: &[&str], remedy: &'static str) -> Vec<Finding> {
    let tokens = rust.tokens().into_iter().filter(|(_, token)| words.contains(token));
    tokens.map(|(line, token)| finding(path, line, format!("names {token}"), remedy)).collect()
}

const LONGEST: usize = 800;

fn length(path: &str, text: &str) -> Vec<Finding> {
    let written = [".rs", ".html", ".css", ".kt", ".swift"].iter().any(|end| path.ends_with(end));
    let lines = text.lines().count();
    if !written || path.ends_with(".min.css") || lines <= LONGEST {
        return Vec::new();
    }
    vec![finding(path, LONGEST + 1, format!("is {lines} lines long"), "split it where a reader would pause")]
}

fn says_what_it_is_for(path: &str, text: &str) -> Vec<Finding> {
    if text.starts_with("//!") {
        return Vec::new();
    }
    vec![finding(path, 1, "does not say what it is for", "begin it with a `//!` paragraph")]
}

fn domain_is_pure(path: &str, rust: &Rust) -> Vec<Finding> {
    if !path.starts_with("core/domain/") {
        return Vec::new();
    }
    let io = ["tokio", "sqlx", "tonic", "prost", "axum", "uniffi", "serde_json", "async", "await"];
    let chance = ["SystemTime", "Instant", "getrandom", "rand", "ThreadRng", "OsRng"];
    let mut findings = forbid(path, rust, &io, "the domain is pure: move it to an edge or the store");
    findings.extend(forbid(path, rust, &chance, "take time and chance as arguments"));
    findings.extend(forbid(path, rust, &["f32", "f64"], "amounts are integer cents, rates are rust_decimal"));
    let clock = |pair: &&[(usize, &str)]| pair[0].1 == "::" && pair[1].1 == "now";
    let reads_it = |pair: &[(usize, &str)]| finding(path, pair[1].0, "reads the clock", "take the time as an argument");
    findings.extend(rust.tokens().windows(2).filter(clock).map(reads_it));
    for (line, text) in (1..).zip(rust.code.lines()) {
        if has_float(text) {
            findings.push(finding(path, line, "writes a float", "amounts are integer cents, rates are rust_decimal"));
        }
    }
    findings
}

/// A literal such as `0.5`, but neither the range `0..5` nor the field `.0.5`.
fn has_float(line: &str) -> bool {
    let chars: Vec<char> = line.chars().collect();
    chars.windows(3).enumerate().any(|(at, window)| {
        let [before, dot, after] = window else { return false };
        let mut earlier = chars[..=at].iter().rev().skip_while(|c| is_word(**c));
        let number = chars[..=at].iter().rev().take_while(|c| is_word(**c)).last().is_some_and(char::is_ascii_digit);
        before.is_ascii_digit() && *dot == '.' && after.is_ascii_digit() && number && earlier.next() != Some(&'.')
    })
}

fn usecases_name_no_edge(path: &str, rust: &Rust) -> Vec<Finding> {
    if !path.starts_with("server/src/usecases") {
        return Vec::new();
    }
    let edges = ["axum", "tonic", "prost", "borsellino_proto", "askama", "sqlx"];
    forbid(path, rust, &edges, "a use case speaks domain types: decode and encode at the edge, query in server/store")
}

fn sql_stays_home(path: &str, rust: &Rust) -> Vec<Finding> {
    if ["server/store/", "core/src/cache/", "core/src/cache.rs", "core/tests/", "tests/"]
        .iter()
        .any(|home| path.starts_with(home))
    {
        return Vec::new();
    }
    let sql = rust.strings.iter().filter(|(_, inside)| is_sql(inside));
    let remedy = "SQL stands only in server/store and core/src/cache: give the store a function for it";
    sql.map(|(line, _)| finding(path, *line, "holds SQL", remedy)).collect()
}

/// Statements in capitals anywhere in a text, in small letters only at its start: prose says "select" too.
fn is_sql(text: &str) -> bool {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
    let names = |text: &str, verb: &str, then: &str| {
        text.split_once(verb).is_some_and(|(before, after)| !before.ends_with(is_word) && after.contains(then))
    };
    let small = text.trim_start();
    let begins = |verb: &str, then: &str| small.strip_prefix(verb).is_some_and(|after| after.contains(then));
    names(&text, "SELECT ", " ")
        || names(&text, "UPDATE ", " SET ")
        || ["INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "DROP TABLE "]
            .iter()
            .any(|verb| names(&text, verb, ""))
        || begins("select ", " from ")
        || begins("update ", " set ")
        || ["insert into ", "delete from ", "create table "].iter().any(|verb| begins(verb, ""))
}

fn xml_stays_home(path: &str, rust: &Rust) -> Vec<Finding> {
    if path.starts_with("server/pagopa/") {
        return Vec::new();
    }
    forbid(
        path,
        rust,
        &["roxmltree", "quick_xml", "xmlparser"],
        "XML stands only in server/pagopa: pass its parsed types",
    )
}

/// The sandbox platform plays the other side of every conversation: with a parser or type in common, a mistake in it
/// would be made twice and pass.
fn sandbox_stands_alone(path: &str, rust: &Rust) -> Vec<Finding> {
    let Some(inside) = path.strip_prefix("server/pagopa/src/") else { return Vec::new() };
    let roots = crate_roots(&rust.tokens());
    if !inside.starts_with("sandbox/") && inside != "sandbox.rs" {
        let sandbox = roots.into_iter().filter(|(_, name)| *name == "sandbox" && inside != "lib.rs");
        let remedy = "the server's side of pagoPA shares nothing with the sandbox platform";
        return sandbox.map(|(line, _)| finding(path, line, "names crate::sandbox", remedy)).collect();
    }
    let remedy = "the sandbox platform shares nothing with the server's side of pagoPA: write its own";
    let mut findings = forbid(path, rust, &["borsellino_domain", "borsellino_pagopa"], remedy);
    let others = roots.into_iter().filter(|(_, name)| *name != "sandbox");
    findings.extend(others.map(|(line, name)| finding(path, line, format!("names crate::{name}"), remedy)));
    // `super` from the module's own file is the crate, and each level down adds one.
    let levels = inside.matches('/').count() + usize::from(!inside.ends_with("/mod.rs") && inside != "sandbox.rs");
    let tokens = rust.tokens();
    let climb: Vec<&str> = std::iter::repeat_n(["super", "::"], levels).flatten().collect();
    for (at, window) in tokens.windows(climb.len() + 1).enumerate() {
        let climbs = window.iter().zip(&climb).all(|((_, token), step)| token == step);
        let (line, last) = window[climb.len()];
        // A test module stands one level deeper: its `super::` chain is one longer, and no name of the crate's.
        if climbs && ["node", "checkout", "soap"].contains(&last) && (at == 0 || tokens[at - 1].1 != "::") {
            findings.push(finding(path, line, format!("names the crate's {last} through super"), remedy));
        }
    }
    findings
}

/// The first segment of every `crate::` path, those of a `crate::{...}` group included.
fn crate_roots<'a>(tokens: &[(usize, &'a str)]) -> Vec<(usize, &'a str)> {
    let mut roots = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].1 != "crate" || pair[1].1 != "::" {
            continue;
        }
        let after = &tokens[at + 2..];
        if after.first().is_none_or(|(_, token)| *token != "{") {
            roots.extend(after.first());
            continue;
        }
        let (mut depth, mut first) = (0_usize, true);
        for (line, token) in after {
            match *token {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                "," if depth == 1 => first = true,
                name if depth == 1 && first => {
                    roots.push((*line, name));
                    first = false;
                }
                _ => {}
            }
        }
    }
    roots
}

/// The one function that may be unsafe: it lets the kernel end a test's PostgreSQL with the test.
const UNSAFE_HOME: (&str, &str) = ("tests/src/postgres.rs", "die_with_parent");

fn unsafe_stays_home(path: &str, rust: &Rust) -> Vec<Finding> {
    let tokens = rust.tokens();
    let home = if path == UNSAFE_HOME.0 { function(&tokens, UNSAFE_HOME.1) } else { 0..0 };
    let found = tokens.iter().enumerate().filter(|(at, (_, token))| *token == "unsafe" && !home.contains(at));
    let remedy = "find a safe crate or interface; the harness's one function is the only exception";
    found.map(|(_, (line, _))| finding(path, *line, "is unsafe", remedy)).collect()
}

/// Where in `tokens` the function's body stands.
fn function(tokens: &[(usize, &str)], name: &str) -> std::ops::Range<usize> {
    let Some(head) = tokens.windows(2).position(|pair| pair[0].1 == "fn" && pair[1].1 == name) else { return 0..0 };
    let (mut depth, mut begin) = (0_usize, None);
    for (at, (_, token)) in tokens.iter().enumerate().skip(head) {
        match *token {
            "{" => {
                begin.get_or_insert(at);
                depth += 1;
            }
            "}" if depth == 1 => return begin.unwrap_or(at)..at,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    0..0
}

fn nothing_unfinished(path: &str, rust: &Rust) -> Vec<Finding> {
    let tokens = rust.tokens();
    let pairs = tokens.windows(2).enumerate();
    let unfinished = pairs.filter(|(at, pair)| match (pair[0].1, pair[1].1) {
        ("todo" | "unimplemented" | "dbg", "!") => true,
        ("ignore", "]" | "=") => *at > 0 && tokens[at - 1].1 == "[",
        _ => false,
    });
    let remedy = "finish it, or remove it and write an issue";
    unfinished.map(|(_, pair)| finding(path, pair[0].0, format!("says {}", pair[0].1), remedy)).collect()
}

/// The lines on which `rule` finds something in `text` at `path`.
fn lines(rule: fn(&str, &Rust) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = rule(path, &Rust::parse(text)).into_iter().map(|finding| finding.line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[test]
fn a_finding_reads_as_file_line_what_remedy() {
    let found = check("core/domain/src/x.rs", "//! X.\n\nuse tokio::fs;\n");
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        found.to_string(),
        "core/domain/src/x.rs:3: names tokio; the domain is pure: move it to an edge or the store"
    );
}

#[test]
fn long_and_nameless_files_are_found() {
    let (full, over) = ("x\n".repeat(LONGEST), "x\n".repeat(LONGEST + 1));
    for path in ["server/src/a.rs", "server/templates/a.html", "server/assets/a.css"] {
        assert!(length(path, &full).is_empty());
        assert_eq!(length(path, &over).len(), 1, "{path}");
    }
    assert!(length("Cargo.lock", &over).is_empty());
    assert!(says_what_it_is_for("a.rs", "//! For this.\n").is_empty());
    assert_eq!(says_what_it_is_for("a.rs", "// For that.\n").len(), 1);
}

#[test]
fn the_domain_names_no_io_clock_chance_or_float() {
    let domain = "core/domain/src/x.rs";
    let pure = "fn f(now: i64, x: (i64, (i64, i64))) -> i64 { for _ in 0..5 {} x.1.0 } // 0.5 tokio f64\nconst A: &str = \"f64 0.5\";";
    assert_eq!(lines(domain_is_pure, domain, pure), [0; 0]);
    let breaches = "use tokio::fs;\nasync fn f() {}\nlet x: f64;\nlet y = 0.5;\nSystemTime::now();\nserde_json::Value\ngetrandom::fill(b)\n-12.50\nTimestamp::now()";
    assert_eq!(lines(domain_is_pure, domain, breaches), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(lines(domain_is_pure, "core/src/x.rs", breaches), [0; 0]);
}

#[test]
fn use_cases_name_no_edge() {
    let text = "use axum::Json;\nuse tonic::Status;\nuse prost::Message;\nuse askama::Template;\nuse borsellino_proto::v1;\nsqlx::query(\"\");\nuse borsellino_store::Tx; // axum\n";
    assert_eq!(lines(usecases_name_no_edge, "server/src/usecases/top_up.rs", text), [1, 2, 3, 4, 5, 6]);
    assert_eq!(lines(usecases_name_no_edge, "server/src/grpc/top_up.rs", text), [0; 0]);
}

#[test]
fn sql_is_found_wherever_a_string_holds_it() {
    let sql = "f(\"SELECT id\n FROM notice\");\nf(\"INSERT INTO x VALUES (1)\");\nf(r#\"UPDATE x\n  SET y = 1\"#);\nf(\"DELETE FROM x\");\nf(\"CREATE TABLE x (y)\");\nf(\"WITH a AS (SELECT 1)\");\nf(\"select a from b\");";
    assert_eq!(lines(sql_stays_home, "server/src/usecases/x.rs", sql), [1, 3, 4, 6, 7, 8, 9]);
    let prose = "f(\"Select a child from the list\");\nf(\"UPDATE AVAILABLE\");\nf(\"deselect everything\");\n// SELECT a FROM b\nf(\"SELECTED \");";
    assert_eq!(lines(sql_stays_home, "server/src/usecases/x.rs", prose), [0; 0]);
    for home in ["server/store/src/ops.rs", "core/src/cache/mod.rs", "tests/tests/all/store.rs"] {
        assert_eq!(lines(sql_stays_home, home, sql), [0; 0], "{home}");
    }
}

#[test]
fn xml_is_found_outside_pagopa() {
    let text = "use roxmltree::Document;\nuse quick_xml::Writer;\n// quick_xml\n";
    assert_eq!(lines(xml_stays_home, "server/src/soap.rs", text), [1, 2]);
    assert_eq!(lines(xml_stays_home, "server/pagopa/src/node.rs", text), [0; 0]);
}

#[test]
fn the_sandbox_and_the_server_share_nothing() {
    let text = "use crate::node::Parser;\nuse crate::{sandbox::Page,\n  checkout::{Client, Cart}};\nuse borsellino_domain::Cents;\nuse crate::sandbox::Page;\nlet node = 1;\n";
    assert_eq!(lines(sandbox_stands_alone, "server/pagopa/src/sandbox/page.rs", text), [1, 3, 4]);
    assert_eq!(lines(sandbox_stands_alone, "server/pagopa/src/node/mod.rs", text), [2, 5]);
    assert_eq!(lines(sandbox_stands_alone, "server/pagopa/src/lib.rs", "pub use crate::sandbox::Page;"), [0; 0]);
    assert_eq!(lines(sandbox_stands_alone, "server/src/soap.rs", text), [0; 0]);

    let climbing = "use super::node::A;\nuse super::super::node::B;\n";
    assert_eq!(lines(sandbox_stands_alone, "server/pagopa/src/sandbox/mod.rs", climbing), [1]);
    assert_eq!(lines(sandbox_stands_alone, "server/pagopa/src/sandbox/page.rs", climbing), [2]);
}

#[test]
fn unsafe_is_found_outside_its_one_function() {
    let text = "fn die_with_parent() { if a { unsafe { b() } } }\nfn other() { unsafe { c() } }\n#![deny(unsafe_code)] // unsafe\n";
    assert_eq!(lines(unsafe_stays_home, "tests/src/postgres.rs", text), [2]);
    assert_eq!(lines(unsafe_stays_home, "tests/src/other.rs", text), [1, 2]);
}

#[test]
fn unfinished_work_is_found() {
    let text = "todo!();\nunimplemented!(\"x\");\ndbg!(x);\n#[ignore]\n#[ignore = \"slow\"]\nlet ignore = [1];\nf(\"todo!()\"); // dbg!(x)\n";
    assert_eq!(lines(nothing_unfinished, "core/src/lib.rs", text), [1, 2, 3, 4, 5]);
}
