//! The pagoPA Node's listener: decodes a SOAP call, checks to whom it speaks, runs a use case, encodes the answer.
//!
//! Two promises hold here whatever happens behind: every call is answered within [`DEADLINE`], and a fault of ours is
//! never a KO to a receipt, because pagoPA takes a well-formed KO for final and delivers again after a SOAP Fault
//! (ARCHITECTURE.md, rules of money, 5). A bounded queue in front keeps the first promise under load.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::post;
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::iban::Iban;
use borsellino_domain::ledger::Hash;
use borsellino_domain::money::{Amount, Cents};
use borsellino_domain::receipt::ReceiptFacts;
use borsellino_pagopa::node::{
    ActivateRequest, ActivationOk, Addressee, Blame, Code, DemandOk, DemandRequest, Digits11, Fault, FaultCode,
    MAX_BYTES, Malformed, Metadata, NoticeNumber18, Operation, Outcome, OutgoingTransfer, PositiveCents, QrCode,
    Receipt, ReceiptRequest, Refusal, Request, Response, SpontaneousTopUp, Subject, SubjectKind, Text, TransferType,
    Transfers, VerifyOk, VerifyRequest, decode, soap_fault,
};
use borsellino_store::StoreError;
use borsellino_store::rows::CreditorRow;
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use crate::usecases::demand::{self, Demand, DemandRefusal};
use crate::usecases::node::{NotPayable, Payable, look_up};
use crate::usecases::receipts::{Incoming, Received, quarantine, receive};
use crate::usecases::{App, Listing, Stop};

/// Within this every call has an answer. The Node waits 7 s for a question and 15 s for a receipt (SANP 3.12.0, creditor service levels).
pub const DEADLINE: Duration = Duration::from_secs(5);

/// How many calls may be under way at once; more are told at once to come again.
const MAX_UNDER_WAY: usize = 512;

/// How many bytes of a body are read at most, though none of them are kept.
const MAX_DROPPED: usize = 32 << 20;

/// The path the Node calls.
pub const PATH: &str = "/pagopa/node";

#[derive(Clone)]
struct Door {
    app: App,
    places: Arc<Semaphore>,
}

/// The routes of the Node's listener.
pub fn router(app: App) -> Router {
    let door = Door { app, places: Arc::new(Semaphore::new(MAX_UNDER_WAY)) };
    Router::new().route(PATH, post(call)).with_state(door)
}

/// What goes back: an answer in the contract, or a SOAP Fault.
enum Reply {
    Answer(Response),
    /// HTTP status, whose fault, why (for operators).
    Fault(StatusCode, Blame, &'static str),
}

impl IntoResponse for Reply {
    fn into_response(self) -> HttpResponse {
        let (status, xml) = match self {
            Self::Answer(response) => (StatusCode::OK, response.to_xml()),
            Self::Fault(status, blame, why) => (status, soap_fault(blame, why)),
        };
        (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], xml).into_response()
    }
}

async fn call(State(door): State<Door>, request: HttpRequest) -> HttpResponse {
    let (head, body) = request.into_parts();
    let action = soap_action(&head.headers);
    let operation = action.as_deref().and_then(Operation::from_soap_action);
    let answer = async {
        let Ok(_place) = door.places.try_acquire() else { return unavailable(&door.app, operation) };
        handle(&door.app, body, action.as_deref()).await
    };
    let reply = match tokio::time::timeout(DEADLINE, answer).await {
        Ok(reply) => reply,
        Err(_) => {
            tracing::warn!(operation = operation.map(Operation::name), "no answer to the Node within the deadline");
            unavailable(&door.app, operation)
        }
    };
    reply.into_response()
}

