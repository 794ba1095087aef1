//! Documents: what a guardian holds in the hand.

use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_proto::reason::{Reason, Refused};
use borsellino_proto::v1;
use tonic::{Request, Response, Status};

use super::accounts::session_ended;
use super::{Service, caller, fault, language, malformed, parse, plain, refuse, sentences};
use crate::auth::token::Identity;
use crate::usecases::documents::{DocumentRefusal, File, Wanted, link_of_caller, of_caller, receipts_of};
use crate::usecases::post::{PostRefusal, send_notice};
use crate::usecases::proof::Payment;
use crate::usecases::{App, Stop};

/// When to come again to a press that is busy, in milliseconds.
const BUSY_MILLIS: u64 = 5_000;

/// `unknown` is what there is none of.
fn refused(stop: Stop<DocumentRefusal>, unknown: Reason, language: Language) -> Status {
    let refusal = match stop {
        Stop::Fault(error) => return fault(&error, language),
        Stop::Refused(refusal) => refusal,
    };
    match sentences::document(refusal, unknown) {
        Err(refusal) => session_ended(refusal, language),
        Ok(Reason::PrinterBusy) => later(Reason::PrinterBusy, Some(BUSY_MILLIS), language),
        Ok(reason) => plain(reason, language),
    }
}

/// Refused for now: when to try again, in milliseconds.
fn later(reason: Reason, millis: Option<u64>, language: Language) -> Status {
    let refused = Refused::new(reason, sentences::of(reason, language));
    refuse(&Refused { retry_after_ms: millis, ..refused }, language)
}

fn unsent(stop: Stop<PostRefusal>, app: &App, language: Language) -> Status {
    let refusal = match stop {
        Stop::Fault(error) => return fault(&error, language),
        Stop::Refused(PostRefusal::Limit { until }) => {
            let left = until.get().saturating_sub(app.now().get());
            return later(Reason::MailLimit, u64::try_from(left).ok(), language);
        }
        Stop::Refused(refusal) => refusal,
    };
    match sentences::unsent(refusal) {
        Err(refusal) => session_ended(refusal, language),
        Ok(reason) => plain(reason, language),
    }
}

fn document(file: File) -> v1::Document {
    v1::Document { name: file.name, media_type: file.media_type.to_owned(), content: file.bytes }
}

fn notice(message: &v1::GetNoticeRequest, language: Language) -> Result<Wanted, Status> {
    let number = NoticeNumber::parse(&message.notice_number).map_err(|_| malformed("notice_number", language))?;
    Ok(Wanted::Notice(number))
}

fn certificate<R>(message: &v1::GetCertificateRequest, request: &Request<R>) -> Result<Wanted, Status> {
    let language = language(request);
    let year = i16::try_from(message.year).map_err(|_| plain(Reason::YearInvalid, language))?;
    Ok(Wanted::Certificate { child: parse(&message.child_id, "child_id", request)?, year })
}

fn statement<R>(message: &v1::GetStatementRequest, request: &Request<R>) -> Result<Wanted, Status> {
    Ok(Wanted::Statement {
        wallet: parse(&message.wallet_id, "wallet_id", request)?,
        from: parse(&message.from_day, "from_day", request)?,
        to: parse(&message.to_day, "to_day", request)?,
    })
}

/// A payment, and the reason to be told where there is none of it.
fn payment<R>(message: &v1::GetReceiptsRequest, request: &Request<R>) -> Result<(Payment, Reason), Status> {
    match &message.payment {
        Some(v1::get_receipts_request::Payment::TopUpId(id)) => {
            Ok((Payment::TopUp(parse(id, "top_up_id", request)?), Reason::UnknownTopUp))
        }
        Some(v1::get_receipts_request::Payment::BillId(id)) => {
            Ok((Payment::Bill(parse(id, "bill_id", request)?), Reason::UnknownBill))
        }
        None => Err(malformed("payment", language(request))),
    }
}

/// Whether the originals are asked for.
fn originals(message: &v1::GetReceiptsRequest, language: Language) -> Result<bool, Status> {
    match v1::ReceiptFormat::try_from(message.format) {
        Ok(v1::ReceiptFormat::Xml) => Ok(true),
        Ok(v1::ReceiptFormat::Pdf | v1::ReceiptFormat::Unspecified) => Ok(false),
        Err(_) => Err(malformed("format", language)),
    }
}

