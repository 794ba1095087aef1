//! Rules about tables: `creditor` leads every key, and both engines get the same steps. That is what lets a
//! PostgreSQL sharded by tenant carry the product unchanged.

use std::collections::BTreeSet;

use super::Finding;

/// The closed list of tables that belong to no creditor.
const GLOBAL: [&str; 5] = ["creditor", "activation_code", "station", "taxonomy", "node"];
const ENGINES: [&str; 2] = ["migrations/sqlite/", "migrations/postgres/"];
const REMEDY: &str = "lead with `creditor`: only the tables ARCHITECTURE.md lists are global";

/// Every rule about tables, on one file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    if !ENGINES.iter().any(|engine| path.starts_with(engine)) || !path.ends_with(".sql") {
        return Vec::new();
    }
    let tokens = tokens(text);
    let mut findings = Vec::new();
    for at in 0..tokens.len() {
        let mut breaches = table(&tokens[at..]);
        breaches.extend(index(&tokens[at..]));
        findings.extend(breaches.into_iter().map(|(line, what)| Finding {
            path: path.to_owned(),
            line,
            what,
            remedy: REMEDY,
        }));
    }
    findings
}

/// The two folders hold the same steps.
pub(super) fn same_names<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Vec<Finding> {
    let [sqlite, postgres] =
        ENGINES.map(|engine| paths.clone().filter_map(|path| path.strip_prefix(engine)).collect::<BTreeSet<_>>());
    let alone = |here: &BTreeSet<&str>, there: &BTreeSet<&str>, engine: &str| {
        let alone: Vec<String> = here.difference(there).map(|name| format!("{engine}{name}")).collect();
        alone.into_iter().map(|path| {
            let what = "has no namesake for the other engine".to_owned();
            Finding { path, line: 1, what, remedy: "every step exists in migrations/sqlite and migrations/postgres" }
        })
    };
    alone(&sqlite, &postgres, ENGINES[0]).chain(alone(&postgres, &sqlite, ENGINES[1])).collect()
}

type Token = (usize, String);

/// Words in small letters and marks of SQL, each with its line; comments and the insides of strings are left out.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut quoted, mut commented) = (false, false);
    for (line, text) in (1..).zip(text.lines()) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let mut length = first.len_utf8();
            if commented {
                commented = !rest.starts_with("*/");
                length = if commented { length } else { 2 };
            } else if quoted || first == '\'' {
                quoted ^= first == '\'';
            } else if rest.starts_with("--") {
                break;
            } else if rest.starts_with("/*") {
                commented = true;
                length = 2;
            } else if !first.is_whitespace() && first != '"' {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                length = word.max(length);
                tokens.push((line, rest[..length].to_lowercase()));
            }
            rest = &rest[length..];
        }
    }
    tokens
}

fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|((_, token), word)| token == word)
}

/// What stands between the parenthesis that `tokens` begins with and its partner.
fn group(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (at, (_, token)) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" => depth += 1,
            ")" if depth == 1 => return &tokens[1..at],
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 => return &[],
            _ => {}
        }
    }
    &[]
}

/// The parts of a group between its own commas.
fn parts(group: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    let split = group.split(|(_, token)| {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token == ","
    });
    split.filter(|part| !part.is_empty()).collect()
}

fn led_by_creditor(tokens: &[Token]) -> bool {
    starts_with(group(tokens), &["creditor"])
}

/// Breaches of a `CREATE TABLE` that `tokens` begins with.
fn table(tokens: &[Token]) -> Vec<(usize, String)> {
    if !starts_with(tokens, &["create", "table"]) {
        return Vec::new();
    }
    let skip = if starts_with(&tokens[2..], &["if", "not", "exists"]) { 5 } else { 2 };
    let Some((line, name)) = tokens.get(skip) else { return Vec::new() };
    if GLOBAL.contains(&name.as_str()) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    let mut keyed = false;
    for part in parts(group(&tokens[skip + 1..])) {
        // A constraint may have a name; then it is one, whatever the name says.
        let named = starts_with(part, &["constraint"]);
        let part = if named { &part[2..] } else { part };
        let line = part.first().map_or(*line, |(line, _)| *line);
        for (words, what) in [(["primary", "key"], "primary key"), (["foreign", "key"], "foreign key")] {
            if starts_with(part, &words) {
                keyed |= what == "primary key";
                if !led_by_creditor(&part[2..]) {
                    breaches.push((line, format!("{name}'s {what} is not led by creditor")));
                }
            }
        }
        if starts_with(part, &["unique"]) {
            if !led_by_creditor(&part[1..]) {
                breaches.push((line, format!("{name}'s unique constraint is not led by creditor")));
            }
        } else if !["primary", "foreign", "check", "creditor"].iter().any(|word| starts_with(part, &[word])) {
            breaches.extend(column(name, part));
        } else if starts_with(part, &["creditor"]) {
            keyed |= part.windows(2).any(|pair| starts_with(pair, &["primary", "key"]));
        }
    }
    if !keyed && !breaches.iter().any(|(_, what)| what.contains("primary key")) {
        breaches.push((*line, format!("{name} has no primary key led by creditor")));
    }
    breaches
}

