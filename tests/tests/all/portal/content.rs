//! What the office tells everybody: imported from a folder, read on the portal without signing in, exported, taken away.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use borsellino_tests::house::{Browser, House, MARIA, TOWN, UNION};
use serde_json::Value;
use tempfile::TempDir;

use crate::all::demo::{command, run};

borsellino_tests::in_both_houses! {
    everybody_reads_what_the_office_tells;
    a_folder_goes_in_and_comes_out_the_same;
    mistakes_are_told_with_entry_and_field;
    markup_stays_text;
    the_feed_is_atom;
    documents_are_kept_and_are_no_pages;
    news_has_its_days_and_months_follow_each_other;
    the_demo_has_something_to_read;
}

const BASE: &str = "/comune/99900010010";

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// A command of the program on a house's own database, with its secret.
pub(super) fn office(house: &House, arguments: &[&str]) -> Output {
    let place = match (house.fresh.file(), house.fresh.url()) {
        (Some(file), _) => format!("sqlite:{}", file.display()),
        (None, Some(url)) => url.to_owned(),
        (None, None) => unreachable!("a store lies somewhere"),
    };
    let mut command = command(arguments);
    command.args(["--database", &place, "--creditor", TOWN]).env("BORSELLINO_SECRET", "07".repeat(32));
    run(&mut command)
}

/// The same, signed.
pub(super) fn signed(house: &House, arguments: &[&str]) -> Output {
    office(house, &[arguments, &["--reason", "asked for at the counter", "--operator", "A. Verdi"]].concat())
}

pub(super) fn ok(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

pub(super) fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Takes away what the demo brought along.
async fn emptied(house: &House) {
    house.execute("DELETE FROM content_text; DELETE FROM content_file; DELETE FROM content;").await;
}

fn folder(text: &str, files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("content.toml"), text).expect("a file");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    folder
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().expect("a path")
}

fn import(house: &House, text: &str, files: &[(&str, &[u8])]) -> String {
    let folder = folder(text, files);
    ok(signed(house, &["content", "import", path(&folder)]))
}

async fn page(browser: &Browser, path: &str) -> String {
    let page = browser.get(&at(path)).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text());
    page.text()
}

const PDF: &[u8] = b"%PDF-1.7 invented";

const EVERYTHING: &str = r#"
[[news]]
id = "menu"
day = 2026-11-18
title = "Il menù d'inverno"
text = """
Da lunedì.

- zuppe
- frutta: https://comune.example/menu?a=1&b=2.
"""
[news.en]
title = "The winter menu"
text = "From Monday."

[[news]]
id = "solo-italiano"
day = "2026-11-19"
until = "2026-11-21"
title = "Solo in italiano \\ \"così\""
text = "Testo."

[[event]]
id = "riunione"
day = "2026-11-25"
hour = "17:30"
place = "Sala riunioni"
title = "Commissione mensa"
[event.de]
title = "Mensakommission"

[[file]]
id = "modulo"
school_year = "2026/2027"
path = "moduli/Modulo dieta.pdf"
title = "Modulo per la dieta"
description = "Con il certificato."

[[file]]
id = "regole"
order = 2
path = "regole.txt"
title = "Regolamento"

[[file]]
id = "vecchio"
order = 3
school_year = "2025/2026"
path = "regole.txt"
title = "Tariffe di un anno fa"

[[question]]
id = "contanti"
group = "Pagamenti"
order = 1
question = "Posso pagare in contanti?"
answer = "Sì, in tabaccheria."
[question.en]
question = "Can I pay cash?"
answer = "Yes, at a tobacconist's."

[[question]]
id = "diete"
group = "Mensa"
order = 2
question = "E le diete?"
answer = "Con un messaggio."

[help]
text = "Scriveteci quando volete."
"#;

const FILES: [(&str, &[u8]); 2] =
    [("moduli/Modulo dieta.pdf", PDF), ("regole.txt", "Regola uno: però.\r\n".as_bytes())];