async fn one(
    app: &App,
    who: Identity,
    wanted: Wanted,
    unknown: Reason,
    language: Language,
) -> Result<v1::Document, Status> {
    let file = of_caller(app, who, &wanted, language).await.map_err(|stop| refused(stop, unknown, language))?;
    Ok(document(file))
}

#[tonic::async_trait]
impl v1::documents_server::Documents for Service {
    async fn get_notice(
        &self,
        request: Request<v1::GetNoticeRequest>,
    ) -> Result<Response<v1::GetNoticeResponse>, Status> {
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let wanted = notice(request.get_ref(), language)?;
        let document = one(&self.0, who, wanted, Reason::UnknownNotice, language).await?;
        Ok(Response::new(v1::GetNoticeResponse { document: Some(document) }))
    }

    async fn get_receipts(
        &self,
        request: Request<v1::GetReceiptsRequest>,
    ) -> Result<Response<v1::GetReceiptsResponse>, Status> {
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let (payment, unknown) = payment(request.get_ref(), &request)?;
        let originals = originals(request.get_ref(), language)?;
        let all = receipts_of(&self.0, who, payment, originals).await;
        let all = all.map_err(|stop| refused(stop, unknown, language))?;
        let mut documents = Vec::with_capacity(all.len());
        for paid in all {
            documents.push(one(&self.0, who, paid.wanted, unknown, language).await?);
        }
        Ok(Response::new(v1::GetReceiptsResponse { documents }))
    }

    async fn get_certificate(
        &self,
        request: Request<v1::GetCertificateRequest>,
    ) -> Result<Response<v1::GetCertificateResponse>, Status> {
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let wanted = certificate(request.get_ref(), &request)?;
        let document = one(&self.0, who, wanted, Reason::UnknownChild, language).await?;
        Ok(Response::new(v1::GetCertificateResponse { document: Some(document) }))
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Result<Response<v1::GetStatementResponse>, Status> {
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let wanted = statement(request.get_ref(), &request)?;
        let document = one(&self.0, who, wanted, Reason::UnknownWallet, language).await?;
        Ok(Response::new(v1::GetStatementResponse { document: Some(document) }))
    }

    async fn create_link(
        &self,
        request: Request<v1::CreateLinkRequest>,
    ) -> Result<Response<v1::CreateLinkResponse>, Status> {
        use v1::create_link_request::Document;
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let (wanted, unknown) = match &request.get_ref().document {
            Some(Document::Notice(message)) => (notice(message, language)?, Reason::UnknownNotice),
            Some(Document::Certificate(message)) => (certificate(message, &request)?, Reason::UnknownChild),
            Some(Document::Statement(message)) => (statement(message, &request)?, Reason::UnknownWallet),
            Some(Document::Receipt(message)) => {
                let (payment, unknown) = payment(message, &request)?;
                let originals = originals(message, language)?;
                let all = receipts_of(&self.0, who, payment, originals).await;
                let all = all.map_err(|stop| refused(stop, unknown, language))?;
                let last = all.into_iter().next_back().ok_or_else(|| plain(Reason::NotPaid, language))?;
                (last.wanted, unknown)
            }
            None => return Err(malformed("document", language)),
        };
        let made = link_of_caller(&self.0, who, &wanted, language).await;
        let (url, until) = made.map_err(|stop| refused(stop, unknown, language))?;
        Ok(Response::new(v1::CreateLinkResponse { url, expires_at_ms: until.get() }))
    }

    async fn send_notice(
        &self,
        request: Request<v1::SendNoticeRequest>,
    ) -> Result<Response<v1::SendNoticeResponse>, Status> {
        let (who, language) = (caller(&self.0, &request)?, language(&request));
        let v1::SendNoticeRequest { notice_number, address } = request.into_inner();
        let number = NoticeNumber::parse(&notice_number).map_err(|_| malformed("notice_number", language))?;
        let sent = send_notice(&self.0, who, number, Some(address), language).await;
        let sent = sent.map_err(|stop| unsent(stop, &self.0, language))?;
        Ok(Response::new(v1::SendNoticeResponse { as_link: !sent.own }))
    }
}
