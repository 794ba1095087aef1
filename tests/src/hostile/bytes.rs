//! Attacks with masses of text, and with bytes that are not UTF-8 or say that they are not.

use borsellino_pagopa::node::MAX_BYTES;

use super::{List, RECEIPT, ROOM, STATION, VERIFY, full};

pub(super) fn texts(list: &mut List) {
    let letters = "A".repeat(ROOM);
    list.station("text: half a megabyte in a leaf", &letters);
    list.station("text: half a megabyte of CDATA in a leaf", &format!("<![CDATA[{letters}]]>"));
    list.station("text: half a megabyte of blanks around a leaf", &format!("{}{}", full(" "), "x".repeat(36)));
    list.station("text: half a megabyte of line ends in a leaf", &format!("x{}y", full("\r\n")));
    list.station("text: half a megabyte of characters of four bytes", &full("\u{1f600}"));
    list.station("text: half a megabyte of combining marks", &format!("a{}", full("\u{301}")));
    list.station("text: as many CDATA sections as fit", &full("x<![CDATA[y]]>"));
    list.station(
        "text: 4,000 CDATA sections of a hundred letters",
        &format!("<![CDATA[{}]]>", "y".repeat(100)).repeat(4_000),
    );
    list.station(
        "text: 100 CDATA sections of 5,000 letters",
        &format!("<![CDATA[{}]]>", "y".repeat(5_000)).repeat(100),
    );
    list.station("text: 4,000 texts between comments", &format!("{}<!---->", "y".repeat(100)).repeat(4_000));
    list.station("text: as many empty CDATA sections as fit", &full("<![CDATA[]]>"));
    list.call("text: half a megabyte in a description", RECEIPT, "Trasporto scolastico 2026/2027 prima rata", &letters);
    list.call("text: half a megabyte in the envelope", VERIFY, "<soapenv:Body>", &format!("{letters}<soapenv:Body>"));
    list.call("text: half a megabyte in the body", VERIFY, "<soapenv:Body>", &format!("<soapenv:Body>{letters}"));
    list.call("text: half a megabyte between fields", RECEIPT, "<receiptId>", &format!("{letters}<receiptId>"));
    list.call(
        "text: half a megabyte after the end",
        VERIFY,
        "</soapenv:Envelope>",
        &format!("</soapenv:Envelope>{letters}"),
    );
    list.call("text: a name of half a megabyte", VERIFY, "<idStation>", &format!("<{letters}/><idStation>"));
    list.call("text: a comment of half a megabyte", VERIFY, "<qrCode>", &format!("<!--{letters}--><qrcode>"));
    list.call("text: as many comments as fit", VERIFY, "<qrCode>", &format!("{}<qrcode>", full("<!---->")));
    list.call(
        "text: 4,000 comments in a leaf",
        VERIFY,
        STATION,
        &format!("{}{}", "<!---->".repeat(4_000), "x".repeat(36)),
    );
    list.call("text: an instruction of half a megabyte", VERIFY, "<qrCode>", &format!("<?x {letters}?><qrcode>"));
    list.call("text: as many instructions as fit", VERIFY, "<qrCode>", &format!("{}<qrcode>", full("<?x?>")));
    for (name, text) in [
        ("two hyphens in a comment", "<!-- a--b -->"),
        ("three hyphens end a comment", "<!-- a --->"),
        ("a comment without an end", "<!-- a"),
        ("a comment ended too early", "<!-->"),
        ("CDATA without an end", "<![CDATA[x"),
        ("an end of CDATA alone", "x]]>"),
        ("CDATA in small letters", "<![cdata[x]]>"),
        ("an instruction without a name", "<??>"),
        ("an instruction without an end", "<?x"),
        ("a second declaration", "<?xml version='1.0'?>"),
        ("a declaration in capitals", "<?XML version='1.0'?>"),
        ("a NUL", "\0"),
        ("a control character", "\u{1}"),
        ("a form feed", "\u{c}"),
        ("an escape", "\u{1b}[31m"),
        ("a character that is none", "\u{fffe}"),
        ("another character that is none", "\u{ffff}"),
    ] {
        list.station(&format!("text: {name}"), text);
    }
    list.call(
        "text: a comment outside that ends badly",
        VERIFY,
        "</soapenv:Envelope>",
        "</soapenv:Envelope><!-- a--b -->",
    );
    list.raw("text: one byte too much", format!("{VERIFY}{}", " ".repeat(MAX_BYTES + 1 - VERIFY.len())));
    list.raw("text: a megabyte of blanks before the root", format!("{}{VERIFY}", " ".repeat(1 << 20)));
    list.raw("text: ten megabytes in a leaf", VERIFY.replace(STATION, &"x".repeat(10 << 20)));
    list.raw("text: blanks before the declaration", format!(" {VERIFY}"));
    list.raw("text: half a megabyte of NULs", vec![0; ROOM]);
    list.raw("text: half a megabyte of ones", vec![0xff; ROOM]);
}

