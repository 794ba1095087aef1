//! Templates of one's own.

use borsellino_documents::{Renderer, TemplateError, Templates, sample};

use crate::readers::Pdf;

const WORDS: &str = include_str!("../../templates/words.typ");

fn own(name: &str, text: &str) -> Templates {
    Templates(vec![(name.into(), text.into())])
}

#[test]
fn own_words_take_the_place_of_ours() {
    let words = WORDS.replace("Ufficio", "Sportello").replace("\"Estratto conto\"", "\"Conto della mensa\"");
    let renderer = Renderer::new(&own("words.typ", &words)).unwrap();
    let text = Pdf::new(&renderer.statement(&sample::statement_of(3, false)).unwrap()).text();
    assert!(text.contains("Conto della mensa"), "{text}");
}

#[test]
fn a_wrong_template_is_refused_with_its_line() {
    assert_eq!(Renderer::new(&own("letter.typ", "")).err(), Some(TemplateError::Unknown("letter.typ".into())));
    let said = |name: &str, text: &str| Renderer::new(&own(name, text)).unwrap_err().to_string();
    assert_eq!(said("receipt.typ", "Ricevuta\n#subjekt"), "receipt.typ:2: unknown variable: subjekt");
    assert!(said("notice.typ", "#json(\"/etc/passwd\")").contains("notice.typ:1: file not found"));
    assert!(said("notice.typ", "#import \"@preview/x:1.0.0\": y").starts_with("notice.typ:1:"));
    assert!(said("notice.typ", "no title").contains("PDF/UA-1"), "the standards are asked too");
}
