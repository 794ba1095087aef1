//! Onboarding and Accounts.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use borsellino_domain::activation::ActivationCode;
use borsellino_domain::language::Language;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use tonic::{Request, Response, Status};

use super::{Service, caller, encode, fault, language, malformed, plain, refuse, sentences};
use crate::usecases::Stop;
use crate::usecases::onboarding::resolve;
use crate::usecases::sessions::{self, Credentials, SessionRefusal, SignInRefusal, Tokens};

pub(super) fn session_ended(refusal: SessionRefusal, language: Language) -> Status {
    match refusal {
        SessionRefusal::TokenInvalid => plain(Reason::TokenInvalid, language),
        SessionRefusal::Ended => plain(Reason::SessionEnded, language),
        SessionRefusal::Wiped => plain(Reason::SessionWiped, language),
    }
}

fn tokens(tokens: Tokens) -> v1::Tokens {
    v1::Tokens {
        access_token: tokens.access,
        access_expires_at_ms: tokens.access_expires.get(),
        refresh_token: tokens.refresh,
    }
}

/// Where a call comes from: the peer, or, behind a proxy of ours, what that proxy appended last to `x-forwarded-for`
/// (anything before it is the caller's own word).
fn address<T>(request: &Request<T>, behind_proxy: bool) -> Option<IpAddr> {
    if behind_proxy {
        let forwarded = request.metadata().get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        let address: IpAddr = forwarded.rsplit(',').next()?.trim().parse().ok()?;
        return Some(address.to_canonical());
    }
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

#[tonic::async_trait]
impl v1::onboarding_server::Onboarding for Service {
    async fn resolve_activation_code(
        &self,
        request: Request<v1::ResolveActivationCodeRequest>,
    ) -> Result<Response<v1::ResolveActivationCodeResponse>, Status> {
        let language = language(&request);
        // A text that is no code is as unknown as a code that nobody gave out.
        let unknown = || plain(Reason::UnknownActivationCode, language);
        let code = ActivationCode::parse(&request.get_ref().code).map_err(|_| unknown())?;
        let found = resolve(&self.0, code).await.map_err(|error| fault(&error, language))?;
        let creditor = encode::creditor(found.ok_or_else(unknown)?);
        Ok(Response::new(v1::ResolveActivationCodeResponse { creditor: Some(creditor) }))
    }
}

#[tonic::async_trait]
impl v1::accounts_server::Accounts for Service {
    async fn sign_in(&self, request: Request<v1::SignInRequest>) -> Result<Response<v1::SignInResponse>, Status> {
        let language = language(&request);
        let address = address(&request, self.0.behind_proxy);
        let message = request.into_inner();
        let credentials = Credentials {
            creditor: message.creditor_fiscal_code,
            username: message.username,
            password: message.password,
            device_name: message.device_name,
            address,
        };
        let signed_in = sessions::sign_in(&self.0, credentials).await.map_err(|stop| match stop {
            Stop::Refused(SignInRefusal::WrongCredentials) => plain(Reason::WrongCredentials, language),
            Stop::Refused(SignInRefusal::TryLater(millis)) => refuse(&sentences::try_later(millis, language), language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        let guardian = v1::Guardian { id: signed_in.guardian.to_string(), display_name: signed_in.guardian_name };
        Ok(Response::new(v1::SignInResponse {
            tokens: Some(tokens(signed_in.tokens)),
            guardian: Some(guardian),
            creditor: Some(encode::creditor(signed_in.creditor)),
        }))
    }

    async fn refresh(&self, request: Request<v1::RefreshRequest>) -> Result<Response<v1::RefreshResponse>, Status> {
        let language = language(&request);
        if request.get_ref().refresh_token.is_empty() {
            return Err(malformed("refresh_token", language));
        }
        let next = sessions::refresh(&self.0, &request.get_ref().refresh_token).await.map_err(|stop| match stop {
            Stop::Refused(refusal) => session_ended(refusal, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        Ok(Response::new(v1::RefreshResponse { tokens: Some(tokens(next)) }))
    }

    async fn sign_out(&self, request: Request<v1::SignOutRequest>) -> Result<Response<v1::SignOutResponse>, Status> {
        let who = caller(&self.0, &request)?;
        sessions::sign_out(&self.0, who).await.map_err(|error| fault(&error, language(&request)))?;
        Ok(Response::new(v1::SignOutResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxys_own_word_counts() {
        let mut request = Request::new(());
        request.metadata_mut().insert("x-forwarded-for", "10.9.9.9, 192.0.2.7".parse().unwrap());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        assert_eq!(address(&request, true), Some([192, 0, 2, 7].into()));
        assert_eq!(
            address(&request, false),
            Some([127, 0, 0, 1].into()),
            "without a proxy it is the caller's own word"
        );
        request.metadata_mut().insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(address(&request, true), None);
    }
}
