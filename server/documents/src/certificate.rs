//! The facts of a fiscal certificate for `certificate.typ`.

use borsellino_domain::money::Cents;
use serde_json::{Value, json};

use crate::codes;
use crate::facts::{Facts, TEXT, day, grouped, metadata_date, sum};
use crate::model::{Certificate, CertifiedLine, CertifiedPayment};
use crate::render::RenderError;

/// See the head of `certificate.typ`.
pub(crate) fn data(facts: &mut Facts, certificate: &Certificate) -> Result<Value, RenderError> {
    let language = certificate.language;
    let lines = &certificate.lines;
    if lines.iter().any(|line| line.paid.minus(line.refunded) != Ok(line.net)) {
        return Err(RenderError::Field {
            field: "lines",
            why: "what is left is not what was paid less what was refunded",
        });
    }
    let paid = sum("lines", lines.iter().map(|line| line.paid))?;
    let refunded = sum("lines", lines.iter().map(|line| line.refunded))?;
    let net = sum("lines", lines.iter().map(|line| line.net))?;
    let listed = sum("payments", certificate.payments.iter().map(|payment| payment.amount))?;
    let line = |line: &CertifiedLine| {
        json!({
            "kind": line.kind.code(),
            "service": facts.line(&line.service, TEXT),
            "paid": line.paid.text(language),
            "refunded": line.refunded.text(language),
            "net": line.net.text(language),
        })
    };
    let payment = |payment: &CertifiedPayment| {
        json!({
            "day": day(payment.day, language),
            "service": facts.line(&payment.service, TEXT),
            "iuv": facts.code(&payment.iuv),
            "method": facts.optional(payment.method.as_ref(), TEXT),
            "amount": payment.amount.text(language),
        })
    };
    let some = |cents: Cents| (cents != Cents::ZERO).then(|| cents.text(language));
    let code = facts.plain(&certificate.code);
    let verify_at = facts.plain(&certificate.verify_at);
    let address = format!("{verify_at}#{}", code.replace(' ', ""));
    let qr = codes::address_qr(&address).ok_or(RenderError::Field { field: "verify_at", why: "is too long" })?;
    let mut data = json!({
        "lang": language.tag(),
        "date": metadata_date(certificate.issued),
        "year": certificate.year,
        "payer": facts.person(&certificate.payer),
        "child": facts.person(&certificate.child),
        "school": facts.optional(certificate.school.as_ref(), TEXT),
        "lines": lines.iter().map(line).collect::<Vec<_>>(),
        "paid": paid.text(language),
        "refunded": refunded.text(language),
        "net": net.text(language),
        "payments": certificate.payments.iter().map(payment).collect::<Vec<_>>(),
        "listed": listed.text(language),
        "untraceable": some(certificate.untraceable),
        "refunded_of_earlier_years": some(certificate.refunded_of_earlier_years),
        "refunded_since": some(certificate.refunded_since),
        "issued": day(certificate.issued, language),
        "until": (certificate.issued.year() == certificate.year).then(|| day(certificate.issued, language)),
        "code": grouped(&code, 4),
        // Typed and copied as it is: no invisible place to break in it; a line ends at one of its slashes.
        "verify_at": verify_at,
        "qr": qr,
    });
    let issuer = facts.issuer(&certificate.issuer, false)?;
    if let Some(data) = data.as_object_mut() {
        data.insert("issuer".to_owned(), issuer);
    }
    Ok(data)
}
