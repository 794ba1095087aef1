//! Just enough of Rust's grammar to tell code from comments and literals, line by line.

/// A Rust file taken apart.
pub(super) struct Rust {
    /// The code alone: comments and the insides of literals are blanks, lines stay where they were.
    pub(super) code: String,
    /// Every string literal with the line it begins on.
    pub(super) strings: Vec<(usize, String)>,
}

impl Rust {
    pub(super) fn parse(text: &str) -> Self {
        let mut reader = Reader { rest: text, line: 1, code: String::with_capacity(text.len()), strings: Vec::new() };
        while reader.step() {}
        Self { code: reader.code, strings: reader.strings }
    }

    /// Words and marks of the code, in order, each with its line. `::` is one mark.
    pub(super) fn tokens(&self) -> Vec<(usize, &str)> {
        let mut tokens = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            let mut rest = line.trim_start();
            while let Some(first) = rest.chars().next() {
                let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                let length = match word {
                    0 if rest.starts_with("::") => 2,
                    0 => first.len_utf8(),
                    word => word,
                };
                let (token, after) = rest.split_at(length);
                tokens.push((index + 1, token));
                rest = after.trim_start();
            }
        }
        tokens
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    strings: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// Takes one comment, literal, word or character. `false` at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some((start, end, length)) = string(self.rest) {
            self.strings.push((self.line, self.rest[start..end].to_owned()));
            self.code.push('"');
            self.blank(length);
            self.code.push('"');
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else {
            // A whole word at once, so that the `r` of `for"` is not taken for a raw string's.
            let word = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
            let (token, rest) = self.rest.split_at(word.max(first.len_utf8()));
            self.code.push_str(token);
            self.line += usize::from(first == '\n');
            self.rest = rest;
        }
        true
    }

    /// Drops `length` bytes but keeps their line ends.
    fn blank(&mut self, length: usize) {
        let (dropped, rest) = self.rest.split_at(length);
        let lines = dropped.matches('\n').count();
        self.code.push(' ');
        self.code.extend(std::iter::repeat_n('\n', lines));
        self.line += lines;
        self.rest = rest;
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// A string literal at the start of `text`: where its inside begins and ends, and its whole length.
fn string(text: &str) -> Option<(usize, usize, usize)> {
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"')))?;
    let hashes = text[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let start = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = text[start..].find(&close).map_or(text.len(), |at| start + at);
        return Some((start, end, (end + close.len()).min(text.len())));
    }
    if hashes > 0 {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((start, start + at, start + at + 1)),
            _ => {}
        }
    }
    Some((start, text.len(), text.len()))
}

/// The length of a character literal at the start of `text`; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("b'").or_else(|| text.strip_prefix('\''))?;
    let opening = text.len() - rest.len();
    let inside = if let Some(escape) = rest.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        1 + first + escape[first..].find('\'')?
    } else {
        rest.chars().next()?.len_utf8()
    };
    rest[inside..].starts_with('\'').then_some(opening + inside + 1)
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "let a = \"x\\\"unsafe\"; // unsafe\n/* /* unsafe\n */ unsafe */ let b = r#\"un\"safe\nsql\"#;\nfn f<'a>(c: &'a str) { g('\"', '\\'', b'x', '\\u{41}', for_r\"s\") } unsafe";
    let rust = Rust::parse(text);
    assert_eq!(rust.code.matches("unsafe").count(), 1, "{}", rust.code);
    assert_eq!(rust.code.lines().count(), text.lines().count());
    let strings: Vec<(usize, &str)> = rust.strings.iter().map(|(line, inside)| (*line, inside.as_str())).collect();
    assert_eq!(strings, [(1, "x\\\"unsafe"), (3, "un\"safe\nsql"), (5, "s")]);
    assert!(rust.tokens().contains(&(5, "unsafe")));
}

#[test]
fn a_path_is_words_and_double_colons() {
    let rust = Rust::parse("use a::b_c;\n  x.0");
    assert_eq!(rust.tokens(), [(1, "use"), (1, "a"), (1, "::"), (1, "b_c"), (1, ";"), (2, "x"), (2, "."), (2, "0")]);
}
