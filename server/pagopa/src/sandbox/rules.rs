//! What the Node checks in a valid answer beyond its schema: outcome and fault, required content, sums, IBANs.
//!
//! Sources: SANP 3.12.0 "Integration via synchronous APIs"; "Gestione degli errori" (fault codes by operation);
//! pagopa-nodo-dei-pagamenti-test, `paVerifyPaymentNoticeRes` and `paGetPaymentRes` syntax and semantic features.

use super::Creditor;
use super::schema::{Breach, Operation, breach, cents, is_iban};
use super::xml::Element;

/// Fault codes that every operation may use.
const COMMON: &[&str] = &[
    "PAA_SINTASSI_EXTRAXSD",
    "PAA_ID_DOMINIO_ERRATO",
    "PAA_ID_INTERMEDIARIO_ERRATO",
    "PAA_STAZIONE_INT_ERRATA",
    "PAA_SEMANTICA",
    "PAA_SYSTEM_ERROR",
];
/// Those of verify and activate besides.
const POSITION: &[&str] = &[
    "PAA_PAGAMENTO_SCONOSCIUTO",
    "PAA_PAGAMENTO_DUPLICATO",
    "PAA_PAGAMENTO_IN_CORSO",
    "PAA_PAGAMENTO_SCADUTO",
    "PAA_PAGAMENTO_ANNULLATO",
];
/// Those of the receipt besides. "Unknown" is not in the catalogue, but pagoPA's own creditor software answers it.
const RECEIPT: &[&str] = &["PAA_RECEIPT_DUPLICATA", "PAA_PAGAMENTO_SCONOSCIUTO"];

/// Those of a demand besides, on top of [`POSITION`].
const DEMAND: &[&str] = &["PAA_SINTASSI_XSD"];

/// The rule about postal accounts: noted, because the Node itself does not check it.
pub(super) const POSTAL: &str = "postal";

/// What a call was about, as far as its answer is judged by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) notice: &'a str,
    /// `POSTAL` or `PAGOPA` of an activation.
    pub(super) transfer_type: Option<&'static str>,
    /// What the verification said of postal accounts.
    pub(super) all_ccp: bool,
}

impl<'a> Asked<'a> {
    /// A call about a notice, without wishes.
    pub(super) const fn about(notice: &'a str) -> Self {
        Self { notice, transfer_type: None, all_ccp: false }
    }
}

/// Judges an answer that is valid against the schema. Any breach but that of [`POSTAL`] makes the Node treat it as
/// unreadable.
pub(super) fn judge(
    operation: Operation,
    answer: &Element,
    creditor: &Creditor,
    creditors: &[Creditor],
    asked: &Asked<'_>,
) -> Vec<Breach> {
    let mut out = Vec::new();
    let fault = answer.child("fault");
    if answer.text_at(&["outcome"]) == Some("KO") {
        match fault {
            None => breach(&mut out, "ko-without-fault", &answer.name, "Esito KO senza fault."),
            Some(fault) => fault_code(operation, fault, &mut out),
        }
        return out;
    }
    if fault.is_some() {
        breach(&mut out, "ok-with-fault", &answer.name, "Esito OK insieme a un fault.");
    }
    match operation {
        Operation::Verify => verify(answer, creditor, &mut out),
        Operation::Demand => {
            verify(answer, creditor, &mut out);
            demand(answer, creditor, &mut out);
        }
        Operation::GetPayment | Operation::GetPaymentV2 => match answer.child("data") {
            Some(data) => {
                let path = format!("{}/data", answer.name);
                payment(data, &path, creditors, asked.notice, &mut out);
                postal(data, &path, asked, &mut out);
            }
            None => breach(&mut out, "required-on-ok", &format!("{}/data", answer.name), "Obbligatorio con esito OK."),
        },
        Operation::SendRt | Operation::SendRtV2 => {}
    }
    out
}

fn fault_code(operation: Operation, fault: &Element, out: &mut Vec<Breach>) {
    let code = fault.text_at(&["faultCode"]).unwrap_or_default();
    let own = match operation {
        Operation::SendRt | Operation::SendRtV2 => RECEIPT,
        _ => POSITION,
    };
    let of_demand = operation == Operation::Demand && DEMAND.contains(&code);
    if !COMMON.contains(&code) && !own.contains(&code) && !of_demand {
        breach(out, "fault-code", "fault/faultCode", "Codice non previsto per questa operazione.");
    }
}

fn verify(answer: &Element, creditor: &Creditor, out: &mut Vec<Breach>) {
    for name in ["paymentList", "paymentDescription", "fiscalCodePA", "companyName"] {
        if answer.child(name).is_none() {
            breach(out, "required-on-ok", &format!("{}/{name}", answer.name), "Obbligatorio con esito OK.");
        }
    }
    if answer.text_at(&["paymentList", "paymentOptionDescription", "options"]).is_some_and(|o| o != "EQ") {
        breach(out, "options", &format!("{}/paymentList", answer.name), "Oggi è ammesso solo EQ.");
    }
    if answer.text_at(&["fiscalCodePA"]).is_some_and(|code| code != creditor.fiscal_code) {
        breach(out, "creditor", &format!("{}/fiscalCodePA", answer.name), "Non è l'ente interrogato.");
    }
}

