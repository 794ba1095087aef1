//! What people wrote, made fit for print: any name in any script gives a line that the embedded fonts can draw.

use deunicode::deunicode_char;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::world::covers;

/// What a cut text ends with.
const ELLIPSIS: char = '…';

/// More marks than this on one letter are no writing (Vietnamese needs two, Hebrew with points three).
const MOST_MARKS: usize = 4;

/// Which characters are printed as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// All that an embedded font can draw.
    Any,
    /// ASCII and the letters of western Europe: for a name that the typesetter refused nevertheless.
    Western,
}

impl Ink {
    /// One line of at most `limit` characters: no control characters, nothing that turns the direction of writing, no
    /// mark without a letter; what no font covers is written in Latin letters.
    pub(crate) fn line(self, text: &str, limit: usize) -> String {
        // Normalised, cut off long before it costs anything, in case somebody sends a book.
        let most = limit.saturating_mul(8);
        let mut line = Line::default();
        for c in text.chars().take(most).nfc() {
            if c.is_whitespace() || c.is_control() {
                line.blank();
            } else if !printable(c) {
                // Nothing to see.
            } else if is_combining_mark(c) {
                if self.draws(c) {
                    line.mark(c);
                }
            } else if self.draws(c) {
                line.push(c);
            } else {
                for c in deunicode_char(c).unwrap_or_default().chars() {
                    if c == ' ' { line.blank() } else { line.push(c) }
                }
            }
        }
        line.cut(limit)
    }

    fn draws(self, c: char) -> bool {
        match self {
            Self::Any => c.is_ascii() || covers(c),
            Self::Western => c.is_ascii() || matches!(c, 'À'..='ÿ' | '€' | '’' | '·' | '–'),
        }
    }
}

/// In Latin letters, for machines that read no others. Those of Europe's languages stay as they are: the domain knows
/// better that `ü` is `ue`.
pub(crate) fn in_latin(text: &str) -> String {
    let mut latin = String::with_capacity(text.len());
    for c in text.nfc() {
        match c {
            '\0'..='\u{17f}' | '\u{218}'..='\u{21b}' | '\u{1e9e}' | '\u{2010}'..='\u{2019}' | '€' => latin.push(c),
            _ => latin.push_str(deunicode_char(c).unwrap_or_default()),
        }
    }
    latin
}

/// A line as it grows.
#[derive(Default)]
struct Line {
    text: String,
    /// Marks on the last letter.
    marks: usize,
}

impl Line {
    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.marks = 0;
    }

    /// A mark stands on a letter, or not at all.
    fn mark(&mut self, c: char) {
        if self.marks < MOST_MARKS && self.text.chars().last().is_some_and(|on| on.is_alphabetic() || self.marks > 0) {
            self.text.push(c);
            self.marks = self.marks.saturating_add(1);
        }
    }

    fn cut(self, limit: usize) -> String {
        let text = self.text.trim_end();
        if text.chars().count() <= limit {
            return text.to_owned();
        }
        let mut cut: String = text.chars().take(limit.saturating_sub(1)).collect();
        cut.truncate(cut.trim_end().len());
        cut.push(ELLIPSIS);
        cut
    }
}

/// `text` with a place to break (a zero-width space) after `longest` characters that have none: nothing runs out of its
/// column.
pub(crate) fn breakable(text: &str, longest: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = 0_usize;
    for c in text.chars() {
        if matches!(c, ' ' | '-' | '…') {
            run = 0;
        } else if !is_combining_mark(c) {
            if run >= longest {
                out.push('\u{200b}');
                run = 0;
            }
            run = run.saturating_add(1);
        }
        out.push(c);
    }
    out
}

/// Whether a character is one of writing, not of a program: neither private nor without meaning, and none that says how
/// others are to be shown.
fn printable(c: char) -> bool {
    !matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{10ffff}'
    ) && !matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}