async fn everybody_reads_what_the_office_tells(house: &House) {
    emptied(house).await;
    let stranger = house.browser();
    // Before anything is there every page says what belongs on it.
    assert!(page(&stranger, "/novita").await.contains("Nessuna notizia da visualizzare"));
    assert!(page(&stranger, "/calendario").await.contains("nessun evento"));
    assert!(page(&stranger, "/documenti").await.contains("Nessun documento"));
    assert!(page(&stranger, "/domande").await.contains("Chiedi all&#39;ufficio"));
    assert!(page(&stranger, "/aiuto").await.contains("codice a ogni adulto di riferimento"), "a text of ours");
    assert_eq!(import(house, EVERYTHING, &FILES), "9 new, 0 replaced, 0 unchanged\n");

    let news = page(&stranger, "/novita").await;
    let (first, second) = (news.find("Solo in italiano"), news.find("Il menù d"));
    assert!(first.is_some() && first < second, "the newest first: {news}");
    assert!(news.contains("<ul><li>zuppe</li>") && news.contains("18 novembre"), "{news}");
    assert!(news.contains("<a href=\"https://comune.example/menu?a=1&#38;b=2\" rel=\"noreferrer\">"), "{news}");
    assert!(page(&stranger, "/novita/menu").await.contains("<h1>Il menù d&#39;inverno</h1>"));
    let month = page(&stranger, "/calendario").await;
    for text in ["novembre 2026", "mercoledì 25 novembre", "17:30", "Commissione mensa", "Sala riunioni"] {
        assert!(month.contains(text), "{text}: {month}");
    }
    let questions = page(&stranger, "/domande").await;
    assert!(questions.find(">Pagamenti</h2>") < questions.find(">Mensa</h2>"), "{questions}");
    assert!(questions.contains("<summary>Posso pagare in contanti?</summary>"), "{questions}");
    let help = page(&stranger, "/aiuto").await;
    assert!(help.contains("Scriveteci quando volete.") && help.contains("tel:000 1234567"), "{help}");
    assert!(!help.contains("codice a ogni adulto"), "the office's text takes the place of ours");
    let inquiry = page(&stranger, "/informazioni").await;
    assert!(inquiry.contains("Accedi e scrivi") && inquiry.contains("000 1234567"), "{inquiry}");
    // On every page, signed in or not.
    let maria = house.visitor(TOWN, MARIA).await;
    for browser in [&stranger, &maria] {
        let page = page(browser, "/domande").await;
        for link in ["/novita", "/calendario", "/documenti", "/domande", "/informazioni", "/aiuto"] {
            assert!(page.contains(&format!("<a href=\"{BASE}{link}\">")), "{link}: {page}");
        }
    }
    assert!(page(&maria, "/informazioni").await.contains("Scrivi una richiesta"));
    // Home tells of the newest two.
    let home = page(&maria, "").await;
    assert!(home.contains(&at("/novita/menu")) && home.contains(&at("/novita/solo-italiano")), "{home}");
    // In the reader's language where it was translated, else in Italian, and said to be.
    let english = house.browser().saying("accept-language", "en");
    let news = page(&english, "/novita").await;
    assert!(news.contains("The winter menu") && !news.contains("Il menù"), "{news}");
    assert!(news.contains("aria-labelledby=\"n-solo-italiano\" lang=\"it\""), "{news}");
    assert!(!news.contains("aria-labelledby=\"n-menu\" lang"), "{news}");
    let german = house.browser().saying("accept-language", "de");
    let month = page(&german, "/calendario").await;
    assert!(month.contains("Mensakommission") && month.contains("Mittwoch, 25. November"), "{month}");
    assert!(month.contains("Sala riunioni"), "a place is called what it is called: {month}");
    // Nothing of it is another creditor's.
    let elsewhere = house.browser().get(&format!("/comune/{UNION}/novita/menu")).await;
    assert_eq!(elsewhere.status, 404);
}

