//! Family: home and movements.

use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use data_encoding::BASE64URL_NOPAD;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::accounts::session_ended;
use super::{Service, caller, encode, fault, language, malformed, parse, plain};
use crate::usecases::Stop;
use crate::usecases::home::{self, MovementsRefusal, PageEnd};

const DEFAULT_PAGE: u32 = 20;

#[tonic::async_trait]
impl v1::family_server::Family for Service {
    async fn home(&self, request: Request<v1::HomeRequest>) -> Result<Response<v1::HomeResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let view = home::home(&self.0, who).await.map_err(|stop| match stop {
            Stop::Refused(refusal) => session_ended(refusal, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        Ok(Response::new(encode::home(view)))
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
