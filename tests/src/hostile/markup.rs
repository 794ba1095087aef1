//! Attacks with what XML itself offers: attributes, namespaces, entities, nesting, and tags that are none.

use super::{List, RECEIPT, ROOM, STATION, VERIFY, full, many};

/// The wrapper's start tag in the recorded verify.
const WRAPPER: &str = "<pafn:paVerifyPaymentNoticeReq>";

/// The start of every recorded call's envelope.
const ENVELOPE: &str = "<soapenv:Envelope";

pub(super) fn attributes(list: &mut List) {
    for n in [65, 1_000, 30_000, 70_000] {
        let flood = many(n, |i| format!(" a{i}=''"));
        list.raw(&format!("attributes: {n} on one tag"), format!("<a{flood}/>"));
        list.call(&format!("attributes: {n} on the envelope"), VERIFY, ENVELOPE, &format!("{ENVELOPE}{flood}"));
        let body = format!("<soapenv:Body{flood}>");
        list.call(&format!("attributes: {n} on the body"), RECEIPT, "<soapenv:Body>", &body);
        list.call(&format!("attributes: {n} on a leaf"), VERIFY, "<idStation>", &format!("<idStation{flood}>"));
    }
    let names: Vec<String> = ('a'..='z').chain('A'..='Z').map(String::from).collect();
    let (short, ten) = (names.iter().map(|name| format!(" {name}=''")).collect::<String>(), &names[..10]);
    list.raw(
        "attributes: 52 short ones on each of as many tags as fit",
        format!("<a>{}</a>", full(&format!("<b{short}/>"))),
    );
    list.raw("attributes: ten on each of as many tags as fit", {
        let ten = ten.iter().map(|name| format!(" {name}=''")).collect::<String>();
        format!("<a>{}</a>", full(&format!("<b{ten}/>")))
    });
    let one = full("<unknown x=''/>");
    list.call(
        "attributes: one on each of as many unknown fields as fit",
        RECEIPT,
        "<receiptId>",
        &format!("{one}<receiptId>"),
    );
    for (name, place) in [("text", "<a>{}</a>"), ("CDATA", "<a><![CDATA[{}]]></a>"), ("a comment", "<a><!--{}--></a>")]
    {
        list.raw(&format!("attributes: equal signs in {name}"), place.replace("{}", &"=".repeat(ROOM)));
        list.raw(&format!("attributes: less-than signs in {name}"), place.replace("{}", &"<".repeat(ROOM)));
    }
    list.station("attributes: equal signs in a value", &"=".repeat(ROOM));
    list.raw("attributes: equal signs in an attribute", format!("<a b='{}'/>", "=".repeat(ROOM)));
    list.raw("attributes: an attribute of half a megabyte", format!("<a b='{}'/>", "x".repeat(ROOM)));
    list.raw("attributes: a name of half a megabyte", format!("<a {}=''/>", "x".repeat(ROOM)));
    list.raw("attributes: an attribute full of references", format!("<a b='{}'/>", full("&#65;")));
    list.raw("attributes: an attribute full of tabs", format!("<a b='{}'/>", full("\t")));
    let leaf = |attributes: &str| format!("<idStation {attributes}>");
    for (name, attributes) in [
        ("twice", "a='1' a='2'"),
        ("twice by two prefixes", "xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'"),
        ("twice, once in another order", "b='' a='' b=''"),
        ("without quotes", "a=1"),
        ("without a value", "a"),
        ("without a name", "='1'"),
        ("with an open quote", "a='1"),
        ("with mixed quotes", "a='1\""),
        ("with a tag inside", "a='<b>'"),
        ("with a stray ampersand", "a='1 & 2'"),
        ("with an unknown entity", "a='&x;'"),
        ("without a blank between", "a='1'b='2'"),
        ("with two equal signs", "a=='1'"),
        ("with an unbound prefix", "p:a='1'"),
        ("with a number for a name", "1a='1'"),
        ("unknown to the schema", "a='1'"),
        ("that says nil", "xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'"),
        ("with a control character", "a='\u{1}'"),
    ] {
        list.call(&format!("attributes: {name}"), VERIFY, "<idStation>", &leaf(attributes));
    }
}

