//! What the Node asks: the envelope is opened, the operation found by the qualified name of the body's only child,
//! and its content read into wire types.

use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

use super::guard::{MAX_NODES, Malformed, guard};
use super::read::{Flaw, Manner, Sequence, flaw, identifier, text};
use super::receipt::{self, Receipt};
use super::wire::{Digits11, NoticeNumber18, WireDate, parse_amount, parse_base64, trim};
use super::{NAMESPACE, Operation, Problem, SOAP, Version};

/// Who is spoken to: creditor, technology partner and station. `idPA` is any text of up to 35 characters: one that is
/// not ours is for the caller to refuse (`PAA_ID_DOMINIO_ERRATO`), not a breach of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The creditor's fiscal code (`idPA`).
    pub id_pa: String,
    /// The technology partner's fiscal code (`idBrokerPA`).
    pub id_broker_pa: String,
    /// The station (`idStation`).
    pub id_station: String,
}

/// A notice, as the payer's QR code names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The creditor that issued the notice.
    pub fiscal_code: Digits11,
    /// The notice number; eighteen zeros is the stand-in probe.
    pub notice_number: NoticeNumber18,
}

/// `paVerifyPaymentNotice`: what does this notice cost now?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// Who is asked.
    pub addressee: Addressee,
    /// About which notice.
    pub qr_code: QrCode,
}

/// Which kind of accounts the payment may go to (`stTransferType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferType {
    /// Postal accounts where there are any.
    Postal,
    /// Bank accounts, with a postal one in support.
    PagoPa,
}

/// `paGetPayment` and `paGetPaymentV2`: somebody is about to pay.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivateRequest {
    /// Which of the two operations.
    pub version: Version,
    /// Who is asked.
    pub addressee: Addressee,
    /// About which notice.
    pub qr_code: QrCode,
    /// The amount the PSP knows, in cents; may be zero.
    pub amount_cents: Option<i64>,
    /// A Checkout cart's id, when the payment started from one of ours.
    pub payment_note: Option<String>,
    /// Which accounts are wanted; absent means any.
    pub transfer_type: Option<TransferType>,
    /// The due date the PSP knows.
    pub due_date: Option<WireDate>,
}

/// `paSendRT` and `paSendRTV2`: somebody has paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// Which of the two operations.
    pub version: Version,
    /// Who is told; `id_pa` differs from the receipt's `fiscal_code` when another creditor issued the notice.
    pub addressee: Addressee,
    /// The receipt.
    pub receipt: Box<Receipt>,
}

/// `paDemandPaymentNotice`: somebody at a PSP wants to pay without having a notice.
#[derive(Clone, PartialEq, Eq)]
pub struct DemandRequest {
    /// Who is asked.
    pub addressee: Addressee,
    /// The service in the catalogue, 5 characters.
    pub service_id: String,
    /// The subject that offers it, 5 characters.
    pub subject_id: String,
    /// The service's own XML, decoded from base64 and not looked at.
    pub service_data: Vec<u8>,
}

/// A decoded call of the Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `paVerifyPaymentNotice`.
    Verify(VerifyRequest),
    /// `paGetPayment` or `paGetPaymentV2`.
    Activate(ActivateRequest),
    /// `paSendRT` or `paSendRTV2`.
    Receipt(ReceiptRequest),
    /// `paDemandPaymentNotice`.
    Demand(DemandRequest),
}

/// Why a call is not decoded, with as much as is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not a SOAP message; the operation can at best be guessed from the `SOAPAction`.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The body's child is no operation of the contract.
    #[error("unknown operation")]
    UnknownOperation,
    /// The `SOAPAction` names another operation than the body.
    #[error("SOAPAction differs from the body ({operation})")]
    ActionMismatch {
        /// The operation in the body.
        operation: Operation,
    },
    /// The operation is known and its content breaks the schema: `PAA_SINTASSI_EXTRAXSD`.
    #[error("{operation}: {what}")]
    Syntax {
        /// The operation in the body.
        operation: Operation,
        /// The addressed creditor, where `idPA` reads as 11 digits: a broken receipt is kept under it.
        id_pa: Option<Digits11>,
        /// The offending element.
        what: Flaw,
    },
}