async fn a_folder_goes_in_and_comes_out_the_same(house: &House) {
    emptied(house).await;
    assert_eq!(import(house, EVERYTHING, &FILES), "9 new, 0 replaced, 0 unchanged\n");
    assert_eq!(import(house, EVERYTHING, &FILES), "0 new, 0 replaced, 9 unchanged\n");
    let out = TempDir::new().expect("a folder");
    let there = out.path().join("a/b");
    let there = there.to_str().expect("a path");
    assert_eq!(ok(office(house, &["content", "export", there])), "Comune di Valdorso: 9 entries\n");
    assert_eq!(ok(signed(house, &["content", "import", there])), "0 new, 0 replaced, 9 unchanged\n");
    assert!(refused(&office(house, &["content", "export", there])).contains("is not empty"));
    assert_eq!(std::fs::read(Path::new(there).join("modulo/Modulo-dieta.pdf")).expect("a file"), PDF);
    // On an empty town it is the same again.
    emptied(house).await;
    assert_eq!(ok(signed(house, &["content", "import", there])), "9 new, 0 replaced, 0 unchanged\n");
    assert_eq!(import(house, EVERYTHING, &FILES), "0 new, 0 replaced, 9 unchanged\n");
    // Another text under the same id takes its place; what is not in the folder stays.
    let other = "[[news]]\nid = \"menu\"\nday = \"2026-11-18\"\ntitle = \"Altro\"\ntext = \"Altro.\"\n";
    assert_eq!(import(house, other, &[]), "0 new, 1 replaced, 0 unchanged\n");
    let english = house.browser().saying("accept-language", "en");
    let item = page(&english, "/novita/menu").await;
    assert!(item.contains("<h1>Altro</h1>") && !item.contains("winter"), "the old translation went, too: {item}");
    let list: Value = serde_json::from_str(&ok(office(house, &["content", "list", "--json"]))).expect("JSON");
    assert_eq!(list["content"].as_array().map(Vec::len), Some(9), "{list}");
    let file = list["content"].as_array().expect("a list").iter().find(|one| one["id"] == "modulo").expect("a file");
    assert_eq!((&file["bytes"], &file["file"]), (&PDF.len().into(), &"Modulo-dieta.pdf".into()), "{file}");
    assert!(ok(office(house, &["content", "list"])).contains("question  contanti"));

    assert_eq!(ok(signed(house, &["content", "remove", "menu"])), "menu: taken away\n");
    assert_eq!(ok(signed(house, &["content", "remove", "help"])), "help: taken away\n");
    assert!(refused(&signed(house, &["content", "remove", "menu"])).contains("nothing with the id menu"));
    assert!(refused(&signed(house, &["content", "remove", "../x"])).contains("is no id"));
    assert_eq!(house.browser().get(&at("/novita/menu")).await.status, 404);
    // Each act is kept: nine, nine again on the empty town, one, and two that took away.
    let log: Value = serde_json::from_str(&ok(office(house, &["office", "log", "--json"]))).expect("JSON");
    let acts: Vec<&Value> = log["acts"].as_array().expect("acts").iter().collect();
    let count = |action: &str| acts.iter().filter(|act| act["action"] == action).count();
    assert_eq!((count("content_published"), count("content_removed")), (19, 2), "{log}");
    assert!(acts.iter().all(|act| act["operator"] == "A. Verdi"), "{log}");
    let folder = folder(EVERYTHING, &FILES);
    let unsigned = ["content", "import", path(&folder), "--reason", " ", "--operator", "A. Verdi"];
    assert!(refused(&office(house, &unsigned)).contains("needs a reason"));
}