pub(super) fn prefixes(list: &mut List) {
    let declare = |from: usize, n: usize| many(n, |i| format!(" xmlns:p{}='u{i}'", from + i));
    for n in [65, 1_000, 20_000] {
        list.raw(&format!("prefixes: {n} on one tag"), format!("<a{}/>", declare(0, n)));
        let envelope = format!("{ENVELOPE}{}", declare(0, n));
        list.call(&format!("prefixes: {n} on the envelope"), VERIFY, ENVELOPE, &envelope);
    }
    list.raw("prefixes: 40 on each of two levels", format!("<a{}><b{}/></a>", declare(0, 40), declare(40, 40)));
    list.raw("prefixes: one more on each of 63 levels", {
        let open = many(63, |level| format!("<a{}>", declare(level * 2, 2)));
        open + &"</a>".repeat(63)
    });
    let child = "<b xmlns=''/>";
    list.raw("prefixes: 64, and as many scopes as fit", format!("<a{}>{}</a>", declare(0, 64), full(child)));
    list.raw("prefixes: 64, and 4,000 scopes", format!("<a{}>{}</a>", declare(0, 64), child.repeat(4_000)));
    list.raw("prefixes: 60, and 2,000 scopes that hide some", {
        let hide = format!("<b{}/>", many(2, |i| format!(" xmlns:p{i}='v'")));
        format!("<a{}>{}</a>", declare(0, 60), hide.repeat(2_000))
    });
    list.raw(
        "prefixes: 9,000 namespaces",
        format!("<a>{}</a>", many(9_000, |i| format!("<b xmlns:a='{i}' xmlns:b='{i}'/>"))),
    );
    list.raw(
        "prefixes: 4,000 namespaces, backwards",
        format!("<a>{}</a>", many(4_000, |i| format!("<b xmlns='{:05}'/>", 9_999 - i))),
    );
    list.raw(
        "prefixes: names that grow",
        format!("<a>{}</a>", many(900, |i| format!("<b xmlns='{}'/>", "n".repeat(i)))),
    );
    list.raw("prefixes: a namespace of half a megabyte", format!("<a xmlns='{}'/>", "u".repeat(ROOM)));
    list.raw("prefixes: a prefix of half a megabyte", format!("<a xmlns:{}='u'/>", "p".repeat(ROOM)));
    list.raw("prefixes: a namespace written in references", format!("<a xmlns='{}'/>", full("&#117;")));
    let wrapper = |attributes: &str| format!("<pafn:paVerifyPaymentNoticeReq {attributes}>");
    for (name, attributes) in [
        ("xml bound to another", "xmlns:xml='u'"),
        ("another bound to xml", "xmlns:p='http://www.w3.org/XML/1998/namespace'"),
        ("another bound to xmlns", "xmlns:p='http://www.w3.org/2000/xmlns/'"),
        ("bound twice", "xmlns:p='u' xmlns:p='u'"),
        ("the contract's bound to another", "xmlns:pafn='urn:evil'"),
        ("a default that takes the children", "xmlns='urn:evil'"),
    ] {
        list.call(&format!("prefixes: {name}"), VERIFY, WRAPPER, &wrapper(attributes));
    }
    list.call("prefixes: unbound on a tag", VERIFY, "<idStation>", "<p:idStation>");
    list.call("prefixes: two colons", VERIFY, "<idStation>", "<p:q:idStation>");
    let body = "<soapenv:Body xmlns:soapenv='urn:evil'>";
    list.call("prefixes: the envelope's bound to another in the body", VERIFY, "<soapenv:Body>", body);
}

