//! Onboarding and Accounts.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use borsellino_domain::account::{OfficeCode, Username};
use borsellino_domain::activation::ActivationCode;
use borsellino_domain::fiscal_code::PersonalCode;
use borsellino_domain::language::Language;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use tonic::{Request, Response, Status};

use super::{Service, caller, encode, fault, language, malformed, parse, plain, refuse, sentences};
use crate::usecases::accounts::{self, AccountRefusal, Registration};
use crate::usecases::onboarding::resolve;
use crate::usecases::recovery::{self, Forgetful, Proving, RecoveryRefusal, RecoveryView};
use crate::usecases::sessions::{self, Credentials, SessionRefusal, SignInRefusal, SignedIn, Tokens};
use crate::usecases::{ProofKind, Stop};

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
            language,
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

    async fn register(&self, request: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        let language = language(&request);
        let address = address(&request, self.0.behind_proxy);
        let message = request.into_inner();
        let fiscal_code = PersonalCode::parse(&message.fiscal_code).map_err(|_| malformed("fiscal_code", language))?;
        let wish = Registration {
            creditor: message.creditor_fiscal_code,
            fiscal_code,
            office_code: office_code(&message.office_code, language)?,
            username: Username::parse(&message.username).map_err(|_| plain(Reason::UsernameInvalid, language))?,
            password: message.password,
            device_name: message.device_name,
            address,
            language,
        };
        let registered = accounts::register(&self.0, wish).await.map_err(|stop| account_refused(stop, language))?;
        let (tokens, guardian, creditor, username) = parts(registered);
        Ok(Response::new(v1::RegisterResponse { tokens, guardian, creditor, username }))
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.into_inner();
        let passwords = (message.old_password, message.new_password);
        accounts::change_password(&self.0, who, passwords).await.map_err(|stop| account_refused(stop, language))?;
        Ok(Response::new(v1::ChangePasswordResponse {}))
    }

    async fn start_recovery(
        &self,
        request: Request<v1::StartRecoveryRequest>,
    ) -> Result<Response<v1::StartRecoveryResponse>, Status> {
        let language = language(&request);
        let address = address(&request, self.0.behind_proxy);
        let message = request.into_inner();
        let asks = Forgetful {
            creditor: message.creditor_fiscal_code,
            who: message.who,
            device_name: message.device_name,
            language,
            address,
        };
        let started = recovery::start(&self.0, asks).await.map_err(|stop| recovery_refused(stop, language))?;
        Ok(Response::new(v1::StartRecoveryResponse {
            recovery_token: started.token,
            expires_at_ms: started.expires.get(),
            number: started.number,
        }))
    }

    async fn prove_recovery(
        &self,
        request: Request<v1::ProveRecoveryRequest>,
    ) -> Result<Response<v1::ProveRecoveryResponse>, Status> {
        let language = language(&request);
        let message = request.into_inner();
        let proof = match message.proof {
            None => None,
            Some(v1::prove_recovery_request::Proof::OfficeCode(code)) => {
                Some(Proving::Office(office_code(&code, language)?))
            }
            Some(v1::prove_recovery_request::Proof::EmailCode(code)) => {
                let read = Proving::email(&message.recovery_token, &code);
                Some(read.map_err(|refusal| recovery_refused(Stop::Refused(refusal), language))?)
            }
        };
        let proved = recovery::prove(&self.0, &message.recovery_token, proof).await;
        let proofs = proved.map_err(|stop| recovery_refused(stop, language))?;
        let wire = |kind| match kind {
            ProofKind::Office => v1::Proof::Office.into(),
            ProofKind::Email => v1::Proof::Email.into(),
            ProofKind::Device => v1::Proof::Device.into(),
        };
        Ok(Response::new(v1::ProveRecoveryResponse { proofs: proofs.into_iter().map(wire).collect() }))
    }

    async fn finish_recovery(
        &self,
        request: Request<v1::FinishRecoveryRequest>,
    ) -> Result<Response<v1::FinishRecoveryResponse>, Status> {
        let language = language(&request);
        let message = request.into_inner();
        let token = &message.recovery_token;
        let finished = recovery::finish(&self.0, token, (message.new_password, None)).await;
        if let Err(Stop::Refused(RecoveryRefusal::Question)) = finished {
            let left = recovery::leave_to_the_portal(&self.0, token).await;
            left.map_err(|stop| recovery_refused(stop, language))?;
        }
        let (tokens, guardian, creditor, username) = parts(finished.map_err(|stop| recovery_refused(stop, language))?);
        Ok(Response::new(v1::FinishRecoveryResponse { tokens, guardian, creditor, username }))
    }

    async fn list_recoveries(
        &self,
        request: Request<v1::ListRecoveriesRequest>,
    ) -> Result<Response<v1::ListRecoveriesResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let views = recovery::list(&self.0, who).await.map_err(|stop| match stop {
            Stop::Refused(refusal) => session_ended(refusal, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        let wire = |view: RecoveryView| v1::Recovery {
            id: view.id.to_string(),
            device_name: view.device_name,
            asked_at_ms: view.asked.get(),
            expires_at_ms: view.expires.get(),
            confirmed: view.confirmed,
        };
        Ok(Response::new(v1::ListRecoveriesResponse { recoveries: views.into_iter().map(wire).collect() }))
    }

    async fn answer_recovery(
        &self,
        request: Request<v1::AnswerRecoveryRequest>,
    ) -> Result<Response<v1::AnswerRecoveryResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let id = parse(&request.get_ref().id, "id", &request)?;
        let number: String = request.get_ref().number.trim().chars().take(8).collect();
        let answered = recovery::answer(&self.0, who, (id, number)).await;
        answered.map_err(|stop| recovery_refused(stop, language))?;
        Ok(Response::new(v1::AnswerRecoveryResponse {}))
    }
}

