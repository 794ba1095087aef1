//! What the fake server knows of accounts and devices.

use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_proto::v1::accounts_server::Accounts;
use borsellino_proto::v1::devices_server::Devices;
use tonic::{Request, Response, Status};

use crate::fake::{AS_OF, Fake, creditor, guardian, refuse};

/// Under which name pushes speak of the one session there is.
pub(crate) const SESSION: &str = "01900000-0000-7000-8000-0000000000aa";
/// Another phone of the same guardian.
pub(crate) const OTHER_SESSION: &str = "01900000-0000-7000-8000-0000000000bb";
/// What the office gave to Marta.
pub(crate) fn office_code() -> String {
    borsellino_domain::account::OfficeCode::issue([9; 13]).grouped()
}

/// What the server knows of accounts beyond sessions.
pub(crate) struct Account {
    /// The user name, once there is one.
    pub(crate) username: Option<String>,
    pub(crate) password: String,
    /// Proofs of the recovery under way; `None` without one.
    pub(crate) proofs: Option<Vec<v1::Proof>>,
    pub(crate) finished: bool,
    /// What was answered to recoveries, number by number.
    pub(crate) answers: Vec<String>,
    /// Every push token that was told, an empty one for the wish to have none.
    pub(crate) pushes: Vec<(String, i32, String)>,
    pub(crate) revoked: Vec<String>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            username: Some("marta".into()),
            password: "segreta".into(),
            proofs: None,
            finished: false,
            answers: vec![],
            pushes: vec![],
            revoked: vec![],
        }
    }
}

#[tonic::async_trait]
impl Accounts for Fake {
    async fn sign_in(&self, request: Request<v1::SignInRequest>) -> Result<Response<v1::SignInResponse>, Status> {
        let odd = self.begin("sign_in");
        if request.get_ref().password != self.state().account.password {
            return refuse(Reason::WrongCredentials);
        }
        let tokens = self.entered(&mut self.state());
        let (guardian, creditor) = (Some(guardian()), Some(creditor()));
        self.end(odd, v1::SignInResponse { tokens: Some(tokens), guardian, creditor }).await
    }

    async fn refresh(&self, request: Request<v1::RefreshRequest>) -> Result<Response<v1::RefreshResponse>, Status> {
        let odd = self.begin("refresh");
        let token = request.into_inner().refresh_token;
        let tokens = {
            let mut state = self.state();
            let is = |pair: &Option<(String, String)>| pair.as_ref().is_some_and(|(refresh, _)| *refresh == token);
            if is(&state.new_tokens) {
                state.old_tokens = state.new_tokens.take();
            } else if !is(&state.old_tokens) {
                state.ended = true;
            }
            if state.ended {
                return refuse(Reason::SessionEnded);
            }
            Self::issue(&mut state)
        };
        self.end(odd, v1::RefreshResponse { tokens: Some(tokens) }).await
    }

    async fn sign_out(&self, request: Request<v1::SignOutRequest>) -> Result<Response<v1::SignOutResponse>, Status> {
        let odd = self.begin("sign_out");
        self.authorize(&request)?;
        self.state().ended = true;
        self.end(odd, v1::SignOutResponse {}).await
    }

    async fn register(&self, request: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        let odd = self.begin("register");
        let asked = request.into_inner();
        if asked.office_code != office_code().replace('-', "") {
            return refuse(Reason::OfficeCodeRefused);
        }
        let tokens = {
            let mut state = self.state();
            let account = &mut state.account;
            let again = account.username.as_ref() == Some(&asked.username) && account.password == asked.password;
            if account.username.is_some() && !again {
                return refuse(Reason::AlreadyRegistered);
            }
            (account.username, account.password) = (Some(asked.username.clone()), asked.password);
            self.entered(&mut state)
        };
        let (guardian, creditor) = (Some(guardian()), Some(creditor()));
        self.end(odd, v1::RegisterResponse { tokens: Some(tokens), guardian, creditor, username: asked.username }).await
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let odd = self.begin("change_password");
        self.authorize(&request)?;
        let asked = request.into_inner();
        {
            let account = &mut self.state().account;
            if account.password != asked.old_password && account.password != asked.new_password {
                return refuse(Reason::WrongCredentials);
            }
            account.password = asked.new_password;
        }
        self.end(odd, v1::ChangePasswordResponse {}).await
    }

    async fn start_recovery(
        &self,
        request: Request<v1::StartRecoveryRequest>,
    ) -> Result<Response<v1::StartRecoveryResponse>, Status> {
        let odd = self.begin("start_recovery");
        assert!(!request.get_ref().who.is_empty());
        self.state().account.proofs = Some(vec![]);
        let answer = v1::StartRecoveryResponse {
            recovery_token: "a-token-that-nobody-sees".into(),
            expires_at_ms: AS_OF + 1_800_000,
            number: "07".into(),
        };
        self.end(odd, answer).await
    }