pub(super) fn entities(list: &mut List) {
    let laughs = many(12, |i| format!("<!ENTITY l{} '{}'>", i + 1, format!("&l{i};").repeat(10)));
    let doctype = |inside: &str| format!("<!DOCTYPE a [{inside}]>");
    let external = |address: &str| format!("<!ENTITY x SYSTEM '{address}'>");
    let quadratic = format!("<!ENTITY x '{}'>", "A".repeat(200_000));
    let subsets = [
        ("a billion laughs", format!("<!ENTITY l0 'ha'>{laughs}"), "&l12;".to_owned()),
        ("quadratic", quadratic, "&x;".repeat(40_000)),
        ("itself", "<!ENTITY x '&x;'>".into(), "&x;".into()),
        ("each the other", "<!ENTITY x '&y;'><!ENTITY y '&x;'>".into(), "&x;".into()),
        ("one", "<!ENTITY x 'x'>".into(), "&x;".into()),
        ("a parameter", "<!ENTITY % p SYSTEM 'http://127.0.0.1:1/evil.dtd'> %p;".into(), STATION.into()),
        (
            "a file by an error",
            "<!ENTITY % f SYSTEM 'file:///etc/hostname'><!ENTITY % e \"<!ENTITY x SYSTEM 'file:///%f;'>\">%e;".into(),
            "&x;".into(),
        ),
        (
            "one that was not parsed",
            "<!NOTATION n SYSTEM 'n'><!ENTITY x SYSTEM 'x.gif' NDATA n>".into(),
            STATION.into(),
        ),
        ("an attribute by default", "<!ATTLIST idStation a CDATA 'x'>".into(), STATION.into()),
        ("a declared element", "<!ELEMENT a ANY>".into(), STATION.into()),
        ("an amp redefined", "<!ENTITY amp 'x'>".into(), "&amp;".into()),
    ];
    let addresses = [
        "file:///etc/hostname",
        "file:///dev/zero",
        "file:///proc/self/environ",
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
        "ftp://127.0.0.1:1/x",
        "gopher://127.0.0.1:1/_x",
        "jar:http://127.0.0.1:1/x!/y",
        "netdoc:/etc/hostname",
        "php://filter/read=convert.base64-encode/resource=/etc/hostname",
        "expect://id",
        "data:text/plain,x",
        "\\\\127.0.0.1\\share\\x",
        "/etc/hostname",
    ];
    let declaration = VERIFY.split_once('\n').map_or("", |(line, _)| line);
    let mut with = |name: &str, doctype: &str, text: &str| {
        let body = VERIFY.replace(declaration, &format!("{declaration}{doctype}")).replace(STATION, text);
        list.raw(&format!("entities: {name}"), body);
    };
    for (name, subset, text) in &subsets {
        with(name, &doctype(subset), text);
    }
    for address in addresses {
        with(&format!("outside, {address}"), &doctype(&external(address)), "&x;");
    }
    with("outside, public", "<!DOCTYPE a PUBLIC '-//x//EN' 'http://127.0.0.1:1/x.dtd'>", STATION);
    with("outside, the DTD", "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x.dtd'>", STATION);
    with("in small letters", "<!doctype a [<!entity x 'y'>]>", "&x;");
    with("in mixed letters", "<!DocType a>", STATION);
    with("without a name", "<!DOCTYPE>", STATION);
    with("without an end", "<!DOCTYPE a [", STATION);
    with("with a quoted end", "<!DOCTYPE a [<!ENTITY x ']>'>]>", "&x;");
    with("with a huge subset", &doctype(&full("<!ENTITY x 'y'>")), "&x;");
    with("with a subset of comments", &doctype(&full("<!-- -->")), STATION);
    with("after a comment", "<!-- x --><!DOCTYPE a>", STATION);
    with("after an instruction", "<?x y?><!DOCTYPE a>", STATION);
    with("without a document type", "<!ENTITY x 'y'>", "&x;");
    list.call("entities: a document type in the body", VERIFY, "<soapenv:Body>", "<soapenv:Body><!DOCTYPE a>");
    list.call("entities: a document type at the end", VERIFY, "</soapenv:Envelope>", "</soapenv:Envelope><!DOCTYPE a>");
    list.call("entities: a section of a DTD", VERIFY, "<idStation>", "<![INCLUDE[<idStation>]]>");
    let include = "<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='file:///etc/hostname' parse='text'/>";
    list.station("entities: XInclude", include);
    for (name, text) in [
        ("unknown", "&station;"),
        ("of HTML", "&nbsp;"),
        ("without a name", "&;"),
        ("without an end", "&lt"),
        ("a stray ampersand", "a & b"),
        ("no number", "&#;"),
        ("no hexadecimal number", "&#x;"),
        ("zero", "&#0;"),
        ("a control character", "&#1;"),
        ("a surrogate", "&#xD800;"),
        ("two surrogates", "&#xD83D;&#xDE00;"),
        ("no character", "&#xFFFE;"),
        ("beyond Unicode", "&#x110000;"),
        ("a negative number", "&#-1;"),
        ("a capital X", "&#X41;"),
        ("no digits", "&#6G;"),
    ] {
        list.station(&format!("entities: a reference, {name}"), text);
    }
    list.station("entities: a reference of a hundred thousand digits", &format!("&#{};", "9".repeat(100_000)));
    list.station("entities: a reference with a hundred thousand zeros", &format!("&#{}0;", "0".repeat(100_000)));
    list.station("entities: as many references as fit", &full("&lt;"));
    list.station("entities: as many ampersands as fit", &full("&amp;"));
}

