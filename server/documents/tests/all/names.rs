//! Any name a child can have, and some that nobody has: a name blocks no document and changes nothing but itself.

use borsellino_documents::{Notice, Person, Receipt, Settled, sample};
use proptest::prelude::*;

use crate::readers::{Pdf, RENDERER, run, text};

fn named(name: &str) -> Notice {
    let mut notice = sample::notice(0, true);
    notice.debtor = Some(Person { name: name.into(), code: None, address: Some(name.into()) });
    notice
}

/// The tags without their text.
fn tags(name: &str) -> String {
    let pdf = Pdf::new(&RENDERER.notice(&named(name)).unwrap());
    run("pdfinfo", ["-struct", text(&pdf.path())])
}

fn text_of(name: &str) -> String {
    Pdf::new(&RENDERER.notice(&named(name)).unwrap()).text()
}

#[test]
fn names_are_printed_as_they_are_written() {
    for name in [
        "Ludovica D’Àngelo-De’ Conti",
        "Łukasz Żółkiewski",
        "Nguyễn Thị Ánh Tuyết",
        "Дарья Шевченко",
        "Ђорђе Љубичић",
        "Αλέξανδρος Παπαδόπουλος",
        "王小明",
        "山田はなこ",
        "Gűlşah Öztürk",
        "Ștefan Țurcanu",
        "ənvər",
    ] {
        let text = text_of(name);
        assert!(text.contains(name), "{name} is not in {text}");
    }
}

#[test]
fn names_read_from_right_to_left_stand_apart() {
    for (name, part) in [("محمد الأمين", "محمد"), ("שרה לוי", "שרה"), ("محمد Rossi", "Rossi")]
    {
        let text = text_of(name);
        // pdftotext may give the letters in their presentation forms or order; tags hold them as written.
        let structure = Pdf::new(&RENDERER.notice(&named(name)).unwrap()).structure();
        assert!(structure.contains(part) || text.contains(part), "{name}: {structure}");
        assert!(text.contains("Codice Avviso") && text.contains("Comune di Borgo Fantasia"), "{text}");
    }
}

#[test]
fn names_without_a_font_are_written_in_latin_letters() {
    for (name, latin) in
        [("김민서", "gimminseo"), ("অমৃতা", "amt"), ("ሰላም", "salaame"), ("Zoë 🦄", "Zoë unicorn"), ("தமிழ்", "tmlll")]
    {
        let text = text_of(name).to_lowercase();
        assert!(text.contains(&latin.to_lowercase()), "{name} is not {latin} in {text}");
    }
}

#[test]
fn nothing_in_a_name_is_a_command() {
    let tags_of_a_plain_name = tags("Maria Rossi");
    for name in [
        "*ROSSI* _MARIA_ $x$ #evil[",
        "#panic(\"x\")",
        "= Titolo",
        "- a + b / c",
        "\\ \" ' ` ~ @ <end> // /* */",
        "https://example.com/x",
        "-- --- ... 1/2",
        "[ROSSI]{(MARIA",
        "&lt;b&gt;<b>",
        "Maria\u{202e}issoR\u{2066}",
    ] {
        assert_eq!(tags(name), tags_of_a_plain_name, "{name}");
    }
    assert!(text_of("*ROSSI* #evil[$x$").contains("*ROSSI* #evil[$x$"));
    assert!(text_of("https://x.example").contains("https://x.example"));
}

#[test]
fn control_characters_and_their_like_leave_no_trace() {
    let text = text_of("Ma\u{0}ria\r\n\tRo\u{202e}s\u{200b}s\u{feff}i\u{e000}\u{fffe}\u{10ffff} \u{301}\u{1f}");
    assert!(text.contains("Ma ria Rossi"), "{text}");
    // Where nothing is left, something says that there was something.
    assert!(text_of("\u{202e}\u{0}").contains('?'));
}

#[test]
fn long_names_are_cut_and_stay_on_their_page() {
    for name in [
        "Maria ".repeat(2000),
        "Mariarossi".repeat(1000),
        "王".repeat(10_000),
        format!("e{}", "\u{301}".repeat(10_000)),
    ] {
        let pdf = Pdf::new(&RENDERER.notice(&named(&name)).unwrap());
        assert_eq!(pdf.pages(20).len(), 1);
    }
    let text = text_of(&"Maria ".repeat(40));
    assert!(text.contains('…'), "{text}");
}

/// A table with a name in each row.
fn listed(names: &[String]) -> Receipt {
    let mut receipt = sample::receipt(1);
    let row = receipt.settled[0].clone();
    receipt.settled = names.iter().map(|name| Settled { child: Some(name.clone()), ..row.clone() }).collect();
    receipt
}

#[test]
fn every_block_of_unicode_prints() {
    // Four characters of each block of 256, sixteen blocks in a name.
    let characters =
        |block: u32| [0_u32, 0x31, 0x9a, 0xe7].into_iter().filter_map(move |at| char::from_u32(block * 256 + at));
    let blocks: Vec<u32> = (0..0x1100).collect();
    let names: Vec<String> =
        blocks.chunks(16).map(|blocks| blocks.iter().copied().flat_map(characters).collect()).collect();
    assert_eq!(names.len(), 272);
    RENDERER.receipt(&listed(&names)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The plane where writing is, and the one with old scripts and emoji, in any mixture.
    #[test]
    fn any_name_prints(names in proptest::collection::vec("[\u{1}-\u{d7ff}\u{e000}-\u{1ffff}]{1,60}", 12)) {
        prop_assert!(RENDERER.receipt(&listed(&names)).is_ok(), "{names:?}");
    }
}