    async fn prove_recovery(
        &self,
        request: Request<v1::ProveRecoveryRequest>,
    ) -> Result<Response<v1::ProveRecoveryResponse>, Status> {
        use v1::prove_recovery_request::Proof;
        let odd = self.begin("prove_recovery");
        let proofs = {
            let mut state = self.state();
            let Some(proofs) = &mut state.account.proofs else { return refuse(Reason::RecoveryEnded) };
            let proved = match request.into_inner().proof {
                Some(Proof::OfficeCode(code)) if code == office_code().replace('-', "") => Some(v1::Proof::Office),
                Some(Proof::EmailCode(code)) if code == "12345678" => Some(v1::Proof::Email),
                Some(_) => return refuse(Reason::ProofRefused),
                None => None,
            };
            proofs.extend(proved.filter(|proof| !proofs.contains(proof)).as_slice());
            proofs.iter().map(|proof| i32::from(*proof)).collect()
        };
        self.end(odd, v1::ProveRecoveryResponse { proofs }).await
    }

    async fn finish_recovery(
        &self,
        request: Request<v1::FinishRecoveryRequest>,
    ) -> Result<Response<v1::FinishRecoveryResponse>, Status> {
        let odd = self.begin("finish_recovery");
        let asked = request.into_inner();
        assert_eq!(asked.recovery_token, "a-token-that-nobody-sees");
        let (tokens, username) = {
            let mut state = self.state();
            let Some(proofs) = &state.account.proofs else { return refuse(Reason::RecoveryEnded) };
            if proofs.len() < 2 {
                return refuse(Reason::RecoveryIncomplete);
            }
            if state.account.finished && state.account.password != asked.new_password {
                return refuse(Reason::RecoveryEnded);
            }
            (state.account.finished, state.account.password) = (true, asked.new_password);
            (self.entered(&mut state), state.account.username.clone().unwrap_or_default())
        };
        let (guardian, creditor) = (Some(guardian()), Some(creditor()));
        self.end(odd, v1::FinishRecoveryResponse { tokens: Some(tokens), guardian, creditor, username }).await
    }

    async fn list_recoveries(
        &self,
        request: Request<v1::ListRecoveriesRequest>,
    ) -> Result<Response<v1::ListRecoveriesResponse>, Status> {
        let odd = self.begin("list_recoveries");
        self.authorize(&request)?;
        let recovery = v1::Recovery {
            id: "a-recovery".into(),
            device_name: "Pixel".into(),
            asked_at_ms: AS_OF,
            expires_at_ms: AS_OF + 1_800_000,
            confirmed: false,
        };
        self.end(odd, v1::ListRecoveriesResponse { recoveries: vec![recovery] }).await
    }

    async fn answer_recovery(
        &self,
        request: Request<v1::AnswerRecoveryRequest>,
    ) -> Result<Response<v1::AnswerRecoveryResponse>, Status> {
        let odd = self.begin("answer_recovery");
        self.authorize(&request)?;
        let number = request.into_inner().number;
        self.state().account.answers.push(number.clone());
        if !number.is_empty() && number != "07" {
            return refuse(Reason::ProofRefused);
        }
        if number == "07"
            && let Some(proofs) = &mut self.state().account.proofs
        {
            proofs.push(v1::Proof::Device);
        }
        self.end(odd, v1::AnswerRecoveryResponse {}).await
    }
}

#[tonic::async_trait]
impl Devices for Fake {
    async fn register_push(
        &self,
        request: Request<v1::RegisterPushRequest>,
    ) -> Result<Response<v1::RegisterPushResponse>, Status> {
        let odd = self.begin("register_push");
        self.authorize(&request)?;
        let asked = request.into_inner();
        self.state().account.pushes.push((asked.token, asked.platform, asked.language));
        self.end(odd, v1::RegisterPushResponse { session_id: SESSION.into() }).await
    }

    async fn remove_push(
        &self,
        request: Request<v1::RemovePushRequest>,
    ) -> Result<Response<v1::RemovePushResponse>, Status> {
        let odd = self.begin("remove_push");
        self.authorize(&request)?;
        self.state().account.pushes.push(Default::default());
        self.end(odd, v1::RemovePushResponse {}).await
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let odd = self.begin("list_devices");
        self.authorize(&request)?;
        let device = |session: &str, name: &str, current| v1::Device {
            session_id: session.into(),
            name: name.into(),
            signed_in_at_ms: AS_OF - 86_400_000,
            last_used_at_ms: AS_OF,
            current,
            has_push: current,
        };
        let strange = device("of a newer kind", "?", false);
        let devices = vec![device(SESSION, "Pixel", true), device(OTHER_SESSION, "iPhone", false), strange];
        self.end(odd, v1::ListDevicesResponse { devices }).await
    }

    async fn revoke_device(
        &self,
        request: Request<v1::RevokeDeviceRequest>,
    ) -> Result<Response<v1::RevokeDeviceResponse>, Status> {
        let odd = self.begin("revoke_device");
        self.authorize(&request)?;
        let session = request.into_inner().session_id;
        if ![SESSION, OTHER_SESSION].contains(&session.as_str()) {
            return refuse(Reason::UnknownDevice);
        }
        self.state().account.revoked.push(session);
        self.end(odd, v1::RevokeDeviceResponse {}).await
    }
}