pub(super) fn nesting(list: &mut List) {
    for depth in [65, 1_000, 10_000, 70_000] {
        let (open, close) = ("<a>".repeat(depth), "</a>".repeat(depth));
        list.raw(&format!("nesting: {depth} levels"), format!("{open}{close}"));
        list.raw(&format!("nesting: {depth} levels, never closed"), open.clone());
        list.station(&format!("nesting: {depth} levels in a leaf"), &format!("{open}{close}"));
        let unknown = format!("<unknown>{open}{close}</unknown><receiptId>");
        list.call(&format!("nesting: {depth} levels in an unknown field"), RECEIPT, "<receiptId>", &unknown);
        let header = format!("<soapenv:Header>{open}{close}</soapenv:Header>");
        list.call(&format!("nesting: {depth} levels in the header"), VERIFY, "<soapenv:Header/>", &header);
    }
    let envelope = "<soapenv:Envelope><soapenv:Body>".repeat(20) + &"</soapenv:Body></soapenv:Envelope>".repeat(20);
    list.call("nesting: envelopes in the envelope", VERIFY, WRAPPER, &format!("{envelope}{WRAPPER}"));
    list.raw("nesting: 10 MB of it", "<a>".repeat(10 << 20));
    let names =
        many(60, |i| format!("<{}>", char::from(b'a' + u8::try_from(i % 26).unwrap_or(0)).to_string().repeat(8_000)));
    list.raw("nesting: 60 levels of long names, never closed", names);
    list.raw("nesting: 60 levels with siblings", {
        let level = format!("{}<a>", "<b/>".repeat(80));
        level.repeat(60) + &"</a>".repeat(60)
    });
    list.raw(
        "nesting: CDATA in CDATA",
        format!("<a>{}{}</a>", full("<![CDATA[").split_at(ROOM / 2 / 9 * 9).0, "]]>".repeat(1_000)),
    );
    list.raw("nesting: comments in comments", format!("<a>{}{}</a>", "<!-- ".repeat(10_000), "-->".repeat(10_000)));
}

pub(super) fn structure(list: &mut List) {
    for part in 1..=15 {
        let cut = RECEIPT.len() * part / 16;
        list.raw(&format!("structure: a receipt cut after {part} sixteenths"), RECEIPT.get(..cut).unwrap_or_default());
    }
    for (name, body) in [
        ("nothing", ""),
        ("blanks", " \r\n\t "),
        ("one tag's beginning", "<"),
        ("an empty tag", "<>"),
        ("an empty end", "</>"),
        ("an end alone", "</a>"),
        ("two roots", "<a/><b/>"),
        ("text before the root", "x<a/>"),
        ("text after the root", "<a/>x"),
        ("ends crossed", "<a><b></a></b>"),
        ("another's end", "<a></b>"),
        ("another case's end", "<a></A>"),
        ("a blank before the name", "< a/>"),
        ("a blank in the end", "<a></ a>"),
        ("an end with attributes", "<a></a b='1'>"),
        ("a number for a name", "<1/>"),
        ("a hyphen for a name", "<-a/>"),
        ("two slashes", "<a//>"),
        ("a slash before", "</a/>"),
        ("no end of the tag", "<a"),
        ("an end in a value", "<a b='>"),
        ("a root in CDATA", "<![CDATA[<a/>]]>"),
        ("a declaration alone", "<?xml version='1.0'?>"),
        ("an instruction alone", "<?x?>"),
        ("JSON", "{\"idPA\":\"99900010010\"}"),
        ("HTML", "<!doctype html><p>hello<br>"),
        ("HTML without a type", "<html><body><p>hello</body></html>"),
        ("a request of HTTP", "POST /pagopa/node HTTP/1.1\r\nHost: x\r\n\r\n<a/>"),
        ("a form", "idPA=99900010010&x=%3Ca%2F%3E"),
        ("a multipart", "--x\r\nContent-Type: application/xop+xml\r\n\r\n<a/>\r\n--x--"),
        ("SQL", "'; DROP TABLE receipt; --"),
        ("YAML", "idPA: 99900010010"),
        ("a shell", "$(id)"),
        ("a lookup", "${jndi:ldap://127.0.0.1:1/x}"),
        ("a format", "%s%s%s%n"),
    ] {
        list.raw(&format!("structure: {name}"), body);
    }
    for (name, unit) in [
        ("tags without ends", "<a "),
        ("ends", "</a>"),
        ("roots", "<a/>"),
        ("less-than signs", "<"),
        ("greater-than signs", ">"),
        ("comments without ends", "<!--"),
        ("CDATA without ends", "<![CDATA["),
        ("instructions without ends", "<?"),
        ("quotes", "<a b='"),
        ("exclamation marks", "<!"),
        ("ampersands", "&"),
        ("blanks", " "),
        ("line ends", "\r\n"),
    ] {
        list.raw(&format!("structure: as many {name} as fit"), full(unit));
    }
    list.raw("structure: as many children as fit", format!("<a>{}</a>", full("<b/>")));
    list.raw("structure: as many children with text as fit", format!("<a>{}</a>", full("<b>x</b>")));
    list.call(
        "structure: as many unknown fields as fit",
        RECEIPT,
        "<receiptId>",
        &format!("{}<receiptId>", full("<u/>")),
    );
    list.call(
        "structure: 6,000 fields of the wrong name",
        VERIFY,
        "<idStation>",
        &format!("{}<idStation>", "<u/>".repeat(6_000)),
    );
    let unknown = format!("{}<receiptId>1</receiptId><receiptId>", "<u>x</u>".repeat(3_000));
    list.call("structure: 3,000 unknown fields, and a known one twice", RECEIPT, "<receiptId>", &unknown);
}
