//! What an answer of a creditor must look like: the response half of paForNode.xsd as tables, and one walker.
//!
//! Sources: pagopa-api `wsdl/xsd/paForNode.xsd` (elements, order, types) and `xsd-common/sac-common-types-1.0.xsd`
//! (common types), branch SANP3.12.0. Only the wrapper is in a namespace: the schema sets no `elementFormDefault`.

use super::xml::Element;

/// Namespace of SOAP 1.1.
pub(super) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of the wrapper elements of paForNode.
pub(super) const PA: &str = "http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The calls the Node makes to a creditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Verify,
    GetPayment,
    GetPaymentV2,
    SendRt,
    SendRtV2,
    Demand,
}

impl Operation {
    /// The operation's name, which is also its SOAPAction (paForNode.wsdl).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Verify => "paVerifyPaymentNotice",
            Self::GetPayment => "paGetPayment",
            Self::GetPaymentV2 => "paGetPaymentV2",
            Self::SendRt => "paSendRT",
            Self::SendRtV2 => "paSendRTV2",
            Self::Demand => "paDemandPaymentNotice",
        }
    }

    /// Wrapper of the request: the names are irregular in the schema itself.
    pub(super) const fn request(self) -> &'static str {
        match self {
            Self::Verify => "paVerifyPaymentNoticeReq",
            Self::GetPayment => "paGetPaymentReq",
            Self::GetPaymentV2 => "paGetPaymentV2Request",
            Self::SendRt => "paSendRTReq",
            Self::SendRtV2 => "paSendRTV2Request",
            Self::Demand => "paDemandPaymentNoticeRequest",
        }
    }

    /// Wrapper of the answer.
    pub(super) const fn response(self) -> &'static str {
        match self {
            Self::Verify => "paVerifyPaymentNoticeRes",
            Self::GetPayment => "paGetPaymentRes",
            Self::GetPaymentV2 => "paGetPaymentV2Response",
            Self::SendRt => "paSendRTRes",
            Self::SendRtV2 => "paSendRTV2Response",
            Self::Demand => "paDemandPaymentNoticeResponse",
        }
    }

    const fn fields(self) -> &'static [Field] {
        match self {
            Self::Verify => VERIFY,
            Self::GetPayment => GET_V1,
            Self::GetPaymentV2 => GET_V2,
            Self::SendRt | Self::SendRtV2 => RESPONSE,
            Self::Demand => DEMAND,
        }
    }
}

/// A rule that an answer broke: a stable name, where, and in words. It never repeats the value, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    /// Stable name of the rule, for programs.
    pub(super) rule: &'static str,
    /// Path of the element, from the wrapper down.
    pub(super) path: String,
    /// What is wrong, in Italian.
    pub(super) words: String,
}

/// Records a breach.
pub(super) fn breach(out: &mut Vec<Breach>, rule: &'static str, path: &str, words: impl Into<String>) {
    out.push(Breach { rule, path: path.to_owned(), words: words.into() });
}

struct Field {
    name: &'static str,
    min: usize,
    max: usize,
    kind: Kind,
}

