//! The requests of the Node as documents: verify, activate, receipt, demand. Order and names are those of paForNode.xsd.

use data_encoding::BASE64;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil};

use super::Creditor;
use super::schema::{Operation, PA, euro};
use super::state::Payment;
use super::xml::Element;

fn request(operation: Operation, creditor: &Creditor, rest: Vec<Element>) -> Element {
    let mut children = vec![
        Element::leaf("idPA", &creditor.fiscal_code),
        Element::leaf("idBrokerPA", &creditor.broker),
        Element::leaf("idStation", &creditor.station),
    ];
    children.extend(rest);
    Element { ns: Some(PA.to_owned()), ..Element::node(operation.request(), children) }
}

fn qr_code(creditor: &Creditor, notice: &str) -> Element {
    let children = vec![Element::leaf("fiscalCode", &creditor.fiscal_code), Element::leaf("noticeNumber", notice)];
    Element::node("qrCode", children)
}

/// paVerifyPaymentNotice.
pub(super) fn verify(creditor: &Creditor, notice: &str) -> Element {
    request(Operation::Verify, creditor, vec![qr_code(creditor, notice)])
}

/// paDemandPaymentNotice: which service, of which provider, and its own data in base64.
pub(super) fn demand(creditor: &Creditor, service: &str, subject: &str, data: &str) -> Element {
    let rest = vec![
        Element::leaf("idServizio", service),
        Element::leaf("idSoggettoServizio", subject),
        Element::leaf("datiSpecificiServizioRequest", BASE64.encode(data.as_bytes())),
    ];
    request(Operation::Demand, creditor, rest)
}

/// What an activation tells the creditor besides the notice.
#[derive(Clone, Debug, Default)]
pub(super) struct Activation {
    /// Amount known to the PSP, euro cents.
    pub(super) amount: Option<i64>,
    /// `idCart` of Checkout.
    pub(super) note: Option<String>,
    /// `POSTAL` or `PAGOPA`.
    pub(super) transfer_type: Option<&'static str>,
}

/// paGetPayment or paGetPaymentV2.
pub(super) fn activate(operation: Operation, creditor: &Creditor, notice: &str, activation: &Activation) -> Element {
    let mut rest = vec![qr_code(creditor, notice)];
    rest.extend(activation.amount.map(|a| Element::leaf("amount", euro(a))));
    rest.extend(activation.note.as_ref().map(|n| Element::leaf("paymentNote", n)));
    rest.extend(activation.transfer_type.map(|t| Element::leaf("transferType", t)));
    request(operation, creditor, rest)
}

/// paSendRT or paSendRTV2 to one of the creditors of a payment. Debtor, transfers and metadata are the activation's
/// own, repeated. The first notice of a cart carries the fee, the others none.
pub(super) fn receipt(to: &Creditor, v1: bool, payment: &Payment) -> (Operation, Element) {
    let operation = if v1 { Operation::SendRt } else { Operation::SendRtV2 };
    let data = &payment.data;
    let own = |name: &str| data.child(name).cloned();
    let text = |name: &str| data.text_at(&[name]).unwrap_or_default().to_owned();
    let psp = payment.psp;
    let paid = local(payment.paid_at.unwrap_or(payment.at));

    let mut r = vec![
        Element::leaf("receiptId", &payment.token),
        Element::leaf("noticeNumber", &payment.notice),
        Element::leaf("fiscalCode", &payment.creditor),
        Element::leaf("outcome", "OK"),
        Element::leaf("creditorReferenceId", text("creditorReferenceId")),
        Element::leaf("paymentAmount", euro(payment.amount)),
        Element::leaf("description", text("description")),
        own("companyName").unwrap_or_else(|| Element::leaf("companyName", &payment.company)),
    ];
    r.extend(own("officeName"));
    r.extend(own("debtor"));
    r.extend(own("transferList").map(|list| if v1 { without_company(list) } else { list }));
    r.push(Element::leaf("idPSP", psp.id));
    r.push(Element::leaf("pspFiscalCode", psp.fiscal_code));
    r.push(Element::leaf("PSPCompanyName", psp.name));
    r.push(Element::leaf("idChannel", psp.channel));
    r.push(Element::leaf("channelDescription", psp.method.channel()));
    r.push(Element::leaf("paymentMethod", psp.method.code()));
    if !v1 {
        r.extend(payment.note.as_ref().map(|n| Element::leaf("paymentNote", n)));
    }
    r.push(Element::leaf("fee", euro(payment.fee)));
    r.push(Element::leaf("paymentDateTime", paid.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()));
    r.push(Element::leaf("applicationDate", paid.date().to_string()));
    let transfer = paid.date().checked_add(1.day()).unwrap_or(paid.date());
    r.push(Element::leaf("transferDate", transfer.to_string()));
    r.extend(own("metadata"));
    r.push(Element::leaf("standIn", if payment.stand_in { "true" } else { "false" }));
    (operation, request(operation, to, vec![Element::node("receipt", r)]))
}

/// Version 1 of the receipt knows no company per transfer.
fn without_company(mut list: Element) -> Element {
    for transfer in &mut list.children {
        transfer.children.retain(|c| c.name != "companyName");
    }
    list
}

/// Date and hour in Italy: the Node writes them without a zone.
pub(super) fn local(at: Timestamp) -> civil::DateTime {
    let zone = TimeZone::get("Europe/Rome").unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).datetime()
}