fn soap_action(headers: &HeaderMap) -> Option<String> {
    headers.get("soapaction").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// We can't answer now: a receipt gets a Fault, so that it comes again; a question gets a KO.
fn unavailable(app: &App, operation: Option<Operation>) -> Reply {
    match operation {
        Some(operation) if !matches!(operation, Operation::SendRt(_)) => {
            ko(operation, FaultCode::SystemError, &app.directory.listing(), None)
        }
        _ => Reply::Fault(StatusCode::INTERNAL_SERVER_ERROR, Blame::Server, "not available, send it again"),
    }
}

/// A KO signed by the creditor where it is known, else by the broker.
fn ko(operation: Operation, code: FaultCode, listing: &Listing, id_pa: Option<&str>) -> Reply {
    let broker = listing.creditors().first().map(|row| row.broker.as_str().to_owned());
    let id = id_pa.and_then(Digits11::new).or_else(|| broker.as_deref().and_then(Digits11::new));
    match id {
        Some(id) => Reply::Answer(Response::Ko(operation, Fault::new(code, id))),
        // A server without creditors has nobody to sign with.
        None => Reply::Fault(StatusCode::INTERNAL_SERVER_ERROR, Blame::Server, "no creditor is set up"),
    }
}

/// A body of at most [`MAX_BYTES`]; `None` for a longer one, or one that was cut off. What is too much is read and dropped:
/// who is answered and hung up on while still sending never sees the answer.
async fn read(body: Body) -> Option<Vec<u8>> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        seen = seen.saturating_add(chunk.len());
        if seen <= MAX_BYTES {
            kept.extend_from_slice(&chunk);
        } else if seen > MAX_DROPPED {
            return None;
        }
    }
    (seen <= MAX_BYTES).then_some(kept)
}

async fn handle(app: &App, body: Body, action: Option<&str>) -> Reply {
    let Some(body) = read(body).await else {
        return Reply::Fault(StatusCode::PAYLOAD_TOO_LARGE, Blame::Client, "the message is too large or was cut off");
    };
    match decode(&body, action) {
        Ok(request) => answer(app, request, &body).await,
        Err(refusal) => refuse(app, refusal, action, &body).await,
    }
}

