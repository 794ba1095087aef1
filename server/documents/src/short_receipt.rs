//! The facts of a receipt that names nobody, for `short-receipt.typ`: of a notice, or of money taken at the counter.

use serde_json::{Value, json};

use crate::facts::{Facts, TEXT, day, metadata_date_of};
use crate::model::{ShortPayment, ShortReceipt};
use crate::render::RenderError;

/// See the head of `short-receipt.typ`.
pub(crate) fn data(facts: &mut Facts, receipt: &ShortReceipt) -> Result<Value, RenderError> {
    let language = receipt.language;
    if receipt.payments.is_empty() {
        return Err(RenderError::Field { field: "payments", why: "is empty" });
    }
    let payment = |ShortPayment { amount, paid_on, psp }: &ShortPayment| {
        json!({
            "amount": amount.text(language),
            "paid_on": paid_on.map(|at| day(at, language)),
            "psp": facts.line(psp, TEXT),
        })
    };
    let mut data = json!({
        "lang": language.tag(),
        "date": metadata_date_of(receipt.received_at),
        "iuv": facts.code(&receipt.iuv),
        "counter": receipt.at_counter.as_deref().map(|reason| facts.line(reason, TEXT)),
        "payments": receipt.payments.iter().map(payment).collect::<Vec<_>>(),
    });
    let issuer = facts.issuer(&receipt.issuer, false)?;
    if let Some(data) = data.as_object_mut() {
        data.insert("issuer".to_owned(), issuer);
    }
    Ok(data)
}