/// The notice that a creditor made on demand.
fn demand(answer: &Element, creditor: &Creditor, out: &mut Vec<Breach>) {
    let path = format!("{}/qrCode", answer.name);
    let Some(qr) = answer.child("qrCode") else {
        return breach(out, "required-on-ok", &path, "Obbligatorio con esito OK.");
    };
    if qr.text_at(&["fiscalCode"]).is_some_and(|code| code != creditor.fiscal_code) {
        breach(out, "creditor", &format!("{path}/fiscalCode"), "Non è l'ente interrogato.");
    }
    if !qr.text_at(&["noticeNumber"]).is_some_and(is_issued_today) {
        let words = "Un avviso nuovo comincia con 3 e ha le cifre di controllo giuste.";
        breach(out, "notice-number", &format!("{path}/noticeNumber"), words);
    }
}

/// Aux digit 3, and check digits that are the remainder of the rest by 93 (SACI 3.1.0, notice number structure).
fn is_issued_today(number: &str) -> bool {
    let parts = number.split_at_checked(16).filter(|_| number.len() == 18 && number.starts_with('3'));
    let parsed = parts.and_then(|(base, check)| Some((base.parse::<u64>().ok()?, check.parse::<u64>().ok()?)));
    parsed.is_some_and(|(base, check)| base % 93 == check)
}

/// What an activation has to do for a payment at the post office, or by a PSP that may pass it on (SANP 3.12.0, best
/// practice): with `POSTAL` the first transfer names a postal account, with `PAGOPA` each one, itself or in support.
fn postal(data: &Element, path: &str, asked: &Asked<'_>, out: &mut Vec<Breach>) {
    if !asked.all_ccp {
        return;
    }
    let transfers = data.child("transferList").into_iter().flat_map(|list| list.all("transfer"));
    for (i, transfer) in transfers.enumerate() {
        let own = transfer.text_at(&["IBAN"]).is_some_and(is_postal);
        let entries = transfer.child("metadata").into_iter().flat_map(|data| data.all("mapEntry"));
        let supports = |entry: &Element| {
            entry.text_at(&["key"]) == Some("IBANAPPOGGIO") && entry.text_at(&["value"]).is_some_and(is_postal)
        };
        let kept = match asked.transfer_type {
            Some("POSTAL") => own || i > 0,
            Some("PAGOPA") => own || entries.into_iter().any(supports),
            _ => true,
        };
        if !kept {
            let words = "La verifica ha detto allCCP, ma qui manca il conto postale (IBAN, o IBANAPPOGGIO con PAGOPA).";
            breach(out, POSTAL, &format!("{path}/transferList/transfer[{}]", i + 1), words);
        }
    }
}

/// A valid Italian IBAN of the post office: ABI 07601.
fn is_postal(iban: &str) -> bool {
    is_iban(iban) && iban.starts_with("IT") && iban.get(5..10) == Some("07601")
}

fn payment(data: &Element, path: &str, creditors: &[Creditor], notice: &str, out: &mut Vec<Breach>) {
    // The reference of an aux digit 3 notice is its last 17 digits (SACI, notice number structure).
    if notice.starts_with('3') && data.text_at(&["creditorReferenceId"]) != notice.get(1..) {
        breach(out, "reference", &format!("{path}/creditorReferenceId"), "Non è lo IUV dell'avviso.");
    }
    let total = data.text_at(&["paymentAmount"]).and_then(amount);
    let mut sum = Some(0_i64);
    let mut ids = Vec::new();
    let transfers = data.child("transferList").into_iter().flat_map(|list| list.all("transfer"));
    for (i, transfer) in transfers.enumerate() {
        let path = format!("{path}/transferList/transfer[{}]", i + 1);
        let part = transfer.text_at(&["transferAmount"]).and_then(amount);
        sum = sum.zip(part).and_then(|(a, b)| a.checked_add(b));
        let id = transfer.text_at(&["idTransfer"]).unwrap_or_default().trim().to_owned();
        if ids.contains(&id) {
            breach(out, "transfer-id", &format!("{path}/idTransfer"), "Ripetuto.");
        }
        ids.push(id);
        let owner = transfer.text_at(&["fiscalCodePA"]).unwrap_or_default();
        let owner = creditors.iter().find(|c| c.fiscal_code == owner);
        if owner.is_none() {
            breach(out, "transfer-creditor", &format!("{path}/fiscalCodePA"), "Ente sconosciuto o non abilitato.");
        }
        match transfer.text_at(&["IBAN"]) {
            Some(iban) if !is_iban(iban) => breach(out, "iban", &format!("{path}/IBAN"), "IBAN non valido."),
            Some(iban) if owner.is_some_and(|c| !c.ibans.iter().any(|i| i == iban)) => {
                breach(out, "iban-not-registered", &format!("{path}/IBAN"), "IBAN non censito per questo ente.");
            }
            Some(_) => {}
            None => breach(out, "stamp", &path, "Marca da bollo: il simulatore non la paga."),
        }
        if !is_category(transfer.text_at(&["transferCategory"]).unwrap_or_default()) {
            let words = "Non è nella forma della tassonomia (9/0107101TS/).";
            breach(out, "taxonomy", &format!("{path}/transferCategory"), words);
        }
    }
    if total.is_none() || total != sum {
        breach(out, "sum", &format!("{path}/paymentAmount"), "Diverso dalla somma dei trasferimenti.");
    }
}

/// The amount of an element already known to be one.
pub(super) fn amount(text: &str) -> Option<i64> {
    cents(text.trim())
}

/// `[6-9]/` + 7 digits + 2 letters + `/` + optional text (SANP, taxonomy of collection services).
fn is_category(text: &str) -> bool {
    let b = text.as_bytes();
    matches!(b, [b'6'..=b'9', b'/', code @ ..] if code.len() >= 10
        && code.iter().take(7).all(u8::is_ascii_digit)
        && code.iter().skip(7).take(2).all(u8::is_ascii_uppercase)
        && code.get(9) == Some(&b'/'))
}