enum Kind {
    /// Any string with so many characters; whitespace counts.
    Text(usize, usize),
    Digits(usize),
    /// `\d+\.\d{2}`, at most 999999999.99, and zero only where `true`.
    Amount(bool),
    OneOf(&'static [&'static str]),
    Date,
    DateTime,
    Boolean,
    Int,
    /// `[A-Z]{2}`
    Country,
    Email,
    Fields(&'static [Field]),
    /// Exactly one of these elements, in this place.
    Choice(&'static [Field]),
}

const fn one(name: &'static str, kind: Kind) -> Field {
    Field { name, min: 1, max: 1, kind }
}
const fn opt(name: &'static str, kind: Kind) -> Field {
    Field { name, min: 0, max: 1, kind }
}
const fn many(name: &'static str, max: usize, kind: Kind) -> Field {
    Field { name, min: 1, max, kind }
}

use Kind::{Amount, Boolean, Choice, Country, Date, DateTime, Digits, Email, Fields, Int, OneOf, Text};

const ANY: usize = usize::MAX;
const FAULT: &[Field] = &[
    one("faultCode", Text(1, ANY)),
    one("faultString", Text(0, ANY)),
    one("id", Text(0, ANY)),
    opt("description", Text(0, ANY)),
    opt("serial", Int),
    opt("originalFaultCode", Text(0, ANY)),
    opt("originalFaultString", Text(0, ANY)),
    opt("originalDescription", Text(0, ANY)),
];
const OUTCOME: Kind = OneOf(&["OK", "KO"]);
const RESPONSE: &[Field] = &[one("outcome", OUTCOME), opt("fault", Fields(FAULT))];
const OPTION: &[Field] = &[
    one("amount", Amount(false)),
    one("options", OneOf(&["EQ", "LS", "GT", "ANY"])),
    opt("dueDate", Date),
    opt("detailDescription", Text(1, 140)),
    one("allCCP", Boolean),
];
const VERIFY: &[Field] = &[
    one("outcome", OUTCOME),
    opt("fault", Fields(FAULT)),
    opt("paymentList", Fields(&[one("paymentOptionDescription", Fields(OPTION))])),
    opt("paymentDescription", Text(1, 140)),
    opt("fiscalCodePA", Digits(11)),
    opt("companyName", Text(1, 140)),
    opt("officeName", Text(1, 140)),
];
const DEMAND: &[Field] = &[
    one("outcome", OUTCOME),
    opt("fault", Fields(FAULT)),
    opt("qrCode", Fields(&[one("fiscalCode", Digits(11)), one("noticeNumber", Digits(18))])),
    opt("paymentList", Fields(&[one("paymentOptionDescription", Fields(OPTION))])),
    opt("paymentDescription", Text(1, 140)),
    opt("fiscalCodePA", Digits(11)),
    opt("companyName", Text(1, 140)),
    opt("officeName", Text(1, 140)),
];
const METADATA: &[Field] = &[many("mapEntry", 15, Fields(&[one("key", Text(1, 140)), one("value", Text(1, 140))]))];
const SUBJECT: &[Field] = &[
    one(
        "uniqueIdentifier",
        Fields(&[
            one("entityUniqueIdentifierType", OneOf(&["F", "G"])),
            one("entityUniqueIdentifierValue", Text(2, 16)),
        ]),
    ),
    one("fullName", Text(1, 70)),
    opt("streetName", Text(1, 70)),
    opt("civicNumber", Text(1, 16)),
    opt("postalCode", Text(1, 16)),
    opt("city", Text(1, 35)),
    opt("stateProvinceRegion", Text(1, 35)),
    opt("country", Country),
    opt("e-mail", Email),
];
const ID_TRANSFER: Kind = OneOf(&["1", "2", "3", "4", "5"]);
const TRANSFER_V1: &[Field] = &[
    one("idTransfer", ID_TRANSFER),
    one("transferAmount", Amount(false)),
    one("fiscalCodePA", Digits(11)),
    one("IBAN", Text(1, 35)),
    one("remittanceInformation", Text(1, 140)),
    one("transferCategory", Text(1, 140)),
    opt("metadata", Fields(METADATA)),
];
const STAMP: &[Field] =
    &[one("hashDocumento", Text(1, 72)), one("tipoBollo", OneOf(&["01"])), one("provinciaResidenza", Country)];
const TRANSFER_V2: &[Field] = &[
    one("idTransfer", ID_TRANSFER),
    one("transferAmount", Amount(false)),
    one("fiscalCodePA", Digits(11)),
    opt("companyName", Text(1, 140)),
    one("IBAN", Choice(&[one("IBAN", Text(1, 35)), one("richiestaMarcaDaBollo", Fields(STAMP))])),
    one("remittanceInformation", Text(1, 140)),
    one("transferCategory", Text(1, 140)),
    opt("metadata", Fields(METADATA)),
];

/// The two versions of `data` differ in the company's name and in the transfers.
macro_rules! data {
    ($company:expr, $transfer:expr) => {
        &[
            one("outcome", OUTCOME),
            opt("fault", Fields(FAULT)),
            opt(
                "data",
                Fields(&[
                    one("creditorReferenceId", Text(1, 35)),
                    one("paymentAmount", Amount(false)),
                    one("dueDate", Date),
                    opt("retentionDate", DateTime),
                    opt("lastPayment", Boolean),
                    one("description", Text(1, 140)),
                    $company,
                    opt("officeName", Text(1, 140)),
                    one("debtor", Fields(SUBJECT)),
                    one("transferList", Fields(&[many("transfer", 5, Fields($transfer))])),
                    opt("metadata", Fields(METADATA)),
                ]),
            ),
        ]
    };
}
const GET_V1: &[Field] = data!(opt("companyName", Text(1, 140)), TRANSFER_V1);
const GET_V2: &[Field] = data!(one("companyName", Text(1, 140)), TRANSFER_V2);

/// What the body of an answer turned out to be.
pub(super) enum Body {
    /// The wrapper that the operation promises, valid against the schema.
    Answer(Element),
    /// A SOAP Fault: the creditor is broken, not refusing.
    SoapFault,
    /// Neither; the breaches say why.
    Invalid(Vec<Breach>),
}

/// Judges the bytes of an answer against envelope and schema.
pub(super) fn read_answer(operation: Operation, bytes: &[u8]) -> Body {
    let mut out = Vec::new();
    let envelope = match Element::parse(bytes) {
        Ok(envelope) => envelope,
        Err(words) => {
            breach(&mut out, "xml", "", format!("La risposta non si può leggere: {words}."));
            return Body::Invalid(out);
        }
    };
    let soap = |e: &Element, name| e.name == name && e.ns.as_deref() == Some(SOAP);
    if !soap(&envelope, "Envelope") {
        breach(&mut out, "envelope", &envelope.name, "La radice non è una Envelope SOAP 1.1.");
        return Body::Invalid(out);
    }
    let parts = match envelope.children.as_slice() {
        [header, body] if soap(header, "Header") && soap(body, "Body") => Some(body),
        [body] if soap(body, "Body") => Some(body),
        _ => None,
    };
    let content = match parts.map(|body| body.children.as_slice()) {
        Some([content]) => content,
        _ => {
            breach(&mut out, "envelope", "Envelope", "Serve un solo Body con un solo elemento dentro.");
            return Body::Invalid(out);
        }
    };
    if soap(content, "Fault") {
        return Body::SoapFault;
    }
    if content.ns.as_deref() != Some(PA) || content.name != operation.response() {
        let words = format!("Atteso {} nel namespace di paForNode.", operation.response());
        breach(&mut out, "wrapper", &content.name, words);
        return Body::Invalid(out);
    }
    let path = content.name.clone();
    fields(content, operation.fields(), &path, &mut out);
    if out.is_empty() { Body::Answer(content.clone()) } else { Body::Invalid(out) }
}

/// Walks one sequence. It stops at the first misplaced element: what follows would only repeat the same complaint.
fn fields(element: &Element, table: &[Field], path: &str, out: &mut Vec<Breach>) {
    bare(element, path, out);
    if !element.text.trim().is_empty() {
        breach(out, "text", path, "Testo dove sono ammessi solo elementi.");
    }
    let mut rest = element.children.as_slice();
    for field in table {
        let mut seen = 0;
        while let [next, tail @ ..] = rest
            && let Some(found) = field.accepts(next)
        {
            seen += 1;
            if seen <= field.max {
                value(next, found, &format!("{path}/{}", next.name), out);
            }
            rest = tail;
        }
        if seen > field.max {
            let words = format!("Ripetuto {seen} volte, ammesso al massimo {}.", field.max);
            breach(out, "occurs", &format!("{path}/{}", field.name), words);
        }
        if seen < field.min {
            let later = rest.iter().any(|e| field.accepts(e).is_some());
            match rest.first().and_then(|e| stranger(e, table).zip(Some(&e.name))) {
                Some(((rule, words), name)) => breach(out, rule, &format!("{path}/{name}"), words),
                None if later => breach(out, "order", &format!("{path}/{}", field.name), "Elemento fuori ordine."),
                None => {
                    let words = "Elemento obbligatorio mancante.";
                    breach(out, "missing", &format!("{path}/{}", field.name), words);
                }
            }
            return;
        }
    }
    if let Some(extra) = rest.first() {
        let (rule, words) = stranger(extra, table).unwrap_or(("order", "Elemento fuori ordine."));
        breach(out, rule, &format!("{path}/{}", extra.name), words);
    }
}

/// Why an element has no place anywhere in this sequence; `None` where it has one.
fn stranger(element: &Element, table: &[Field]) -> Option<(&'static str, &'static str)> {
    if element.ns.is_some() {
        return Some(("qualified", "Elemento qualificato: deve essere senza namespace."));
    }
    let known = table.iter().any(|f| f.accepts(element).is_some());
    (!known).then_some(("unknown", "Elemento non previsto dallo schema."))
}

impl Field {
    /// The field (itself, or one of its alternatives) that this element is an instance of.
    fn accepts(&self, element: &Element) -> Option<&Field> {
        let is = |f: &Field| element.ns.is_none() && element.name == f.name;
        match &self.kind {
            Choice(alternatives) => alternatives.iter().find(|f| is(f)),
            _ => is(self).then_some(self),
        }
    }
}

/// No type of the schema has attributes; only those of XML Schema instances may stand anywhere.
fn bare(element: &Element, path: &str, out: &mut Vec<Breach>) {
    if element.attributes.iter().any(|(ns, _)| ns.as_deref() != Some(XSI)) {
        breach(out, "attribute", path, "Attributi non previsti dallo schema.");
    }
}

fn value(element: &Element, field: &Field, path: &str, out: &mut Vec<Breach>) {
    if let Fields(table) = &field.kind {
        return fields(element, table, path, out);
    }
    bare(element, path, out);
    if !element.children.is_empty() {
        return breach(out, "type", path, "Elementi dove è ammesso solo testo.");
    }
    // Numbers, dates and booleans collapse the white space around them; strings keep it (XML Schema part 2, whiteSpace).
    let (raw, trimmed) = (element.text.as_str(), element.text.trim_matches([' ', '\t', '\n', '\r']));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let fault = match &field.kind {
        Text(min, max) => {
            let n = raw.chars().count();
            if n < *min {
                Some("Vuoto: un elemento facoltativo si omette.".to_owned())
            } else {
                (n > *max).then(|| format!("{n} caratteri, ammessi al massimo {max}."))
            }
        }
        Digits(n) => (raw.len() != *n || !digits(raw)).then(|| format!("Servono esattamente {n} cifre.")),
        Amount(zero) => match cents(trimmed) {
            None => Some("Importo non nella forma 0.00, o oltre 999999999.99.".to_owned()),
            Some(0) if !zero => Some("Importo zero non ammesso.".to_owned()),
            Some(_) => None,
        },
        // `idTransfer` is an xs:int: white space around it is legal.
        OneOf(values) if values.contains(&"1") => {
            (!values.contains(&trimmed)).then(|| "Servono numeri da 1 a 5.".to_owned())
        }
        OneOf(values) => (!values.contains(&raw)).then(|| format!("Valore diverso da {}.", values.join(", "))),
        Date => (!is_date(trimmed)).then(|| "Non è una data (AAAA-MM-GG).".to_owned()),
        DateTime => (!is_date_time(trimmed)).then(|| "Non è una data con ora.".to_owned()),
        Boolean => (!matches!(trimmed, "true" | "false" | "1" | "0")).then(|| "Non è un valore booleano.".to_owned()),
        Int => trimmed.parse::<i32>().is_err().then(|| "Non è un numero intero.".to_owned()),
        Country => (raw.len() != 2 || !raw.bytes().all(|b| b.is_ascii_uppercase()))
            .then(|| "Servono due lettere maiuscole.".to_owned()),
        Email => (!is_email(raw)).then(|| "Non è un indirizzo di posta elettronica.".to_owned()),
        Fields(_) | Choice(_) => None,
    };
    if let Some(words) = fault {
        breach(out, "type", path, words);
    }
}

/// Euro text of the schema (`stAmount`) as cents; `None` outside its lexical form or range.
pub(super) fn cents(text: &str) -> Option<i64> {
    let (euro, cent) = text.split_once('.')?;
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if cent.len() != 2 || !all_digits(euro) || !all_digits(cent) {
        return None;
    }
    let total = euro.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cent.parse().ok()?)?;
    (total <= 99_999_999_999).then_some(total)
}

