//! The facts of a receipt for `receipt.typ`.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::facts::{Facts, TEXT, as_written, grouped, instant, metadata_date_of};
use crate::model::{Payer, Receipt, Settled, Transfer};
use crate::render::{PROOF, RenderError};

/// The largest proof: in base64 it has to fit a string of PDF/A, 32,767 bytes (ISO 19005-2, 6.1.13).
const LARGEST_PROOF: usize = 24_000;

/// See the head of `receipt.typ`.
pub(crate) fn data(facts: &mut Facts, receipt: &Receipt) -> Result<Value, RenderError> {
    let language = receipt.language;
    let written = |text: Option<&String>| text.map(|text| facts.plain(&as_written(text, language)));
    let [paid_at, applied_on, transferred_on] =
        [&receipt.paid_at, &receipt.applied_on, &receipt.transferred_on].map(|text| written(text.as_ref()));
    let (notice_issuer, notice_issuer_name) = &receipt.notice_issuer;
    let (psp, psp_id, psp_code) = &receipt.psp;
    let (payer, named) = match &receipt.payer {
        Payer::Named(person) => ("named", Some(facts.person(person))),
        Payer::Withheld => ("withheld", None),
        Payer::Unknown => ("unknown", None),
    };
    let with_fee = receipt.fee.map(|fee| receipt.total.plus(fee)).transpose();
    let with_fee = with_fee.map_err(|_| RenderError::Field { field: "fee", why: "the sum is too large" })?;
    let transfer = |Transfer { payee: (code, name), amount, iban, reason, taxonomy }: &Transfer| {
        json!({
            "payee": { "code": facts.code(code), "name": facts.optional(name.as_ref(), TEXT) },
            "amount": amount.text(language),
            "iban": iban.as_ref().map(|iban| grouped(&facts.plain(iban), 4)),
            "reason": facts.line(reason, TEXT),
            "taxonomy": facts.line(taxonomy, TEXT),
        })
    };
    let settled = |settled: &Settled| {
        json!({
            "child": facts.optional(settled.child.as_ref(), TEXT),
            "service": facts.optional(settled.service.as_ref(), TEXT),
            "bill": settled.bill.as_ref().map(|(number, period)| {
                json!({ "number": facts.line(number, TEXT), "period": facts.line(period, TEXT) })
            }),
            "amount": settled.amount.text(language),
        })
    };
    let receipt_id = facts.code(&receipt.receipt_id);
    if receipt_id.is_empty() {
        return Err(RenderError::Field { field: "receipt_id", why: "is empty" });
    }
    let (proof, keywords) = proof(facts, receipt)?;
    let mut data = json!({
        "lang": language.tag(),
        "date": metadata_date_of(receipt.received_at),
        "keywords": keywords,
        "receipt_id": receipt_id,
        "notice_number": grouped(&facts.plain(&receipt.notice_number), 4),
        "iuv": facts.code(&receipt.iuv),
        "notice_issuer": { "code": facts.code(notice_issuer), "name": facts.line(notice_issuer_name, TEXT) },
        "description": facts.line(&receipt.description, TEXT),
        "paid_at": paid_at,
        "applied_on": applied_on,
        "transferred_on": transferred_on,
        "received_at": instant(receipt.received_at, language),
        "total": receipt.total.text(language),
        "fee": receipt.fee.map(|fee| fee.text(language)),
        "with_fee": with_fee.map(|all| all.text(language)),
        "method": facts.optional(receipt.method.as_ref(), TEXT),
        "psp": {
            "name": facts.line(psp, TEXT),
            "id": facts.code(psp_id),
            "code": facts.optional(psp_code.as_ref(), TEXT),
        },
        "channel": facts.code(&receipt.channel),
        "debtor": receipt.debtor.as_ref().map(|debtor| facts.person(debtor)),
        "payer": { "known": payer, "person": named },
        "transfers": receipt.transfers.iter().map(transfer).collect::<Vec<_>>(),
        "settled": receipt.settled.iter().map(settled).collect::<Vec<_>>(),
        "proof": proof,
    });
    let issuer = facts.issuer(&receipt.issuer, false)?;
    if let Some(data) = data.as_object_mut() {
        data.insert("issuer".to_owned(), issuer);
    }
    Ok(data)
}

/// What is printed of the proof, and the keyword that carries it.
fn proof(facts: &Facts, receipt: &Receipt) -> Result<(Option<Value>, Vec<String>), RenderError> {
    let Some(proof) = &receipt.proof else {
        return Ok((None, Vec::new()));
    };
    if proof.file.len() > LARGEST_PROOF {
        return Err(RenderError::Field { field: "proof", why: "is larger than 24,000 bytes" });
    }
    let printed = json!({
        "entry": facts.plain(&proof.entry),
        "seal": proof.seal.to_string(),
        "hash": facts.plain(&proof.hash),
    });
    Ok((Some(printed), vec![format!("{PROOF}{}", BASE64.encode(&proof.file))]))
}