/// Answers what can't be decoded. A receipt addressed to us is kept before it is refused.
async fn refuse(app: &App, refusal: Refusal, action: Option<&str>, body: &[u8]) -> Reply {
    let listing = app.directory.listing();
    tracing::info!(%refusal, "a call of the Node was refused");
    match refusal {
        Refusal::Malformed(why) => {
            let status = match why {
                Malformed::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            match action.and_then(Operation::from_soap_action) {
                // Cut off on its way, perhaps: a receipt has to come again, so it gets no KO.
                Some(operation) if !matches!(operation, Operation::SendRt(_)) && why != Malformed::TooLarge => {
                    ko(operation, FaultCode::SintassiExtraXsd, &listing, None)
                }
                _ => Reply::Fault(status, Blame::Client, "not a SOAP message of this contract"),
            }
        }
        Refusal::UnknownOperation => {
            Reply::Fault(StatusCode::INTERNAL_SERVER_ERROR, Blame::Client, "no operation of this contract")
        }
        Refusal::ActionMismatch { operation: Operation::SendRt(_) } => {
            Reply::Fault(StatusCode::INTERNAL_SERVER_ERROR, Blame::Client, "SOAPAction and body differ")
        }
        Refusal::ActionMismatch { operation } => ko(operation, FaultCode::SintassiExtraXsd, &listing, None),
        Refusal::Syntax { operation, id_pa, what } => {
            let id_pa = id_pa.as_ref().map(Digits11::as_str);
            let Ok(listing) = directory(app, id_pa.unwrap_or_default(), None).await else {
                return unavailable(app, Some(operation));
            };
            if let (Operation::SendRt(_), Some(creditor)) = (operation, id_pa.and_then(|code| listing.creditor(code)))
                && let Err(fault) = quarantine(app, creditor.fiscal_code, what.to_string(), body).await
            {
                tracing::error!(%fault, "a receipt could not be quarantined");
                return unavailable(app, Some(operation));
            }
            ko(operation, FaultCode::SintassiExtraXsd, &listing, id_pa)
        }
    }
}

async fn answer(app: &App, request: Request, body: &[u8]) -> Reply {
    let operation = request.operation();
    let addressee = request.addressee();
    let Ok(listing) = directory(app, &addressee.id_pa, Some(addressee)).await else {
        return unavailable(app, Some(operation));
    };
    let Some(creditor) = listing.creditor(&addressee.id_pa) else {
        return ko(operation, FaultCode::IdDominioErrato, &listing, Some(&addressee.id_pa));
    };
    let no = |code| ko(operation, code, &listing, Some(creditor.fiscal_code.as_str()));
    if let Some(code) = wrong_channel(&listing, addressee) {
        // Money may be behind a receipt that came through a channel we don't know: the office has to see it.
        if matches!(operation, Operation::SendRt(_)) {
            let why = format!("came through a broker or station that is not ours ({})", code.code());
            if let Err(fault) = quarantine(app, creditor.fiscal_code, why, body).await {
                tracing::error!(%fault, "a receipt could not be quarantined");
                return unavailable(app, Some(operation));
            }
        }
        return no(code);
    }
    match request {
        Request::Verify(request) => match verify(app, creditor, &request).await {
            Ok(reply) => Reply::Answer(reply),
            Err(code) => no(code),
        },
        Request::Activate(request) => match activate(app, creditor, &request).await {
            Ok(reply) => Reply::Answer(reply),
            Err(code) => no(code),
        },
        Request::Receipt(request) => receipt(app, creditor, &listing, request, body).await,
        Request::Demand(request) => match on_demand(app, creditor, request).await {
            Ok(reply) => Reply::Answer(reply),
            Err(code) => no(code),
        },
    }
}

/// The directory, read again where it does not know the creditor or the channel (they may have been added since). Where
/// that fails nobody can say that they are not ours, and a receipt must not be refused for it.
async fn directory(app: &App, id_pa: &str, channel: Option<&Addressee>) -> Result<Arc<Listing>, StoreError> {
    let listing = app.directory.listing();
    let known = listing.creditor(id_pa).is_some() && channel.is_none_or(|to| wrong_channel(&listing, to).is_none());
    if known || Digits11::new(id_pa).is_none() {
        return Ok(listing);
    }
    app.directory.reload(&app.store).await.inspect_err(|error| {
        tracing::warn!(%error, "the directory could not be read");
    })?;
    Ok(app.directory.listing())
}

/// Any station of ours will do: refusing a receipt because its notice moved to another station has stranded money
/// elsewhere (GovPay issue 832).
fn wrong_channel(listing: &Listing, addressee: &Addressee) -> Option<FaultCode> {
    if !listing.knows_broker(&addressee.id_broker_pa) {
        return Some(FaultCode::IdIntermediarioErrato);
    }
    listing.station(&addressee.id_station).is_none().then_some(FaultCode::StazioneIntErrata)
}

async fn payable(app: &App, creditor: &CreditorRow, qr: &QrCode) -> Result<Payable, FaultCode> {
    if qr.fiscal_code.as_str() != creditor.fiscal_code.as_str() {
        return Err(FaultCode::PagamentoSconosciuto);
    }
    match look_up(app, creditor, qr.notice_number.as_str()).await {
        Ok(payable) => Ok(payable),
        Err(Stop::Refused(NotPayable::Unknown)) => Err(FaultCode::PagamentoSconosciuto),
        Err(Stop::Refused(NotPayable::Paid)) => Err(FaultCode::PagamentoDuplicato),
        Err(Stop::Refused(NotPayable::Expired)) => Err(FaultCode::PagamentoScaduto),
        Err(Stop::Refused(NotPayable::Cancelled)) => Err(FaultCode::PagamentoAnnullato),
        Err(Stop::Fault(fault)) => {
            tracing::error!(%fault, "a notice could not be looked up");
            Err(FaultCode::SystemError)
        }
    }
}

async fn verify(app: &App, creditor: &CreditorRow, request: &VerifyRequest) -> Result<Response, FaultCode> {
    let payable = payable(app, creditor, &request.qr_code).await?;
    offer(&payable).map(Response::Verify).ok_or(FaultCode::SystemError)
}

fn offer(payable: &Payable) -> Option<VerifyOk> {
    Some(VerifyOk {
        amount: PositiveCents::new(payable.amount.cents())?,
        due_date: Some(payable.due_date.parse().ok()?),
        detail: Text::fit(&payable.reason),
        all_ccp: payable.postal_iban.is_some(),
        description: Text::fit(&payable.reason)?,
        fiscal_code_pa: Digits11::new(payable.creditor.as_str())?,
        company_name: Text::fit(&payable.company_name)?,
        office_name: Text::fit(&payable.office_name),
    })
}

async fn on_demand(app: &App, creditor: &CreditorRow, request: DemandRequest) -> Result<Response, FaultCode> {
    let typed = SpontaneousTopUp::read(&request.service_data).ok_or(FaultCode::SintassiXsd)?;
    let demand = Demand {
        catalogue_service: request.service_id,
        catalogue_subject: request.subject_id,
        child_code: typed.child_code,
        amount: Amount::from_cents(typed.amount_cents).map_err(|_| FaultCode::Semantica)?,
    };
    match demand::demand(app, creditor, demand).await {
        Ok((number, payable)) => {
            let notice_number = NoticeNumber18::new(number.as_str()).ok_or(FaultCode::SystemError)?;
            let offer = offer(&payable).ok_or(FaultCode::SystemError)?;
            Ok(Response::Demand(DemandOk { notice_number, offer }))
        }
        Err(Stop::Refused(DemandRefusal::UnknownWallet)) => Err(FaultCode::PagamentoSconosciuto),
        Err(Stop::Refused(DemandRefusal::UnknownService | DemandRefusal::Limit(_))) => Err(FaultCode::Semantica),
        Err(Stop::Fault(fault)) => {
            tracing::error!(%fault, "no notice could be made on demand");
            Err(FaultCode::SystemError)
        }
    }
}

async fn activate(app: &App, creditor: &CreditorRow, request: &ActivateRequest) -> Result<Response, FaultCode> {
    let payable = payable(app, creditor, &request.qr_code).await?;
    let data = || {
        let (iban, metadata) = account(&payable, request.transfer_type)?;
        let transfer = OutgoingTransfer {
            amount: PositiveCents::new(payable.amount.cents())?,
            fiscal_code_pa: Digits11::new(payable.creditor.as_str())?,
            company_name: Text::fit(&payable.company_name),
            iban: Code::new(iban.as_str())?,
            remittance_information: Text::fit(&payable.reason)?,
            category: Code::new(&payable.taxonomy)?,
            metadata,
        };
        Some(ActivationOk {
            creditor_reference_id: Code::new(&payable.iuv)?,
            due_date: payable.due_date.parse().ok()?,
            retention_date: None,
            last_payment: None,
            description: Text::fit(&payable.reason)?,
            company_name: Text::fit(&payable.company_name)?,
            office_name: Text::fit(&payable.office_name),
            debtor: Subject {
                // Debtors here are guardians, also where their code is a provisional one of 11 digits.
                kind: SubjectKind::Person,
                identifier: payable.debtor_code.clone(),
                full_name: payable.debtor_name.clone(),
                street: None,
                civic_number: None,
                postal_code: None,
                city: None,
                province: None,
                country: None,
                email: None,
            },
            transfers: Transfers::new(vec![transfer])?,
            metadata: Metadata::default(),
        })
    };
    let data = data().ok_or(FaultCode::SystemError)?;
    Ok(Response::Activation(request.version, Box::new(data)))
}

/// Which account to name: the postal one where it is asked for and there is one; for `PAGOPA` the bank's, with the
/// postal one in support (SANP 3.12.0, best practice).
fn account(payable: &Payable, wanted: Option<TransferType>) -> Option<(&Iban, Metadata)> {
    Some(match (wanted, &payable.postal_iban) {
        (Some(TransferType::Postal), Some(postal)) => (postal, Metadata::default()),
        (Some(TransferType::PagoPa), Some(postal)) => {
            let support = (Text::fit("IBANAPPOGGIO")?, Text::fit(postal.as_str())?);
            (&payable.iban, Metadata::new(vec![support])?)
        }
        _ => (&payable.iban, Metadata::default()),
    })
}

async fn receipt(app: &App, creditor: &CreditorRow, listing: &Listing, request: ReceiptRequest, body: &[u8]) -> Reply {
    let operation = Operation::SendRt(request.version);
    let Some(incoming) = incoming(creditor.fiscal_code, &request.receipt, body) else {
        return unavailable(app, Some(operation));
    };
    let kept = || Reply::Answer(Response::Receipt(request.version));
    let again = || ko(operation, FaultCode::ReceiptDuplicata, listing, Some(creditor.fiscal_code.as_str()));
    match receive(app, incoming).await {
        Ok(Received::Booked(booking)) => {
            tracing::info!(creditor = %creditor.fiscal_code, outcome = booking.code(), "a receipt was booked");
            kept()
        }
        Ok(Received::Found) => {
            tracing::info!(creditor = %creditor.fiscal_code, "a receipt was booked, as it turned out");
            kept()
        }
        Ok(Received::Repeated) => {
            let says_ko = listing.station(&request.addressee.id_station).is_some_and(|row| row.duplicate_is_ko != 0);
            if says_ko { again() } else { kept() }
        }
        Ok(Received::Anomaly) => {
            tracing::warn!(creditor = %creditor.fiscal_code, "another receipt under a known key was kept as an anomaly");
            again()
        }
        Err(fault) => {
            tracing::error!(%fault, creditor = %creditor.fiscal_code, "a receipt could not be kept");
            if !fault.is_passing() {
                // It will fail again however often it comes: the office has to see it. It is still no KO.
                let why = format!("can't be booked: {fault}");
                if let Err(fault) = quarantine(app, creditor.fiscal_code, why, body).await {
                    tracing::error!(%fault, "nor could it be quarantined");
                }
            }
            unavailable(app, Some(operation))
        }
    }
}

/// The use case's view of a receipt; `None` only where eleven digits are not eleven digits.
fn incoming(addressed_to: CreditorCode, receipt: &Receipt, body: &[u8]) -> Option<Incoming> {
    let mut transfers = Vec::with_capacity(receipt.transfers.len());
    for transfer in &receipt.transfers {
        let payee = CreditorCode::from_digits(transfer.fiscal_code_pa.as_str()).ok()?;
        transfers.push((payee, Cents::new(transfer.amount_cents)));
    }
    let outcome_ok = receipt.outcome == Outcome::Ok;
    let issuer = CreditorCode::from_digits(receipt.fiscal_code.as_str()).ok()?;
    let total = Cents::new(receipt.payment_amount_cents);
    let reference_fits = refers_to(&receipt.creditor_reference_id, receipt.notice_number.as_str());
    Some(Incoming {
        facts: ReceiptFacts { addressed_to, issuer, outcome_ok, reference_fits, total, transfers },
        receipt_id: receipt.receipt_id.clone(),
        notice_number: receipt.notice_number.as_str().to_owned(),
        total,
        content_digest: content_digest(receipt),
        message: body.to_vec(),
    })
}

/// Whether `reference` is the IUV inside a notice's number: with aux digit 3 all that follows the digit (facts of the
/// notice, SANP 3.12.0). Numbers of any other form are none of ours, and nothing can be said about them.
fn refers_to(reference: &str, number: &str) -> bool {
    number.strip_prefix('3').is_none_or(|iuv| iuv == reference)
}

/// Over the fields that make a receipt what it is, each with its length: the same for both versions of the message.
fn content_digest(receipt: &Receipt) -> Hash {
    let mut fields = vec![
        receipt.fiscal_code.as_str().to_owned(),
        receipt.receipt_id.clone(),
        receipt.notice_number.as_str().to_owned(),
        (receipt.outcome == Outcome::Ok).to_string(),
        receipt.creditor_reference_id.clone(),
        receipt.payment_amount_cents.to_string(),
    ];
    for transfer in &receipt.transfers {
        let (id, cents) = (transfer.id.to_string(), transfer.amount_cents.to_string());
        fields.extend([id, cents, transfer.fiscal_code_pa.as_str().to_owned()]);
    }
    let text: String = fields.iter().map(|field| format!("{}:{field}", field.len())).collect();
    Hash::of(text.as_bytes())
}