impl Refusal {
    /// The operation the answer must be for, where the body told it. For [`Refusal::Malformed`] see
    /// [`Operation::from_soap_action`].
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Malformed(_) | Self::UnknownOperation => None,
            Self::ActionMismatch { operation } | Self::Syntax { operation, .. } => Some(*operation),
        }
    }
}

impl Request {
    /// The operation, as the answer needs it.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Verify(_) => Operation::VerifyPaymentNotice,
            Self::Activate(r) => Operation::GetPayment(r.version),
            Self::Receipt(r) => Operation::SendRt(r.version),
            Self::Demand(_) => Operation::DemandPaymentNotice,
        }
    }

    /// Who is spoken to.
    #[must_use]
    pub fn addressee(&self) -> &Addressee {
        match self {
            Self::Verify(r) => &r.addressee,
            Self::Activate(r) => &r.addressee,
            Self::Receipt(r) => &r.addressee,
            Self::Demand(r) => &r.addressee,
        }
    }
}

/// Decodes one HTTP body, given the `SOAPAction` header where there was one (empty counts as none).
///
/// # Errors
/// A [`Refusal`] that says how far reading got.
pub fn decode(body: &[u8], soap_action: Option<&str>) -> Result<Request, Refusal> {
    let text = guard(body)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => Malformed::Doctype,
        roxmltree::Error::NodesLimitReached => Malformed::TooManyNodes,
        _ => Malformed::NotXml,
    })?;
    let wrapper = open_envelope(document.root_element())?;
    let name = wrapper.tag_name();
    let operation = (name.namespace() == Some(NAMESPACE))
        .then(|| Operation::ALL.into_iter().find(|o| o.request_element() == name.name()))
        .flatten()
        .ok_or(Refusal::UnknownOperation)?;
    let action = soap_action.map(super::bare_action).filter(|action| !action.is_empty());
    if action.is_some_and(|action| action != operation.name()) {
        return Err(Refusal::ActionMismatch { operation });
    }
    let request = match operation {
        Operation::VerifyPaymentNotice => verify(wrapper).map(Request::Verify),
        Operation::GetPayment(version) => activate(wrapper, version).map(Request::Activate),
        Operation::SendRt(version) => send_rt(wrapper, version).map(Request::Receipt),
        Operation::DemandPaymentNotice => demand(wrapper).map(Request::Demand),
    };
    request.map_err(|what| Refusal::Syntax { operation, id_pa: addressed_creditor(wrapper), what })
}

/// The only element in the SOAP 1.1 body. Header entries are ignored unless they must be understood.
fn open_envelope<'a, 'input>(root: Node<'a, 'input>) -> Result<Node<'a, 'input>, Malformed> {
    let soap = |node: Node<'_, '_>, name| node.has_tag_name((SOAP, name));
    if !soap(root, "Envelope") || has_text(root) {
        return Err(Malformed::NotSoap);
    }
    let mut parts = root.children().filter(Node::is_element).peekable();
    if let Some(header) = parts.next_if(|part| soap(*part, "Header")) {
        let must = |entry: Node<'_, '_>| {
            entry.attribute((SOAP, "mustUnderstand")).is_some_and(|value| !matches!(trim(value), "0" | "false"))
        };
        if header.children().filter(Node::is_element).any(must) {
            return Err(Malformed::MustUnderstand);
        }
    }
    let body = parts.next().filter(|part| soap(*part, "Body")).ok_or(Malformed::NotSoap)?;
    if parts.next().is_some() {
        return Err(Malformed::NotSoap);
    }
    let mut operations = body.children().filter(Node::is_element);
    match (operations.next(), operations.next()) {
        (Some(operation), None) if !has_text(body) => Ok(operation),
        _ => Err(Malformed::NotOneOperation),
    }
}

fn has_text(node: Node<'_, '_>) -> bool {
    node.children().any(|child| child.is_text() && !trim(child.text().unwrap_or_default()).is_empty())
}

/// `idPA` of a message that otherwise breaks the schema; only an unambiguous one.
fn addressed_creditor(wrapper: Node<'_, '_>) -> Option<Digits11> {
    let mut found = wrapper.children().filter(|child| child.has_tag_name("idPA"));
    match (found.next(), found.next()) {
        (Some(node), None) => Digits11::new(trim(node.text().unwrap_or_default())),
        _ => None,
    }
}

