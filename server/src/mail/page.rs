//! What a letter says, written twice: as plain text and as a page (templates/mail). The page loads nothing from anywhere, has
//! its styles with its elements, which mail readers need, and links only where a letter says so.

use askama::Template;
use borsellino_domain::language::Language;

/// The longest thing that is named in a letter, in characters.
const MAX_NAMED: usize = 160;

/// What a letter says, in one language. What others typed goes through [`named`] first.
#[derive(Clone, Debug)]
pub struct Content {
    /// The words' language.
    pub language: Language,
    /// What it is about: the subject, too.
    pub title: String,
    /// What it says, by paragraphs.
    pub lines: Vec<String>,
    /// What it lists: a name and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// The one thing to do: what stands on it, and where it leads.
    pub button: Option<(&'static str, String)>,
    /// What it says after that.
    pub after: Vec<String>,
    /// Who writes.
    pub signature: String,
    /// Why it was sent, and whom to ask.
    pub footer: Vec<String>,
    /// Where one says that one does not want more of this kind: the words, and the address.
    pub unsubscribe: Option<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    title: &'a str,
    lines: &'a [String],
    facts: &'a [(&'static str, String)],
    button: Option<&'a (&'static str, String)>,
    after: &'a [String],
    signature: &'a str,
    footer: &'a [String],
    unsubscribe: Option<&'a (&'static str, String)>,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Page<'a> {
    language: &'static str,
    title: &'a str,
    lines: &'a [String],
    facts: &'a [(&'static str, String)],
    button: Option<&'a (&'static str, String)>,
    after: &'a [String],
    signature: &'a str,
    footer: &'a [String],
    unsubscribe: Option<&'a (&'static str, String)>,
}

impl Content {
    /// As plain text, and as a page; `None` where a template fails, which none does.
    pub fn written(&self) -> Option<(String, String)> {
        let (title, lines, facts, after) = (&self.title, &self.lines, &self.facts, &self.after);
        let (signature, footer) = (&self.signature, &self.footer);
        let (button, unsubscribe) = (self.button.as_ref(), self.unsubscribe.as_ref());
        let text = Text { title, lines, facts, button, after, signature, footer, unsubscribe };
        let language = self.language.tag();
        let page = Page { language, title, lines, facts, button, after, signature, footer, unsubscribe };
        Some((text.render().ok()?, page.render().ok()?))
    }
}

/// What somebody typed (a name, a service, a reason), as it may stand in a letter: one line, read in the direction that its
/// letters have, not too long, and nothing that mail readers turn into a link by themselves.
pub fn named(text: &str) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}');
    let is_break = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let words = text.split(is_break).map(|word| word.chars().filter(|c| !hidden(*c)).collect::<String>());
    let mut line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line = line.replace("://", ": //");
    for start in ["www.", "WWW.", "Www."] {
        line = line.replace(start, &format!("{} ", start));
    }
    if line.chars().count() > MAX_NAMED {
        line = line.chars().take(MAX_NAMED.saturating_sub(1)).chain(['…']).collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile(text: &str) -> Content {
        let text = named(text);
        Content {
            language: Language::Italian,
            title: text.clone(),
            lines: vec![text.clone()],
            facts: vec![("Servizio", text.clone())],
            button: Some(("Paga", "https://borsellino.comune.example/paga#1-2".to_owned())),
            after: vec![text.clone()],
            signature: text.clone(),
            footer: vec![text],
            unsubscribe: Some(("Non ricevere più", "https://borsellino.comune.example/lettere?t=x".to_owned())),
        }
    }

    #[test]
    fn what_others_typed_is_words_and_nothing_else() {
        let long = "x".repeat(1_000);
        for typed in [
            "<script>alert(1)</script>",
            "<a href=\"https://evil.example\">premi</a>",
            "\"><img src=https://evil.example/x>",
            "Mensa\r\nBcc: x@y.example\r\n\r\n<b>",
            "paga su https://evil.example o www.evil.example",
            "\u{202e}elpmaxe.live//:sptth",
            "=?utf-8?q?Bcc?=",
            "javascript:alert(1)",
            &long,
        ] {
            let (text, page) = hostile(typed).written().unwrap();
            assert_eq!(page.matches("<a ").count(), 2, "{page}");
            // What was typed has no quotes of its own left: an address is one of ours.
            assert_eq!(page.matches("href=\"").count(), 2, "{page}");
            assert_eq!(page.matches("href=\"https://borsellino.comune.example/").count(), 2, "{page}");
            for never in ["<script", "<img", "<b>", "https://evil", "\u{202e}"] {
                assert!(!page.contains(never), "{never}: {page}");
            }
            for never in ["https://evil", "www.evil", "\u{202e}", "\r"] {
                assert!(!text.contains(never), "{never}: {text}");
            }
            assert!(text.lines().all(|line| line.chars().count() < 400));
            assert!(!text.lines().any(|line| line.starts_with("Bcc:")));
        }
    }

    #[test]
    fn a_name_is_one_line_of_visible_letters() {
        assert_eq!(named("  Mensa\u{200b} scuola \u{2028} media\t"), "Mensa scuola media");
        assert_eq!(named("Ñandú 学校 عائشة"), "Ñandú 学校 عائشة");
        assert_eq!(named(&"è".repeat(1_000)).chars().count(), MAX_NAMED);
        assert_eq!(named(""), "");
    }

    #[test]
    fn the_page_loads_nothing() {
        let (_, page) = hostile("Mensa").written().unwrap();
        for loads in ["src=", "url(", "<link", "@import", "<style", "background=", "<form", "<iframe"] {
            assert!(!page.contains(loads), "{loads}");
        }
        assert!(page.contains("<html lang=\"it\""));
    }
}