async fn mistakes_are_told_with_entry_and_field(house: &House) {
    emptied(house).await;
    let outside = TempDir::new().expect("a folder");
    std::fs::write(outside.path().join("secret.pdf"), PDF).expect("a file");
    let large = vec![b' '; (5 << 20) + 1];
    let bad = r#"
titles = "x"

[[news]]
id = "buona"
day = "2026-11-18"
title = "Buona"
text = "Questa andrebbe bene."

[[news]]
id = "Non Buona"
day = "18/11/2026"
until = 3
titel = "x"
title = "Titolo"
text = ""
[news.en]
title = "Title"

[[event]]
id = "buona"
day = "2026-11-25"
title = "Lo stesso id"

[[file]]
id = "su"
title = "Su"
path = "../secret.pdf"

[[file]]
id = "assoluto"
title = "Assoluto"
path = "/etc/passwd"

[[file]]
id = "collegato"
title = "Collegato"
path = "link.pdf"

[[file]]
id = "manca"
title = "Manca"
path = "manca.pdf"

[[file]]
id = "pagina"
title = "Pagina"
path = "pagina.pdf"

[[file]]
id = "grande"
title = "Grande"
path = "grande.txt"

[[file]]
id = "senza"
title = "Senza"

[[question]]
id = "feed"
question = "Domanda?"
answer = "Risposta."
"#;
    let files: [(&str, &[u8]); 2] = [("pagina.pdf", b"<html><script>alert(1)</script>"), ("grande.txt", &large)];
    let folder = folder(bad, &files);
    std::os::unix::fs::symlink(outside.path().join("secret.pdf"), folder.path().join("link.pdf")).expect("a link");
    let told = refused(&signed(house, &["content", "import", path(&folder)]));
    let wanted = [
        "content.toml: titles: is none of news, event, file, question, help",
        "content.toml: news 2 (Non Buona): until: is no text",
        "content.toml: news 2 (Non Buona): titel: is no field of it",
        "content.toml: news 2 (Non Buona): id: is no id",
        "content.toml: news 2 (Non Buona): day: is no day",
        "content.toml: news 2 (Non Buona): text: is missing",
        "content.toml: news 2 (Non Buona): en.text: is missing",
        "content.toml: news 1 (buona): id: event 1 (buona) has it too",
        "content.toml: file 1 (su): path: is no path inside the folder",
        "content.toml: file 2 (assoluto): path: is no path inside the folder",
        "content.toml: file 3 (collegato): path: link.pdf: leads out of the folder",
        "content.toml: file 4 (manca): path: manca.pdf: No such file",
        "content.toml: file 5 (pagina): path: is no PDF",
        "content.toml: file 6 (grande): path: is larger than 5 MiB",
        "content.toml: file 7 (senza): path: is missing",
        "content.toml: question 1 (feed): id: is taken by the portal itself",
        "nothing was imported",
    ];
    for line in wanted {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(told.lines().count(), wanted.len(), "nothing is told twice: {told}");
    assert_eq!(house.number("SELECT COUNT(*) FROM content").await, 0, "all or nothing");
    let broken = self::folder("[[news]\nid = ", &[]);
    assert!(
        refused(&signed(house, &["content", "import", path(&broken)]))
            .contains("content.toml: TOML parse error at line 1")
    );
    let nowhere = outside.path().join("nowhere");
    let nowhere = nowhere.to_str().expect("a path");
    assert!(refused(&signed(house, &["content", "import", nowhere])).contains("content.toml"));
}

async fn markup_stays_text(house: &House) {
    emptied(house).await;
    let text = r#"
[[news]]
id = "male"
day = "2026-11-18"
title = "<script>alert('titolo')</script>"
text = '''
<img src=x onerror=alert(1)> & "virgolette"
javascript:alert(1) http://insicuro.example https://buono.example/"><script>alert(2)</script>
- </ul><b>grassetto</b>
]]>
'''
[[question]]
id = "male-2"
group = "</h2><i>gruppo"
question = "</summary><u>d"
answer = "<style>*{display:none}</style>"
[[event]]
id = "male-3"
day = "2026-11-20"
title = "<b>e"
place = "<svg onload=alert(3)>"
[help]
text = "<iframe src=https://x.example></iframe>"
"#;
    import(house, text, &[]);
    let browser = house.browser();
    for at_path in ["/novita", "/novita/male", "/domande", "/calendario", "/aiuto"] {
        let page = page(&browser, at_path).await;
        for tag in [
            "<script>", "<img src=x", "<b>", "<i>", "<u>", "<style>", "<svg onload", "<iframe", "href=\"javascript",
            "href=\"http:",
        ] {
            assert!(!page.contains(tag), "{tag} on {at_path}: {page}");
        }
        assert!(page.contains("&#60;"), "{at_path}: {page}");
    }
    let item = page(&browser, "/novita/male").await;
    assert!(item.contains("<a href=\"https://buono.example/\" rel=\"noreferrer\">"), "{item}");
    let feed = page(&browser, "/novita/feed").await;
    assert!(!feed.contains("<script>") && !feed.contains("<img"), "{feed}");
    assert_eq!(atom(feed.as_bytes())["entries"][0]["title"], "<script>alert('titolo')</script>");
}

/// What another reader of XML makes of a feed; fails where it misses what RFC 4287 wants.
const READER: &str = r#"
import json, sys, datetime
import xml.etree.ElementTree as tree
A = '{http://www.w3.org/2005/Atom}'
feed = tree.fromstring(sys.stdin.buffer.read())
assert feed.tag == A + 'feed', feed.tag
def one(node, name):
    found = node.findall(A + name)
    assert len(found) == 1, (name, len(found))
    return found[0].text or ''
def when(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).isoformat()
assert feed.find(A + 'author').find(A + 'name').text
own = [link.get('href') for link in feed.findall(A + 'link') if link.get('rel') == 'self']
assert own == [one(feed, 'id')], own
entries = []
for entry in feed.findall(A + 'entry'):
    links = [link.get('href') for link in entry.findall(A + 'link') if link.get('rel') == 'alternate']
    assert links == [one(entry, 'id')], links
    entries.append({'id': one(entry, 'id'), 'title': one(entry, 'title'), 'updated': when(one(entry, 'updated')), 'text': one(entry, 'content'),
        'lang': entry.get('{http://www.w3.org/XML/1998/namespace}lang')})
assert len(set(entry['id'] for entry in entries)) == len(entries)
json.dump({'title': one(feed, 'title'), 'updated': when(one(feed, 'updated')), 'entries': entries}, sys.stdout)
"#;

fn atom(bytes: &[u8]) -> Value {
    let python = Command::new("python3").arg("-c").arg(READER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = python.expect("python3, which tests/run installs");
    python.stdin.take().expect("a pipe").write_all(bytes).expect("a reader");
    let output = python.wait_with_output().expect("an end");
    assert!(output.status.success(), "no Atom: {}", String::from_utf8_lossy(bytes));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn the_feed_is_atom(house: &House) {
    emptied(house).await;
    let browser = house.browser();
    let empty = browser.get(&at("/novita/feed")).await;
    assert_eq!(atom(&empty.bytes)["entries"], serde_json::json!([]));
    import(house, EVERYTHING, &FILES);
    let feed = browser.get(&at("/novita/feed")).await;
    assert_eq!((feed.status, feed.header("content-type")), (200, "application/atom+xml; charset=utf-8"));
    assert_eq!(feed.header("cache-control"), "public, max-age=900");
    assert!(feed.header("set-cookie").is_empty(), "the same for everybody");
    let read = atom(&feed.bytes);
    assert_eq!(read["title"], "Novità - Comune di Valdorso");
    assert_eq!(read["entries"][0]["title"], "Solo in italiano \\ \"così\"");
    assert_eq!(read["entries"][1]["id"], format!("{}{BASE}/novita/menu", house.at.web));
    assert_eq!(read["entries"][1]["text"], "Da lunedì.\n\n- zuppe\n- frutta: https://comune.example/menu?a=1&b=2.");
    let english = atom(&browser.get(&at("/novita/feed?lingua=en")).await.bytes);
    assert_eq!(
        (&english["entries"][1]["title"], &english["entries"][1]["lang"]),
        (&"The winter menu".into(), &"en".into())
    );
    assert_eq!(english["entries"][0]["lang"], "it");
    // Whoever is signed in, and speaks another language, gets the same bytes.
    let maria = house.visitor(TOWN, MARIA).await.saying("accept-language", "de");
    assert_eq!(maria.get(&at("/novita/feed")).await.bytes, feed.bytes);
    let mark: &'static str = feed.header("etag").to_owned().leak();
    assert!(mark.starts_with('"') && mark.len() > 10, "{mark}");
    let again = house.browser().saying("if-none-match", mark).get(&at("/novita/feed")).await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    ok(signed(house, &["content", "remove", "menu"]));
    let changed = house.browser().saying("if-none-match", mark).get(&at("/novita/feed")).await;
    assert_eq!((changed.status, atom(&changed.bytes)["entries"].as_array().map(Vec::len)), (200, Some(1)));
}

async fn documents_are_kept_and_are_no_pages(house: &House) {
    emptied(house).await;
    import(house, EVERYTHING, &FILES);
    let browser = house.browser();
    let file = browser.get(&at("/documenti/modulo")).await;
    assert_eq!((file.status, file.bytes.as_slice()), (200, PDF));
    assert_eq!(file.header("content-type"), "application/pdf");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"Modulo-dieta.pdf\"");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(browser.get(&at("/documenti/regole")).await.header("content-type"), "text/plain; charset=utf-8");
    for none in ["/documenti/menu", "/documenti/nessuno", "/documenti/..%2Fx", "/documenti/A"] {
        assert_eq!(browser.get(&at(none)).await.status, 404, "{none}");
    }
    let titles = ["Modulo per la dieta", "Regolamento", "Tariffe di un anno fa"];
    let shown = async |query: &str| {
        let page = page(&browser, &format!("/documenti{query}")).await;
        titles.map(|title| page.contains(&format!(">{title}</h2>")))
    };
    assert_eq!(shown("").await, [true, true, true]);
    assert_eq!(shown("?anno=2026").await, [true, true, false], "what belongs to no year is for every year");
    assert_eq!(shown("?anno=2025").await, [false, true, true]);
    assert_eq!(shown("?anno=x").await, [true, true, true]);
    let page = page(&browser, "/documenti?anno=2026").await;
    assert!(page.contains("documenti?anno=2026\" aria-current=\"page\">2026/2027</a>"), "{page}");
    assert!(page.contains("PDF, 1 kB"), "{page}");
}

async fn news_has_its_days_and_months_follow_each_other(house: &House) {
    emptied(house).await;
    let text = "
[[news]]
id = \"domani\"
day = \"2026-11-21\"
until = \"2026-11-22\"
title = \"Da domani\"
text = \"x\"
[[event]]
id = \"fine\"
day = \"2026-12-31\"
title = \"Fine anno\"
[[event]]
id = \"inizio\"
day = \"2027-01-01\"
title = \"Anno nuovo\"
";
    import(house, text, &[]);
    let browser = house.browser();
    let there = async || browser.get(&at("/novita/domani")).await.status;
    let listed = async || page(&browser, "/novita").await.contains("Da domani");
    assert_eq!((there().await, listed().await), (404, false), "not before its day");
    house.advance(DAY);
    assert_eq!((there().await, listed().await), (200, true));
    // As if it had been written the day before.
    house.execute("UPDATE content SET changed_at_ms = 0").await;
    let feed = atom(&browser.get(&at("/novita/feed")).await.bytes);
    assert_eq!(feed["entries"][0]["updated"], "2026-11-20T23:00:00+00:00", "news from its day on, in Italy");
    house.advance(DAY);
    assert_eq!((there().await, listed().await), (200, true), "its last day");
    house.advance(DAY);
    assert_eq!((there().await, listed().await), (404, false));

    let december = page(&browser, "/calendario?mese=2026-12").await;
    assert!(december.contains("Fine anno") && !december.contains("Anno nuovo"), "{december}");
    assert!(december.contains("rel=\"prev\" href=\"/comune/99900010010/calendario?mese=2026-11\""), "{december}");
    assert!(december.contains("rel=\"next\" href=\"/comune/99900010010/calendario?mese=2027-01\""), "{december}");
    assert!(page(&browser, "/calendario?mese=2027-01").await.contains("Anno nuovo"));
    for strange in ["", "x", "2026-13", "9999-12", "2026-11-01", "-1"] {
        assert!(page(&browser, &format!("/calendario?mese={strange}")).await.contains("novembre 2026"), "{strange}");
    }
    assert!(!page(&browser, "/calendario?mese=2100-12").await.contains("rel=\"next\""));
    // Twenty on a page, and the older ones after them.
    let many = (1..=25).map(|n| {
        format!(
            "[[news]]\nid = \"n-{n:02}\"\nday = \"2026-10-{:02}\"\ntitle = \"Notizia {n:02}\"\ntext = \"x\"\n",
            n.min(20)
        )
    });
    import(house, &many.collect::<String>(), &[]);
    let first = page(&browser, "/novita").await;
    assert!(first.contains("Notizia 25") && first.contains("Notizia 06") && !first.contains("Notizia 05"), "{first}");
    let (_, older) = first.split_once("/novita?prima=").expect("older ones");
    let older = older.split('"').next().expect("an end");
    let second = page(&browser, &format!("/novita?prima={older}")).await;
    assert!(
        second.contains("Notizia 05") && second.contains("Notizia 01") && !second.contains("Notizia 06"),
        "{second}"
    );
    assert!(!second.contains("Notizie precedenti"), "the last page: {second}");
    assert!(page(&browser, "/novita?prima=x").await.contains("Notizia 25"));
}

async fn the_demo_has_something_to_read(house: &House) {
    let browser = house.browser();
    for town in [TOWN, UNION] {
        for (path, text) in
            [("novita", "menù invernale"), ("documenti", "Modulo per la dieta"), ("domande", "in contanti")]
        {
            let page = browser.get(&format!("/comune/{town}/{path}")).await;
            assert!(page.status == 200 && page.says(text), "{path}: {}", page.text());
        }
    }
    assert!(page(&browser, "/calendario").await.contains("Commissione mensa"));
}
