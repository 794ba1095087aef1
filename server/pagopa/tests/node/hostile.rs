//! Bytes made to hurt: each is refused, and quickly. And legal oddities, which are read like the plain message.

use std::time::{Duration, Instant};

use borsellino_pagopa::node::{Flaw, MAX_BYTES, MAX_EQUALS, Malformed, Problem, Refusal, decode, guard};

use super::{altered, fixture};

const VERIFY: &str = "paVerifyPaymentNotice-req.xml";

/// Decodes under a deadline, generous for a debug build on a busy machine and far below what an attack would take.
fn refusal(what: &str, body: &[u8]) -> Refusal {
    let begun = Instant::now();
    let result = decode(body, Some("paVerifyPaymentNotice"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{what} took {:?}", begun.elapsed());
    result.expect_err(what)
}

fn malformed(what: &str, body: &[u8]) -> Malformed {
    match refusal(what, body) {
        Refusal::Malformed(malformed) => malformed,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn attacks_on_the_parser_are_refused_quickly() {
    let attributes = |n: usize| (0..n).map(|i| format!(" a{i}=''")).collect::<String>();
    let full = |unit: &str| unit.repeat(MAX_BYTES / unit.len() - 10);
    let some = |unit: &str| unit.repeat(4_000);
    let tags = format!("<b{}/>", attributes(60));
    for (what, body, expected) in [
        ("10 MB", "<a>".repeat(10 << 20), Malformed::TooLarge),
        ("100,000 attributes", format!("<a{}/>", attributes(30_000)), Malformed::TooManyAttributes),
        ("65 attributes", format!("<a{}/>", attributes(65)), Malformed::TooManyAttributes),
        ("depth 10,000", "<a>".repeat(10_000), Malformed::TooDeep),
        ("depth 65", "<a>".repeat(65) + &"</a>".repeat(65), Malformed::TooDeep),
        ("nodes", format!("<a>{}</a>", "<b/>".repeat(30_000)), Malformed::TooManyNodes),
        ("unclosed tags", some("<a "), Malformed::NotXml),
        ("as many as fit", full("<a "), Malformed::TooManyNodes),
        ("unclosed comments", some("<!--"), Malformed::NotXml),
        ("unclosed values", some("<a b='"), Malformed::NotXml),
        ("stray ends", some("</a>"), Malformed::NotXml),
        ("texts to be joined", format!("<a>{}", full("x<![CDATA[y]]>")), Malformed::TooManyNodes),
        ("references", format!("<a>{}", full("&lt;")), Malformed::TooManyReferences),
        ("some of them", format!("<a>{}", some("&lt;")), Malformed::NotXml),
        ("equal signs", format!("<a>{}</a>", "=".repeat(MAX_EQUALS + 1)), Malformed::TooManyAttributes),
        ("a few less", format!("<a>{}</a>", "=".repeat(MAX_EQUALS)), Malformed::NotSoap),
        ("tags of many attributes", format!("<a>{}</a>", tags.repeat(100)), Malformed::TooManyAttributes),
        ("what is no tag", format!("<a><!--{}--></a>", "<".repeat(10_000)), Malformed::TooManyNodes),
        ("nothing", String::new(), Malformed::NotXml),
        ("blanks", full(" "), Malformed::NotXml),
        ("two roots", "<a/><b/>".into(), Malformed::NotXml),
    ] {
        assert_eq!(malformed(what, body.as_bytes()), expected, "{what}");
    }
    let large: String = format!("<a{}/>", attributes(100_000));
    assert_eq!(malformed("over the size too", large.as_bytes()), Malformed::TooLarge);
}

#[test]
fn prefixes_in_scope_are_bounded_and_siblings_may_redeclare() {
    let declare = |from: usize, n: usize| (from..from + n).map(|i| format!(" xmlns:p{i}='u'")).collect::<String>();
    let two_levels = format!("<a{}><b{}/></a>", declare(0, 40), declare(40, 40));
    assert_eq!(guard(two_levels.as_bytes()), Err(Malformed::TooManyPrefixes));
    let siblings = format!("<a>{}</a>", format!("<b{}/>", declare(0, 40)).repeat(50));
    assert!(guard(siblings.as_bytes()).is_ok());
    // The most work the bounds leave to the parser, and a little more.
    let scopes = |n: usize| format!("<a{}>{}</a>", declare(0, 64), "<b xmlns=''/>".repeat(n));
    assert_eq!(malformed("many scopes", scopes(93).as_bytes()), Malformed::NotSoap);
    assert_eq!(malformed("too many scopes", scopes(94).as_bytes()), Malformed::TooManyPrefixes);
    let distinct: String = (0..2_000).map(|i| format!("<b xmlns:a='{i}' xmlns:b='{i}'/>")).collect();
    assert_eq!(malformed("many namespaces", format!("<a>{distinct}</a>").as_bytes()), Malformed::NotSoap);
}

#[test]
fn the_guard_agrees_with_the_parser_on_where_tags_end() {
    let tags = "<b>".repeat(100);
    for sound in [
        format!("<a x='{}'/>", ">".repeat(1000)),
        format!("<a x=\"'{}'\"/>", "=".repeat(1000)),
        format!("<a><![CDATA[{tags}]]></a>"),
        format!("<a><!-- {tags} <!DOCTYPE --></a>"),
        format!("<a><?pi {tags} ?></a>"),
        "<a x='/'>text</a>".to_owned(),
    ] {
        assert!(guard(sound.as_bytes()).is_ok(), "{sound}");
    }
    // What a quote hides from the guard it hides from the parser, and the other way round.
    let hidden = format!("<a x='>{tags}'></a>");
    assert!(guard(hidden.as_bytes()).is_ok());
    let shown = format!("<a x='>'>{tags}");
    assert_eq!(guard(shown.as_bytes()), Err(Malformed::TooDeep));
}

#[test]
fn doctypes_and_entities_are_refused() {
    for doctype in [
        "<!DOCTYPE a [<!ENTITY l 'l'><!ENTITY m '&l;&l;&l;'>]><a>&m;</a>",
        "<!doctype a><a/>",
        "<?xml version='1.0'?> <!-- x --> <!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>",
    ] {
        assert_eq!(malformed(doctype, doctype.as_bytes()), Malformed::Doctype);
    }
    for reference in ["&station;", "&#xD800;", "&#x110000;", "&#0;", "&#xFFFE;", "&#;", "&#1", "&#-1;"] {
        let body = altered(VERIFY, "99900020019_01", reference);
        assert_eq!(malformed(reference, &body), Malformed::NotXml);
        let body = altered(VERIFY, "<idStation>", &format!("<idStation xmlns:x='{reference}'>"));
        assert_eq!(malformed(reference, &body), Malformed::NotXml);
    }
    let hidden = altered(VERIFY, "<idStation>", "<!-- &#xD800; --><idStation>");
    assert!(decode(&hidden, None).is_ok(), "what is no reference");
}

#[test]
fn encodings_other_than_utf8_are_refused() {
    let text = String::from_utf8(fixture(VERIFY)).unwrap();
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(malformed("utf-16", &utf16), Malformed::NotUtf8);
    assert_eq!(malformed("latin-1", b"<a>\xe8</a>"), Malformed::NotUtf8);
    for declared in ["ISO-8859-1", "UTF-16", "utf-7"] {
        assert_eq!(malformed(declared, &altered(VERIFY, "UTF-8", declared)), Malformed::NotUtf8);
    }
    for (from, to) in [("\"UTF-8\"", "'utf-8'"), (" encoding=\"UTF-8\"", ""), ("encoding=", "encoding = ")] {
        assert!(decode(&altered(VERIFY, from, to), None).is_ok(), "{to}");
    }
    let marked = [b"\xef\xbb\xbf", fixture(VERIFY).as_slice()].concat();
    assert!(decode(&marked, None).is_ok(), "byte order mark");
    let twice = [b"\xef\xbb\xbf", marked.as_slice()].concat();
    assert_eq!(malformed("two marks", &twice), Malformed::NotXml);
}

#[test]
fn only_soap_1_1_with_one_operation_passes() {
    let other = |from: &str, to: &str| malformed(to, &altered(VERIFY, from, to));
    let soap12 = "http://www.w3.org/2003/05/soap-envelope";
    assert_eq!(other("http://schemas.xmlsoap.org/soap/envelope/", soap12), Malformed::NotSoap);
    assert_eq!(other("soapenv:Envelope", "soapenv:envelope"), Malformed::NotSoap);
    assert_eq!(other("<soapenv:Header/>", "<soapenv:Header/><x/>"), Malformed::NotSoap);
    assert_eq!(other("</soapenv:Body>", "<x/></soapenv:Body>"), Malformed::NotOneOperation);
    assert_eq!(other("<soapenv:Body>", "<soapenv:Body>text"), Malformed::NotOneOperation);
    let header = |value: &str| {
        format!("<soapenv:Header><s:S xmlns:s='urn:s' soapenv:mustUnderstand='{value}'/></soapenv:Header>")
    };
    assert_eq!(other("<soapenv:Header/>", &header("1")), Malformed::MustUnderstand);
    assert!(decode(&altered(VERIFY, "<soapenv:Header/>", &header("0")), None).is_ok());
    let evil = altered(VERIFY, "http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd", "urn:evil");
    assert_eq!(refusal("other namespace", &evil), Refusal::UnknownOperation);
}

#[test]
fn ill_formed_tags_are_refused() {
    for (from, to) in [
        ("<qrCode>", "<qrCode a='1' a='2'>"),
        ("<qrCode>", "<qrCode a=1>"),
        ("<qrCode>", "<unbound:qrCode>"),
        ("<qrCode>", "<qrCode\u{1}>"),
        ("</soapenv:Envelope>", "</soapenv:Envelope>junk"),
    ] {
        assert_eq!(malformed(to, &altered(VERIFY, from, to)), Malformed::NotXml);
    }
}

#[test]
fn a_default_namespace_qualifies_the_children_and_is_refused() {
    let text = String::from_utf8(fixture(VERIFY)).unwrap().replace("pafn:", "").replace("xmlns:pafn", "xmlns");
    let Refusal::Syntax { what, .. } = refusal("default namespace", text.as_bytes()) else { panic!("other") };
    assert_eq!(what, Flaw { element: "idPA", problem: Problem::Misnamed });
}

#[test]
fn legal_ways_to_write_the_same_are_read_the_same() {
    let plain = decode(&fixture(VERIFY), None).unwrap();
    let xsi = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'";
    for (from, to) in [
        ("99900020019_01", "<![CDATA[99900020019_01]]>".to_owned()),
        ("99900020019_01", "999<!-- > -->000<![CDATA[20019]]>_01".to_owned()),
        ("99900020019_01", "&#57;9900020019&#x5f;01".to_owned()),
        ("<idStation>", format!("<idStation {xsi} xsi:type='x'>")),
        ("<idStation>", "<?pi > ?><idStation xmlns=''>".to_owned()),
        ("<idStation>", "<idStation xmlns:p='a>b' >".to_owned()),
    ] {
        assert_eq!(decode(&altered(VERIFY, from, &to), None).as_ref(), Ok(&plain), "{to}");
    }
    let nil = altered(VERIFY, "<idStation>", &format!("<idStation {xsi} xsi:nil='true'>"));
    let Refusal::Syntax { what, .. } = refusal("nil", &nil) else { panic!("other") };
    assert_eq!(what.element, "idStation");
}
