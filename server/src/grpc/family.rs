//! Family: home, what changed since, movements, what was paid.

use borsellino_domain::language::Language;
use borsellino_domain::notice::NoticeNumber;
use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use data_encoding::BASE64URL_NOPAD;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::accounts::session_ended;
use super::{Service, caller, encode, fault, language, malformed, parse, plain};
use crate::usecases::archive::{self, PaidEnd};
use crate::usecases::home::{self, MovementsRefusal, PageEnd};
use crate::usecases::sessions::SessionRefusal;
use crate::usecases::{Stop, sync};

const DEFAULT_PAGE: u32 = 20;

fn stopped(stop: Stop<SessionRefusal>, language: Language) -> Status {
    match stop {
        Stop::Refused(refusal) => session_ended(refusal, language),
        Stop::Fault(error) => fault(&error, language),
    }
}

#[tonic::async_trait]
impl v1::family_server::Family for Service {
    async fn home(&self, request: Request<v1::HomeRequest>) -> Result<Response<v1::HomeResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let view = home::home(&self.0, who).await.map_err(|stop| stopped(stop, language))?;
        let stamp = sync::stamp(&self.0.keys, &who, view.as_of);
        Ok(Response::new(encode::home(view, stamp)))
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.get_ref();
        let after = i64::try_from(message.after_seq).unwrap_or(i64::MAX);
        let home_at = Some(Millis::new(message.home_as_of_ms)).filter(|at| at.get() > 0);
        // Before anything is read: what is in the answer is at least as new.
        let stamp = sync::stamp(&self.0.keys, &who, self.0.now());
        let synced = sync::sync(&self.0, who, after, home_at).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(encode::sync(synced, stamp)))
    }

    async fn list_receipts(
        &self,
        request: Request<v1::ListReceiptsRequest>,
    ) -> Result<Response<v1::ListReceiptsResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.get_ref();
        let after = match message.page_token.as_str() {
            "" => None,
            text => Some(read_paid_token(text).ok_or_else(|| malformed("page_token", language))?),
        };
        let size = if message.page_size == 0 { DEFAULT_PAGE } else { message.page_size };
        let page = archive::paid(&self.0, who, after, size).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(v1::ListReceiptsResponse {
            items: page.items.into_iter().map(encode::paid).collect(),
            next_page_token: page.next.map(write_paid_token).unwrap_or_default(),
            as_of_ms: page.as_of.get(),
        }))
    }

    async fn list_movements(
        &self,
        request: Request<v1::ListMovementsRequest>,
    ) -> Result<Response<v1::ListMovementsResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.get_ref();
        let wallet = match message.wallet_id.as_str() {
            "" => None,
            text => Some(parse(text, "wallet_id", &request)?),
        };
        let after = match message.page_token.as_str() {
            "" => None,
            text => Some(read_token(text).ok_or_else(|| malformed("page_token", language))?),
        };
        let size = if message.page_size == 0 { DEFAULT_PAGE } else { message.page_size };
        let page = home::movements(&self.0, who, wallet, after, size).await.map_err(|stop| match stop {
            Stop::Refused(MovementsRefusal::Session(refusal)) => session_ended(refusal, language),
            Stop::Refused(MovementsRefusal::UnknownWallet) => plain(Reason::UnknownWallet, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        Ok(Response::new(v1::ListMovementsResponse {
            movements: page.movements.into_iter().map(encode::movement).collect(),
            next_page_token: page.next.map(write_token).unwrap_or_default(),
        }))
    }
}

/// A token says where a page ends; it grants nothing, so it is not signed.
fn write_token(end: PageEnd) -> String {
    let bytes = [&end.at.get().to_be_bytes()[..], &end.seq.to_be_bytes(), end.entry.as_bytes()].concat();
    BASE64URL_NOPAD.encode(&bytes)
}

fn read_token(text: &str) -> Option<PageEnd> {
    let bytes: [u8; 32] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (seq, entry) = rest.split_first_chunk::<8>()?;
    let entry = Uuid::from_slice(entry).ok()?;
    Some(PageEnd { at: Millis::new(i64::from_be_bytes(*at)), seq: i64::from_be_bytes(*seq), entry })
}

fn write_paid_token(end: PaidEnd) -> String {
    let bytes = [&end.at.get().to_be_bytes()[..], end.number.as_str().as_bytes()].concat();
    BASE64URL_NOPAD.encode(&bytes)
}

fn read_paid_token(text: &str) -> Option<PaidEnd> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (at, number) = bytes.split_first_chunk::<8>()?;
    let number = NoticeNumber::try_from(String::from_utf8(number.to_vec()).ok()?).ok()?;
    Some(PaidEnd { at: Millis::new(i64::from_be_bytes(*at)), number })
}
