//! Attacks with well-formed XML: envelopes that are none, data inside base64, values and repetitions.

use data_encoding::BASE64;

use super::{ACTIVATE, DEMAND, List, RECEIPT, RECEIPT_V1, VERIFY, full, many};

/// What opens and closes the recorded envelope.
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

pub(super) fn soap(list: &mut List) {
    let signed = "<soapenv:Header><s:S xmlns:s='urn:s' soapenv:mustUnderstand='?'/></soapenv:Header>";
    for (name, from, to) in [
        ("version 1.2", SOAP, "http://www.w3.org/2003/05/soap-envelope"),
        ("no namespace", SOAP, ""),
        ("another namespace", SOAP, "http://schemas.xmlsoap.org/soap/envelope"),
        ("an envelope in small letters", "soapenv:Envelope", "soapenv:envelope"),
        ("a body in small letters", "soapenv:Body", "soapenv:body"),
        ("a body of nobody's", "soapenv:Body", "Body"),
        ("a header after the body", "</soapenv:Body>", "</soapenv:Body><soapenv:Header/>"),
        ("two headers", "<soapenv:Header/>", "<soapenv:Header/><soapenv:Header/>"),
        ("a stranger before the body", "<soapenv:Header/>", "<soapenv:Header/><x/>"),
        ("two bodies", "<soapenv:Header/>", "<soapenv:Body><x/></soapenv:Body>"),
        ("another body behind", "</soapenv:Body>", "</soapenv:Body><soapenv:Body/>"),
        ("a stranger beside the call", "</soapenv:Body>", "<x/></soapenv:Body>"),
        ("text in the body", "<soapenv:Body>", "<soapenv:Body>x"),
        ("text in the envelope", "<soapenv:Body>", "x<soapenv:Body>"),
        ("CDATA in the body", "<soapenv:Body>", "<soapenv:Body><![CDATA[x]]>"),
        ("a call in another namespace", "http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd", "urn:evil"),
        ("a call in the namespace of the Node", "paForNode.xsd", "nodeForPa.xsd"),
        ("a call in no namespace", "pafn:paVerify", "paVerify"),
        ("an answer for a call", "paVerifyPaymentNoticeReq", "paVerifyPaymentNoticeRes"),
        ("a call of another name", "paVerifyPaymentNoticeReq", "paVerifyPaymentNoticeRequest"),
        ("a call in small letters", "paVerifyPaymentNoticeReq", "paverifypaymentnoticereq"),
        ("another call than the action's", "paVerifyPaymentNoticeReq", "paGetPaymentV2Request"),
        ("a Fault", "pafn:paVerifyPaymentNoticeReq", "soapenv:Fault"),
        ("a header that is a must, 1", "<soapenv:Header/>", &signed.replace('?', "1")),
        ("a header that is a must, true", "<soapenv:Header/>", &signed.replace('?', "true")),
        ("a header that is a must, yes", "<soapenv:Header/>", &signed.replace('?', "yes")),
        ("fields in the call's namespace", "idStation>", "pafn:idStation>"),
        ("a field in another case", "idStation>", "IdStation>"),
        ("a field in a field", "<idStation>", "<idStation><idStation/>"),
        ("text between the fields", "<idStation>", "x<idStation>"),
        ("an unknown field", "<idStation>", "<x/><idStation>"),
        ("an instruction for a field", "<idStation>99900020019_01</idStation>", "<?idStation 99900020019_01?>"),
        ("a comment for a field", "<idStation>99900020019_01</idStation>", "<!--<idStation>x</idStation>-->"),
    ] {
        list.call(&format!("soap: {name}"), VERIFY, from, to);
    }
    let body = VERIFY.split_once("<soapenv:Body>").and_then(|(_, rest)| rest.split_once("</soapenv:Body>"));
    let call = body.map_or("", |(call, _)| call);
    list.call("soap: no call", VERIFY, call, "");
    list.call("soap: the call twice", VERIFY, call, &call.repeat(2));
    list.call("soap: the call as text", VERIFY, call, &call.replace('<', "&lt;"));
    list.call("soap: the call in CDATA", VERIFY, call, &format!("<![CDATA[{call}]]>"));
    list.call("soap: the call in a call", VERIFY, call, &call.replace("<qrCode>", &format!("{call}<qrCode>")));
    list.raw("soap: the call without an envelope", call.trim().replace("pafn:", ""));
    list.raw("soap: a description of services", "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>");
    let headers = format!("<soapenv:Header>{}</soapenv:Header>", full("<h/>"));
    list.call("soap: headers as many as fit", VERIFY, "<soapenv:Header/>", &headers);
}

