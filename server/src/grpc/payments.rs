//! Payments: starting a top-up, asking how it stands, paying a bill, proving a payment.

use std::time::Duration;

use borsellino_domain::language::Language;
use borsellino_domain::money::Amount;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::TopUpOrder;
use borsellino_proto::convert::pay_by;
use borsellino_proto::reason::{Reason, Refused};
use borsellino_proto::v1;
use tonic::{Request, Response, Status};

use super::accounts::session_ended;
use super::{Service, caller, encode, fault, language, malformed, parse, plain, refuse, sentences};
use crate::usecases::carts::{self, CartRefusal};
use crate::usecases::pay::{self, PayRefusal};
use crate::usecases::proof::{self, Payment, ProofRefusal};
use crate::usecases::sync::Claim;
use crate::usecases::{App, Stop, fees};

fn stopped(stop: Stop<PayRefusal>, language: Language) -> Status {
    match stop {
        Stop::Refused(PayRefusal::Session(refusal)) => session_ended(refusal, language),
        Stop::Refused(PayRefusal::TopUp(refusal)) => refuse(&sentences::top_up(refusal, language), language),
        Stop::Refused(PayRefusal::UnknownTopUp) => plain(Reason::UnknownTopUp, language),
        Stop::Refused(PayRefusal::UnknownBill) => plain(Reason::UnknownBill, language),
        Stop::Refused(PayRefusal::BillSettled) => plain(Reason::BillSettled, language),
        Stop::Fault(error) => fault(&error, language),
    }
}

fn no_cart(stop: Stop<CartRefusal>, app: &App, language: Language) -> Status {
    match stop {
        Stop::Refused(CartRefusal::Session(refusal)) => session_ended(refusal, language),
        Stop::Refused(CartRefusal::Size) => malformed("notice_numbers", language),
        Stop::Refused(CartRefusal::UnknownNotice) => plain(Reason::UnknownNotice, language),
        Stop::Refused(CartRefusal::NotPayable) => plain(Reason::NoticeNotPayable, language),
        Stop::Refused(CartRefusal::InProgress { until }) => {
            let left = until.get().saturating_sub(app.now().get());
            let sentence = sentences::of(Reason::PaymentInProgress, language);
            let retry_after_ms = u64::try_from(left).ok();
            refuse(&Refused { retry_after_ms, ..Refused::new(Reason::PaymentInProgress, sentence) }, language)
        }
        Stop::Fault(error) => fault(&error, language),
    }
}

fn unproven(stop: Stop<ProofRefusal>, seal_every: Duration, language: Language) -> Status {
    match stop {
        Stop::Refused(ProofRefusal::Session(refusal)) => session_ended(refusal, language),
        Stop::Refused(ProofRefusal::UnknownTopUp) => plain(Reason::UnknownTopUp, language),
        Stop::Refused(ProofRefusal::UnknownBill) => plain(Reason::UnknownBill, language),
        Stop::Refused(ProofRefusal::NotPaid) => plain(Reason::NotPaid, language),
        Stop::Refused(ProofRefusal::NotSealed) => {
            let sentence = sentences::of(Reason::NotSealedYet, language);
            let retry_after_ms = u64::try_from(seal_every.as_millis()).ok();
            refuse(&Refused { retry_after_ms, ..Refused::new(Reason::NotSealedYet, sentence) }, language)
        }
        Stop::Fault(error) => fault(&error, language),
    }
}

/// What is missing of a claim makes it one that is not believed.
fn claim(asked: &v1::Asked) -> Claim {
    let server = asked.server.clone().unwrap_or_default();
    Claim { at: Millis::new(server.at_ms), signature: server.signature, since: asked.since_ms }
}

#[tonic::async_trait]
impl v1::payments_server::Payments for Service {
    async fn start_top_up(
        &self,
        request: Request<v1::StartTopUpRequest>,
    ) -> Result<Response<v1::StartTopUpResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.get_ref();
        let order = TopUpOrder {
            id: parse(&message.id, "id", &request)?,
            wallet: parse(&message.wallet_id, "wallet_id", &request)?,
            amount: Amount::from_cents(message.amount_cents).map_err(|_| plain(Reason::AmountInvalid, language))?,
            pay_by: pay_by(message.pay_by).ok_or_else(|| malformed("pay_by", language))?,
        };
        let claim = message.asked.as_ref().map(claim);
        let started = pay::start_top_up(&self.0, who, order, claim).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(v1::StartTopUpResponse {
            payment: Some(encode::payment(started.payment)),
            replayed: started.replayed,
            checkout_unavailable: started.checkout_unavailable,
        }))
    }

    async fn get_top_up(
        &self,
        request: Request<v1::GetTopUpRequest>,
    ) -> Result<Response<v1::GetTopUpResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let id = parse(&request.get_ref().id, "id", &request)?;
        let payment = pay::top_up(&self.0, who, id).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(v1::GetTopUpResponse { payment: Some(encode::payment(payment)) }))
    }

    async fn open_cart(&self, request: Request<v1::OpenCartRequest>) -> Result<Response<v1::OpenCartResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let numbers = request.get_ref().notice_numbers.iter();
        let numbers = numbers.map(|number| NoticeNumber::try_from(number.clone())).collect::<Result<Vec<_>, _>>();
        let numbers = numbers.map_err(|_| malformed("notice_numbers", language))?;
        let page = carts::open_cart(&self.0, who, numbers).await.map_err(|stop| no_cart(stop, &self.0, language))?;
        Ok(Response::new(v1::OpenCartResponse {
            checkout_unavailable: page.url.is_none(),
            checkout_url: page.url.unwrap_or_default(),
            in_progress_until_ms: page.until.map_or(0, Millis::get),
        }))
    }

    async fn pay_bill(&self, request: Request<v1::PayBillRequest>) -> Result<Response<v1::PayBillResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let id = parse(&request.get_ref().bill_id, "bill_id", &request)?;
        let page = pay::pay_bill(&self.0, who, id).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(v1::PayBillResponse {
            bill: Some(encode::bill(page.bill)),
            checkout_unavailable: page.page_url.is_none(),
            checkout_url: page.page_url.unwrap_or_default(),
        }))
    }

    async fn get_fees(&self, request: Request<v1::GetFeesRequest>) -> Result<Response<v1::GetFeesResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let fees = fees::of_caller(&self.0, who).await.map_err(|stop| match stop {
            Stop::Refused(refusal) => session_ended(refusal, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        let known = &request.get_ref().version;
        Ok(Response::new(fees.map_or_else(v1::GetFeesResponse::default, |fees| encode::fees(fees, known))))
    }

    async fn get_proof(&self, request: Request<v1::GetProofRequest>) -> Result<Response<v1::GetProofResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let payment = match &request.get_ref().payment {
            Some(v1::get_proof_request::Payment::TopUpId(id)) => Payment::TopUp(parse(id, "top_up_id", &request)?),
            Some(v1::get_proof_request::Payment::BillId(id)) => Payment::Bill(parse(id, "bill_id", &request)?),
            None => return Err(malformed("payment", language)),
        };
        let given = proof::of_payment(&self.0, who, payment).await;
        let given = given.map_err(|stop| unproven(stop, self.0.seal_every, language))?;
        let proofs = given.into_iter().map(|one| v1::PaymentProof {
            at_ms: one.at.get(),
            amount_cents: one.amount.get(),
            file: one.file,
        });
        Ok(Response::new(v1::GetProofResponse { proofs: proofs.collect() }))
    }
}