/// Cents as euro text of the schema. Negative amounts do not occur and would be written as zero.
pub(super) fn euro(cents: i64) -> String {
    let cents = cents.max(0);
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// xs:date with its optional zone.
fn is_date(text: &str) -> bool {
    let Some((date, zone)) = text.split_at_checked(10) else {
        return false;
    };
    date.is_ascii() && date.parse::<jiff::civil::Date>().is_ok() && date.as_bytes()[4] == b'-' && is_zone(zone)
}

/// xs:dateTime with optional fraction and zone.
fn is_date_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else {
        return false;
    };
    let Some(time) = rest.strip_prefix('T') else {
        return false;
    };
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(end);
    is_date(date)
        && time.len() >= 8
        && !time.contains(',')
        && time.parse::<jiff::civil::Time>().is_ok()
        && is_zone(zone)
}

fn is_zone(zone: &str) -> bool {
    let b = zone.as_bytes();
    match b {
        [] | [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digit = |d: &u8| d.is_ascii_digit();
            [h1, h2, m1, m2].into_iter().all(digit) && (*h1 == b'0' || (*h1 == b'1' && *h2 <= b'4')) && *m1 < b'6'
        }
        _ => false,
    }
}

/// `stEMail` of the common types.
pub(super) fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let word = |s: &str, more: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    text.len() <= 256 && word(name, "_.+-") && host.split('.').all(|part| word(part, "-"))
}

/// ISO 13616: 15 to 34 letters and digits, remainder 1 by 97 after moving the first four to the end.
pub(super) fn is_iban(text: &str) -> bool {
    let b = text.as_bytes();
    if !(15..=34).contains(&b.len()) || !b.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
        return false;
    }
    let (head, tail) = b.split_at(4);
    let shape = matches!(head, [a, b, c, d] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit());
    let rest = tail.iter().chain(head).fold(0_u32, |r, c| match c {
        b'0'..=b'9' => (r * 10 + u32::from(c - b'0')) % 97,
        _ => (r * 100 + u32::from(c - b'A') + 10) % 97,
    });
    shape && rest == 1
}