pub(super) fn base64(list: &mut List) {
    let data =
        DEMAND.split_once("ServizioRequest>").and_then(|(_, rest)| rest.split_once('<')).map_or("", |(data, _)| data);
    for (name, text) in [
        ("nothing", String::new()),
        ("not its letters", "****".into()),
        ("no padding", data.trim_end_matches('=').chars().skip(1).collect()),
        ("letters after the padding", "QQ==QQ==".into()),
        ("padding alone", "====".into()),
        ("three paddings", "Q===".into()),
        ("the letters of addresses", "-_-_".into()),
        ("half a megabyte of zeros", full("AAAA")),
        ("half a megabyte of paddings", full("=")),
        ("half a megabyte of line ends", full("\r\n")),
        ("half a megabyte of single letters", full("A\n")),
        ("half a megabyte that ends badly", full("AAAA") + "A"),
        ("an entity for data", "&x;".into()),
        ("XML that is not packed", "<ricarica/>".into()),
    ] {
        list.call(&format!("base64: {name}"), DEMAND, data, &text);
    }
    let form = |child: &str, amount: &str| {
        format!("<r><codiceFiscaleAlunno>{child}</codiceFiscaleAlunno><importo>{amount}</importo></r>")
    };
    let mut inside = |name: &str, xml: &[u8]| {
        list.call(&format!("base64: {name} inside"), DEMAND, data, &BASE64.encode(xml));
    };
    let third = "<a>".repeat(120_000);
    for (name, xml) in [
        ("no XML", "hello".to_owned()),
        ("a document type", "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><r>&x;</r>".into()),
        ("10,000 levels", "<a>".repeat(10_000)),
        ("as many levels as fit", third),
        ("as many children as fit", format!("<a>{}</a>", "<b/>".repeat(90_000))),
        ("9,000 children", format!("<a>{}</a>", "<b/>".repeat(9_000))),
        ("as many attributes as fit", format!("<a{}/>", many(35_000, |i| format!(" a{i}=''")))),
        ("less-than signs", format!("<a><!--{}--></a>", "<".repeat(370_000))),
        ("equal signs", format!("<a>{}</a>", "=".repeat(370_000))),
        ("a huge child", form(&"A".repeat(370_000), "1.00")),
        ("a huge amount", form("BNCLRA14P55H501E", &format!("{}.00", "9".repeat(300_000)))),
        ("no amount", "<r><codiceFiscaleAlunno>BNCLRA14P55H501E</codiceFiscaleAlunno></r>".into()),
        ("an amount of nothing", form("BNCLRA14P55H501E", "0.00")),
        ("an amount below nothing", form("BNCLRA14P55H501E", "-1.00")),
        ("base64", data.to_owned()),
    ] {
        inside(name, xml.as_bytes());
    }
    inside("UTF-16", &form("X", "1.00").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    inside("bytes", &[0xff; 1_000]);
    let transfer = "<IBAN>IT89A9999901001000000112233</IBAN>";
    let stamp = |text: &str| format!("<MBDAttachment>{text}</MBDAttachment>");
    list.call("base64: a stamp that is none", RECEIPT, transfer, &stamp("*"));
    list.call("base64: a stamp of half a megabyte that ends badly", RECEIPT, transfer, &stamp(&(full("AAAA") + "A")));
}

pub(super) fn values(list: &mut List) {
    let nines = "9".repeat(400_000);
    for (name, amount) in [
        ("of 400,000 digits", format!("{nines}.00")),
        ("with 400,000 decimals", format!("1.{nines}")),
        ("beyond the contract", "1000000000.00".into()),
        ("beyond 64 bits", "92233720368547758.08".into()),
        ("with an exponent", "1e9.00".into()),
        ("below nothing", "-1.00".into()),
        ("with a plus", "+1.00".into()),
        ("that is no number", "NaN".into()),
        ("without an end", "INF".into()),
        ("with a comma", "1,00".into()),
        ("with one decimal", "1.0".into()),
        ("with three decimals", "1.000".into()),
        ("without decimals", "1".into()),
        ("without euro", ".50".into()),
        ("with thousands", "1.000.00".into()),
        ("with a blank", "1 .00".into()),
        ("in hexadecimal", "0x10.00".into()),
        ("in full-width digits", "１.００".into()),
        ("in Arabic digits", "١.٠٠".into()),
        ("with a currency", "€1.00".into()),
        ("of nothing at all", String::new()),
    ] {
        list.call(&format!("values: an amount {name}"), ACTIVATE, "45.00", &amount);
        list.call(&format!("values: a payment {name}"), RECEIPT, "180.00", &amount);
    }
    list.call("values: a transfer of nothing", RECEIPT, "150.00", "0.00");
    for (name, date) in [
        ("30 February", "2026-02-30"),
        ("29 February of a common year", "2026-02-29"),
        ("month 13", "2026-13-01"),
        ("day 0", "2026-01-00"),
        ("year 0", "0000-01-01"),
        ("year 10000", "10000-01-01"),
        ("a year below nothing", "-2026-01-01"),
        ("a zone too far", "2026-01-01+15:00"),
        ("a zone of 99 minutes", "2026-01-01+01:99"),
        ("a zone by name", "2026-01-01 CET"),
        ("two zones", "2026-01-01ZZ"),
        ("a time too", "2026-01-01T00:00:00"),
        ("in Italian", "01/01/2026"),
        ("one digit", "2026-1-1"),
        ("letters", "yyyy-mm-dd"),
        ("nothing", ""),
        ("characters of three bytes", "２０２６-01-01"),
    ] {
        list.call(
            &format!("values: a date, {name}"),
            RECEIPT,
            "<transferDate>2026-10-15",
            &format!("<transferDate>{date}"),
        );
    }
    let huge = format!("<transferDate>2026-10-15{nines}");
    list.call("values: a date of 400,000 digits", RECEIPT, "<transferDate>2026-10-15", &huge);
    for (name, time) in [
        ("hour 25", "2026-10-14T25:00:00"),
        ("hour 24 and a bit", "2026-10-14T24:00:01"),
        ("minute 60", "2026-10-14T09:60:00"),
        ("second 61", "2026-10-14T09:05:61"),
        ("no time", "2026-10-14"),
        ("a blank for the T", "2026-10-14 09:05:33"),
        ("a fraction of nothing", "2026-10-14T09:05:33."),
        ("a comma", "2026-10-14T09:05:33,25"),
        ("the end of time", "9999-12-31T24:00:00-14:00"),
        ("a zone without minutes", "2026-10-14T09:05:33+01"),
    ] {
        list.call(&format!("values: a time, {name}"), RECEIPT, "2026-10-14T09:05:33.250", time);
    }
    let fraction = format!("2026-10-14T09:05:33.{nines}X");
    list.call("values: a time with 400,000 decimals and a letter", RECEIPT, "2026-10-14T09:05:33.250", &fraction);
    for (name, notice) in [
        ("17 digits", "30100000000000428"),
        ("19 digits", "3010000000000042850"),
        ("letters", "30100000000000428X"),
        ("blanks", "3010 0000 0000 0042 85"),
        ("a sign", "-01000000000004285"),
        ("full-width digits", "３０１０００"),
        ("nothing", ""),
    ] {
        list.call(&format!("values: a notice, {name}"), VERIFY, "301000000000004285", notice);
    }
    list.call("values: a notice of 400,000 digits", VERIFY, "301000000000004285", &nines);
    for (name, call, from, to) in [
        ("an addressee of 36 letters", VERIFY, "<idPA>99900010010", "<idPA>123456789012345678901234567890123456"),
        ("an addressee of nothing", VERIFY, "<idPA>99900010010", "<idPA>"),
        ("a creditor of 10 digits", VERIFY, "<fiscalCode>99900010010", "<fiscalCode>9990001001"),
        ("a creditor with a letter", VERIFY, "<fiscalCode>99900010010", "<fiscalCode>9990001001X"),
        ("an outcome of its own", RECEIPT, "<outcome>OK", "<outcome>MAYBE"),
        ("an outcome in small letters", RECEIPT, "<outcome>OK", "<outcome>ok"),
        ("a debtor of another kind", RECEIPT, "Type>F", "Type>X"),
        ("a country in small letters", RECEIPT, "<country>IT", "<country>it"),
        ("an address with two ats", RECEIPT, "@example.org", "@@example.org"),
        ("transfer number 0", RECEIPT, "<idTransfer>1", "<idTransfer>0"),
        ("transfer number 6", RECEIPT, "<idTransfer>1", "<idTransfer>6"),
        ("transfer number -1", RECEIPT, "<idTransfer>1", "<idTransfer>-1"),
        ("transfer number 2^64", RECEIPT, "<idTransfer>1", "<idTransfer>18446744073709551616"),
        ("a stand-in that is neither", RECEIPT, "<standIn>false", "<standIn>perhaps"),
        ("a receipt without an id", RECEIPT, "0a4be1c7d5934b6f8f6c2d1b9e7a3055", ""),
        ("a receipt without a notice", RECEIPT_V1, "noticeNumber>", "x>"),
    ] {
        list.call(&format!("values: {name}"), call, from, to);
    }
    for (name, text) in
        [("an e-mail", "<e-mail>"), ("a fee", "<fee>"), ("an IBAN", "<IBAN>"), ("a category", "<transferCategory>")]
    {
        list.call(
            &format!("values: {name} of half a megabyte"),
            RECEIPT,
            text,
            &format!("{text}{}", "a.".repeat(120_000)),
        );
    }
}

pub(super) fn repeats(list: &mut List) {
    let (head, rest) = RECEIPT.split_once("<transfer>").unwrap_or_default();
    let (transfer, _) = rest.split_once("</transfer>").unwrap_or_default();
    let (_, tail) = rest.rsplit_once("</transfer>").unwrap_or_default();
    let transfer = format!("<transfer>{transfer}</transfer>");
    for n in [6, 100, 400] {
        list.raw(&format!("repeats: {n} transfers"), format!("{head}{}{tail}", transfer.repeat(n)));
        list.0.iter_mut().last().into_iter().for_each(|last| last.action = "paSendRTV2");
    }
    let entry = "<mapEntry><key>K</key><value>V</value></mapEntry>";
    for n in [16, 1_000, 1_400, 8_000] {
        let map = format!("<metadata>{}", entry.repeat(n));
        list.call(&format!("repeats: {n} more entries of metadata"), RECEIPT, "<metadata>", &map);
        let map = format!("<metadata>{}</metadata><x/><debtor>", entry.repeat(n));
        list.call(&format!("repeats: {n} entries of misplaced metadata"), RECEIPT, "<debtor>", &map);
    }
    for n in [2, 4_000, 30_000] {
        let times = |field: &str| field.repeat(n);
        list.call(
            &format!("repeats: {n} times the addressee"),
            VERIFY,
            "<idPA>99900010010</idPA>",
            &times("<idPA>99900010010</idPA>"),
        );
        list.call(&format!("repeats: {n} notices"), VERIFY, "<qrCode>", &(times("<qrCode/>") + "<qrCode>"));
        list.call(&format!("repeats: {n} receipts"), RECEIPT, "<receipt>", &(times("<receipt/>") + "<receipt>"));
        list.call(&format!("repeats: {n} debtors"), RECEIPT, "<debtor>", &(times("<debtor/>") + "<debtor>"));
    }
    list.call("repeats: the fields in another order", VERIFY, "<idPA>99900010010</idPA>", "");
    list.call("repeats: no receipt", RECEIPT, "receipt>", "receiptz>");
}