pub(super) fn encodings(list: &mut List) {
    let utf16 = |text: &str, marked: bool, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark = marked.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    };
    let utf32 = |text: &str, marked: bool, bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        let mark = marked.then_some(0xfeff);
        mark.into_iter().chain(text.chars().map(u32::from)).flat_map(bytes).collect()
    };
    let entity =
        VERIFY.replace("?>\n", "?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>").replace(STATION, "&x;");
    for (what, text) in
        [("a call", VERIFY.to_owned()), ("a declared call", VERIFY.replace("UTF-8", "UTF-16")), ("an entity", entity)]
    {
        for (mark, marked) in [("with its mark", true), ("without its mark", false)] {
            list.raw(&format!("encodings: {what} in UTF-16LE {mark}"), utf16(&text, marked, u16::to_le_bytes));
            list.raw(&format!("encodings: {what} in UTF-16BE {mark}"), utf16(&text, marked, u16::to_be_bytes));
            list.raw(&format!("encodings: {what} in UTF-32LE {mark}"), utf32(&text, marked, u32::to_le_bytes));
            list.raw(&format!("encodings: {what} in UTF-32BE {mark}"), utf32(&text, marked, u32::to_be_bytes));
        }
    }
    list.raw("encodings: UTF-16 of an odd length", utf16(VERIFY, true, u16::to_le_bytes).split_off(1));
    list.raw("encodings: half a megabyte of UTF-16", utf16(&full("<a>"), true, u16::to_le_bytes));
    list.raw("encodings: UTF-7", VERIFY.replace("UTF-8", "UTF-7").replace('<', "+ADw-").replace('>', "+AD4-"));
    for name in [
        "ISO-8859-1", "ISO-8859-15", "windows-1252", "UTF-16", "UTF-16LE", "UTF-32", "UCS-2", "UCS-4", "utf-7",
        "US-ASCII", "EBCDIC-CP-US", "ISO-2022-JP", "Shift_JIS", "GB18030", "x-user-defined", "utf8", "", " UTF-8",
        "UTF-8\u{0}", "base64",
    ] {
        list.call(&format!("encodings: declared as {name:?}"), VERIFY, "UTF-8", name);
    }
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    for (name, other) in [
        ("without its quotes", "<?xml version=\"1.0\" encoding=UTF-8?>"),
        ("without an end", "<?xml version=\"1.0\" encoding=\"UTF-8\""),
        ("that never says it", "<?xml version=\"1.0\" encoding?>"),
        ("with an open quote", "<?xml version=\"1.0\" encoding=\"UTF-8?>"),
        ("before the version", "<?xml encoding=\"UTF-8\" version=\"1.0\"?>"),
        ("without a version", "<?xml encoding=\"UTF-8\"?>"),
        ("twice", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><?xml version=\"1.0\"?>"),
        ("with half a megabyte of blanks", &format!("<?xml{}version=\"2\" encoding=\"UTF-16\"?>", full(" "))),
    ] {
        list.call(&format!("encodings: a declaration {name}"), VERIFY, declaration, other);
    }
    for (name, bytes) in [
        ("an è of ISO-8859-1", &b"\xe8"[..]),
        ("a euro of windows-1252", b"\x80"),
        ("a NUL of two bytes", b"\xc0\x80"),
        ("a slash of two bytes", b"\xc0\xaf"),
        ("a slash of three bytes", b"\xe0\x80\xaf"),
        ("a slash of four bytes", b"\xf0\x80\x80\xaf"),
        ("a less-than sign of two bytes", b"\xc0\xbc"),
        ("a less-than sign of three bytes", b"\xe0\x80\xbc"),
        ("a high surrogate", b"\xed\xa0\x80"),
        ("a low surrogate", b"\xed\xb0\x80"),
        ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
        ("a continuation alone", b"\xbf"),
        ("a beginning alone", b"\xe2"),
        ("two of three bytes", b"\xe2\x82"),
        ("FE", b"\xfe"),
        ("FF", b"\xff"),
        ("a mark of UTF-16", b"\xff\xfe"),
        ("EBCDIC", b"\x4c\x6f\xa7\x94\x93"),
    ] {
        let at = VERIFY.find(STATION).unwrap_or_default();
        let (before, after) = VERIFY.split_at(at);
        list.raw(&format!("encodings: {name} in a leaf"), [before.as_bytes(), bytes, after.as_bytes()].concat());
        list.raw(&format!("encodings: {name} at the end"), [VERIFY.as_bytes(), bytes].concat());
    }
    list.raw("encodings: two marks", format!("\u{feff}\u{feff}{VERIFY}"));
    list.call("encodings: a mark in a value", VERIFY, "99900010010", "9990001001\u{feff}0");
    list.call("encodings: a mark between fields", VERIFY, "<qrCode>", "\u{feff}<qrCode>");
    list.raw("encodings: a mark and nothing", "\u{feff}");
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xb3\x49\xb4\xd3\xb7\x03\x00\x00\xff\xff";
    list.raw("encodings: packed with gzip", packed.as_slice());
    list.raw("encodings: a picture", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".as_slice());
    list.raw("encodings: WBXML", b"\x03\x01\x6a\x00\x45\x5c\x60\x01".as_slice());
    list.raw(
        "encodings: a bad byte after half a megabyte",
        [VERIFY.as_bytes(), &vec![b' '; ROOM - VERIFY.len()], b"\xff"].concat(),
    );
}