fn office_code(text: &str, language: Language) -> Result<OfficeCode, Status> {
    OfficeCode::parse(text).map_err(|_| plain(Reason::OfficeCodeMistyped, language))
}

/// What a sign-in of any kind answers: tokens, who, where, and the user name.
fn parts(
    (signed_in, username): (SignedIn, String),
) -> (Option<v1::Tokens>, Option<v1::Guardian>, Option<v1::Creditor>, String) {
    let guardian = v1::Guardian { id: signed_in.guardian.to_string(), display_name: signed_in.guardian_name };
    (Some(tokens(signed_in.tokens)), Some(guardian), Some(encode::creditor(signed_in.creditor)), username)
}

fn account_refused(stop: Stop<AccountRefusal>, language: Language) -> Status {
    let refusal = match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Fault(error) => return fault(&error, language),
    };
    match refusal {
        AccountRefusal::Session(refusal) => session_ended(refusal, language),
        AccountRefusal::TryLater(millis) => refuse(&sentences::try_later(millis, language), language),
        AccountRefusal::CodeRefused => plain(Reason::OfficeCodeRefused, language),
        AccountRefusal::AlreadyRegistered => plain(Reason::AlreadyRegistered, language),
        AccountRefusal::UsernameTaken => plain(Reason::UsernameTaken, language),
        AccountRefusal::Password(rule) => refuse(&sentences::password(rule, language), language),
        AccountRefusal::WrongPassword => plain(Reason::WrongCredentials, language),
    }
}

fn recovery_refused(stop: Stop<RecoveryRefusal>, language: Language) -> Status {
    let refusal = match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Fault(error) => return fault(&error, language),
    };
    match refusal {
        RecoveryRefusal::Session(refusal) => session_ended(refusal, language),
        RecoveryRefusal::TryLater(millis) => refuse(&sentences::try_later(millis, language), language),
        RecoveryRefusal::Wrong => plain(Reason::ProofRefused, language),
        RecoveryRefusal::Ended => plain(Reason::RecoveryEnded, language),
        RecoveryRefusal::Incomplete => plain(Reason::RecoveryIncomplete, language),
        RecoveryRefusal::Question | RecoveryRefusal::WrongAnswer => {
            refuse(&sentences::question_in_the_portal(language), language)
        }
        RecoveryRefusal::Password(rule) => refuse(&sentences::password(rule, language), language),
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