/// Breaches of one column that is not `creditor`.
fn column(table: &str, part: &[Token]) -> Vec<(usize, String)> {
    let mut breaches = Vec::new();
    for (at, (line, _)) in part.iter().enumerate().skip(1) {
        let rest = &part[at..];
        let what = if starts_with(rest, &["primary", "key"]) {
            "primary key"
        } else if starts_with(rest, &["unique"]) {
            "unique constraint"
        } else if starts_with(rest, &["references"]) && rest.get(1).is_none_or(|(_, to)| !GLOBAL.contains(&to.as_str()))
        {
            "foreign key"
        } else {
            continue;
        };
        breaches.push((*line, format!("{table}'s {what} is not led by creditor")));
    }
    breaches
}

/// Breaches of a `CREATE [UNIQUE] INDEX` that `tokens` begins with.
fn index(tokens: &[Token]) -> Vec<(usize, String)> {
    if !starts_with(tokens, &["create", "index"]) && !starts_with(tokens, &["create", "unique", "index"]) {
        return Vec::new();
    }
    let Some(on) = tokens.iter().position(|(_, token)| token == "on") else { return Vec::new() };
    let Some((line, name)) = tokens.get(on + 1) else { return Vec::new() };
    if GLOBAL.contains(&name.as_str()) || led_by_creditor(&tokens[on + 2..]) {
        return Vec::new();
    }
    vec![(*line, format!("{name}'s index is not led by creditor"))]
}

fn lines(sql: &str) -> Vec<usize> {
    check("migrations/sqlite/0001_start.sql", sql).into_iter().map(|finding| finding.line).collect()
}

#[test]
fn tables_of_a_creditor_pass() {
    let sql = "-- CREATE TABLE wrong (id TEXT PRIMARY KEY);\n/* CREATE TABLE wrong (id TEXT PRIMARY KEY); */
        CREATE TABLE IF NOT EXISTS \"notice\" (
            creditor TEXT NOT NULL REFERENCES creditor, -- the tenant
            id TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('open, ', 'paid)')),
            station TEXT REFERENCES station (id),
            CONSTRAINT notice_key PRIMARY KEY (creditor, id),
            UNIQUE (creditor, state),
            FOREIGN KEY (creditor, id) REFERENCES bill (creditor, id)
        ) STRICT;
        CREATE UNIQUE INDEX notice_open ON notice (creditor, id) WHERE state = 'open';
        CREATE TABLE station (id TEXT PRIMARY KEY, broker TEXT UNIQUE);
        CREATE INDEX station_broker ON station (broker);
        CREATE TABLE counter (creditor TEXT PRIMARY KEY, next BIGINT NOT NULL);";
    assert_eq!(lines(sql), [0; 0]);
}

#[test]
fn keys_not_led_by_creditor_are_found() {
    assert_eq!(lines("CREATE TABLE a (id TEXT PRIMARY KEY, creditor TEXT)"), [1]);
    assert_eq!(lines("CREATE TABLE a (\n creditor TEXT, id TEXT,\n PRIMARY KEY (id, creditor))"), [3]);
    assert_eq!(lines("\ncreate table a (creditor text, id text)"), [2], "no primary key at all");
    let key = "creditor TEXT, id TEXT, PRIMARY KEY (creditor, id)";
    assert_eq!(lines(&format!("CREATE TABLE a ({key},\n UNIQUE (id))")), [2]);
    assert_eq!(lines(&format!("CREATE TABLE a ({key},\n CONSTRAINT u UNIQUE (id, creditor))")), [2]);
    assert_eq!(lines(&format!("CREATE TABLE a ({key},\n FOREIGN KEY (id) REFERENCES b (id))")), [2]);
    assert_eq!(lines(&format!("CREATE TABLE a ({key},\n other TEXT REFERENCES b (id),\n x TEXT UNIQUE)")), [2, 3]);
    assert_eq!(lines("CREATE UNIQUE INDEX i\n ON a (id)"), [2]);
    assert_eq!(lines("CREATE INDEX i ON a (due_at, creditor)"), [1]);
    assert!(check("migrations/app-cache/0001.sql", "CREATE TABLE a (id TEXT PRIMARY KEY)").is_empty());
}

#[test]
fn a_step_for_one_engine_only_is_found() {
    let both = ["migrations/sqlite/0001.sql", "migrations/postgres/0001.sql", "migrations/app-cache/0007.sql"];
    assert_eq!(same_names(both.into_iter()), []);
    let found = same_names(both.into_iter().chain(["migrations/postgres/0002.sql"]));
    assert_eq!(found.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["migrations/postgres/0002.sql"]);
    let found = same_names(both.into_iter().chain(["migrations/sqlite/0003.sql"]));
    assert_eq!(found.len(), 1);
}
