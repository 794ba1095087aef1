//! The facts of payment notices for `notice.typ`, with their codes drawn.

use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::notice::{PostalBill, QrText, data_matrix};
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::codes;
use crate::facts::{Facts, languages, metadata_date, official};
use crate::ink::in_latin;
use crate::model::{Notice, Part, Postal};
use crate::render::RenderError;

/// The longest subject (guide 3.3).
const SUBJECT: usize = 90;

/// The day of this layout. A notice bears no day of its own, and one printed twice is the same file.
const LAYOUT: Date = date(2026, 11, 1);

/// `{ "notices": [...] }`; see the head of `notice.typ`.
pub(crate) fn data(facts: &mut Facts, notices: &[Notice]) -> Result<Value, RenderError> {
    let Some(first) = notices.first() else {
        return Err(RenderError::Field { field: "notices", why: "there is none" });
    };
    let (language, _) = languages(first.wording);
    let each = notices.iter().map(|notice| one(facts, notice)).collect::<Result<Vec<Value>, _>>()?;
    Ok(json!({ "lang": language.tag(), "date": metadata_date(LAYOUT), "notices": each }))
}

fn one(facts: &mut Facts, notice: &Notice) -> Result<Value, RenderError> {
    match (&notice.whole, notice.parts.as_slice()) {
        (None, []) => return Err(RenderError::Field { field: "parts", why: "there is nothing to pay" }),
        (_, [_]) => return Err(RenderError::Field { field: "parts", why: "instalments are two and more" }),
        _ => {}
    }
    let (language, second) = languages(notice.wording);
    let whole = notice.whole.as_ref().map(|whole| part(facts, notice, whole, None)).transpose()?;
    let parts = (1..).zip(&notice.parts);
    let parts = parts
        .map(|(number, instalment)| part(facts, notice, instalment, Some(instalment.instalment.unwrap_or(number))));
    let parts = parts.collect::<Result<Vec<Value>, _>>()?;
    let postal = notice.issuer.postal.as_ref().map(|postal| {
        json!({
            "account": postal.account.as_str(),
            "holder": facts.line(&postal.holder, 50),
            "authorisation": facts.optional(postal.authorisation.as_ref(), 50),
        })
    });
    Ok(json!({
        "lang": language.tag(),
        "second": second.map(|second| second.tag()),
        "issuer": facts.issuer(&notice.issuer, true)?,
        "postal": postal,
        "debtor": notice.debtor.as_ref().map(|debtor| facts.person(debtor)),
        "subject": facts.required("subject", &notice.subject, SUBJECT)?,
        "whole": whole,
        "parts": parts,
    }))
}

fn part(facts: &Facts, notice: &Notice, part: &Part, instalment: Option<u32>) -> Result<Value, RenderError> {
    let qr = QrText::new(part.number, notice.issuer.code, part.amount).to_string();
    let postal = notice.issuer.postal.as_ref();
    let matrix = postal.map(|postal| postal_code(facts, notice, part, postal)).transpose()?;
    Ok(json!({
        "instalment": instalment,
        "number": part.number.grouped(),
        "amount": official(part.amount.as_cents()),
        // The guide's form, in every language.
        "due": part.due.map(|due| format!("{:02}/{:02}/{:04}", due.day(), due.month(), due.year())),
        "qr": codes::notice_qr(&qr).ok_or(RenderError::Field { field: "amount", why: "does not fit the QR code" })?,
        "matrix": matrix.as_ref().map(|(drawing, _)| drawing),
        "modules": matrix.as_ref().map(|(_, modules)| modules),
    }))
}

fn postal_code(facts: &Facts, notice: &Notice, part: &Part, postal: &Postal) -> Result<(String, usize), RenderError> {
    let debtor = notice.debtor.as_ref();
    let code = debtor.and_then(|debtor| PersonalCode::parse(debtor.code.as_deref()?).ok());
    let name = debtor.map(|debtor| in_latin(&facts.plain(&debtor.name))).unwrap_or_default();
    let bill = PostalBill {
        notice: &part.number,
        account: &postal.account,
        amount: part.amount,
        creditor: &notice.issuer.code,
        debtor_code: code.as_ref(),
        debtor_name: &name,
        subject: &in_latin(&facts.plain(&notice.subject)),
    };
    let text = data_matrix(&bill)
        .map_err(|_| RenderError::Field { field: "amount", why: "a postal bill carries at most 99999999.99 euro" })?;
    codes::matrix(&text).ok_or(RenderError::Field { field: "postal", why: "does not fit the Data Matrix" })
}