fn addressee(sequence: &mut Sequence<'_, '_>) -> Result<Addressee, Flaw> {
    Ok(Addressee {
        id_pa: sequence.value("idPA", identifier(35))?,
        id_broker_pa: sequence.value("idBrokerPA", identifier(35))?,
        id_station: sequence.value("idStation", identifier(35))?,
    })
}

fn qr_code(sequence: &mut Sequence<'_, '_>) -> Result<QrCode, Flaw> {
    let node = sequence.need("qrCode")?;
    let mut inner = Sequence::open(node, "qrCode", &["fiscalCode", "noticeNumber"], sequence.manner)?;
    let fiscal_code = inner.value("fiscalCode", |t| Digits11::new(trim(t)))?;
    let notice_number = inner.value("noticeNumber", |t| NoticeNumber18::new(trim(t)))?;
    inner.close()?;
    Ok(QrCode { fiscal_code, notice_number })
}

fn verify(wrapper: Node<'_, '_>) -> Result<VerifyRequest, Flaw> {
    let known = ["idPA", "idBrokerPA", "idStation", "qrCode"];
    let element = Operation::VerifyPaymentNotice.request_element();
    let mut sequence = Sequence::open(wrapper, element, &known, Manner::Strict)?;
    let request = VerifyRequest { addressee: addressee(&mut sequence)?, qr_code: qr_code(&mut sequence)? };
    sequence.close()?;
    Ok(request)
}

fn activate(wrapper: Node<'_, '_>, version: Version) -> Result<ActivateRequest, Flaw> {
    let known = ["idPA", "idBrokerPA", "idStation", "qrCode", "amount", "paymentNote", "transferType", "dueDate"];
    let element = Operation::GetPayment(version).request_element();
    let mut sequence = Sequence::open(wrapper, element, &known, Manner::Strict)?;
    let request = ActivateRequest {
        version,
        addressee: addressee(&mut sequence)?,
        qr_code: qr_code(&mut sequence)?,
        amount_cents: sequence.optional("amount", parse_amount)?,
        payment_note: sequence.optional("paymentNote", identifier(210))?,
        transfer_type: sequence.optional("transferType", |t| match trim(t) {
            "POSTAL" => Some(TransferType::Postal),
            "PAGOPA" => Some(TransferType::PagoPa),
            _ => None,
        })?,
        due_date: sequence.optional("dueDate", WireDate::parse)?,
    };
    sequence.close()?;
    Ok(request)
}

fn send_rt(wrapper: Node<'_, '_>, version: Version) -> Result<ReceiptRequest, Flaw> {
    let known = ["idPA", "idBrokerPA", "idStation", "receipt"];
    let element = Operation::SendRt(version).request_element();
    let mut sequence = Sequence::open(wrapper, element, &known, Manner::Tolerant)?;
    let addressee = addressee(&mut sequence)?;
    let receipt = Box::new(receipt::read(sequence.need("receipt")?, version)?);
    sequence.close()?;
    Ok(ReceiptRequest { version, addressee, receipt })
}

fn demand(wrapper: Node<'_, '_>) -> Result<DemandRequest, Flaw> {
    let data = "datiSpecificiServizioRequest";
    let known = ["idPA", "idBrokerPA", "idStation", "idServizio", "idSoggettoServizio", data];
    let element = Operation::DemandPaymentNotice.request_element();
    let mut sequence = Sequence::open(wrapper, element, &known, Manner::Strict)?;
    let five = |value: &str| text(5)(trim(value)).filter(|v| v.chars().count() == 5);
    let request = DemandRequest {
        addressee: addressee(&mut sequence)?,
        service_id: sequence.value("idServizio", five)?,
        subject_id: sequence.value("idSoggettoServizio", five)?,
        service_data: sequence.value(data, parse_base64)?,
    };
    sequence.close()?;
    if request.service_data.is_empty() {
        return Err(flaw(data, Problem::BadValue));
    }
    Ok(request)
}

impl fmt::Debug for ActivateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivateRequest")
            .field("version", &self.version)
            .field("addressee", &self.addressee)
            .field("qr_code", &self.qr_code)
            .field("amount_cents", &self.amount_cents)
            .field("transfer_type", &self.transfer_type)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DemandRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The service's data names a child.
        f.debug_struct("DemandRequest")
            .field("addressee", &self.addressee)
            .field("service_id", &self.service_id)
            .field("subject_id", &self.subject_id)
            .field("service_data_bytes", &self.service_data.len())
            .finish()
    }
}
