//! Any name a child can have, and some that nobody has: a name blocks no document and changes nothing but itself.

use borsellino_documents::{Notice, Person, sample};
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
        "Ludovica D’Àngelo-De’ Conti", "Łukasz Żółkiewski", "Nguyễn Thị Ánh Tuyết", "Дарья Шевченко", "Ђорђе Љубичић",
        "Αλέξανδρος Παπαδόπουλος", "王小明", "山田はなこ", "김민서", "Gűlşah Öztürk", "Ștefan Țurcanu", "ənvər",
    ] {
        let text = text_of(name);
        assert!(text.contains(name), "{name} is not in {text}");
    }
}

#[test]
fn names_read_from_right_to_left_stand_apart() {
    for (name, part) in [("محمد الأمين", "محمد"), ("שרה לוי", "שרה"), ("محمد Rossi", "Rossi")] {
        let text = text_of(name);
        // pdftotext may give the letters in their presentation forms or order; tags hold them as written.
        let structure = Pdf::new(&RENDERER.notice(&named(name)).unwrap()).structure();
        assert!(structure.contains(part) || text.contains(part), "{name}: {structure}");
        assert!(text.contains("Codice Avviso") && text.contains("Comune di Borgo Fantasia"), "{text}");
    }
}

#[test]
fn names_without_a_font_are_written_in_latin_letters() {
    for (name, latin) in [("অমৃতা", "amrtaa"), ("ሰላም", "salaame"), ("Zoë 🦄", "Zoë unicorn"), ("தமிழ்", "tmilll")] {
        let text = text_of(name).to_lowercase();
        assert!(text.contains(&latin.to_lowercase()), "{name} is not {latin} in {text}");
    }
}

#[test]
fn nothing_in_a_name_is_a_command() {
    let tags_of_a_plain_name = tags("Maria Rossi");
    for name in [
        "*ROSSI* _MARIA_ $x$ #evil[", "#panic(\"x\")", "= Titolo", "- a + b / c", "\\ \" ' ` ~ @ <end> // /* */",
        "https://example.com/x", "-- --- ... 1/2", "[ROSSI]{(MARIA", "&lt;b&gt;<b>", "Maria\u{202e}issoR\u{2066}",
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
    for name in ["Maria ".repeat(2000), "Mariarossi".repeat(1000), "王".repeat(10_000), format!("e{}", "\u{301}".repeat(10_000))] {
        let pdf = Pdf::new(&RENDERER.notice(&named(&name)).unwrap());
        assert_eq!(pdf.pages(20).len(), 1);
    }
    let text = text_of(&"Maria ".repeat(40));
    assert!(text.contains('…'), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each case takes characters from everywhere: sixty blocks of 256, some of each.
    #[test]
    fn every_block_of_unicode_prints(
        blocks in proptest::collection::vec((0_u32..0x1100, proptest::collection::vec(0_u32..256, 4)), 60)
    ) {
        let name = |(block, points): &(u32, Vec<u32>)| -> String {
            points.iter().filter_map(|point| char::from_u32(block * 256 + point)).collect()
        };
        let names: Vec<String> = blocks.chunks(15).map(|blocks| blocks.iter().map(name).collect()).collect();
        let notices: Vec<Notice> = names.iter().map(|name| named(name)).collect();
        prop_assert!(RENDERER.notices(&notices).is_ok(), "{names:?}");
    }

    /// The planes where writing is.
    #[test]
    fn every_block_of_the_first_plane_prints(name in "[\u{20}-\u{d7ff}\u{f900}-\u{ffff}]{1,70}") {
        prop_assert!(RENDERER.notice(&named(&name)).is_ok(), "{name:?}");
    }
}
