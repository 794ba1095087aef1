//! The calls of `Accounts` that want no token, and those about one's own account.

use borsellino_proto::v1;
use borsellino_proto::v1::accounts_client::AccountsClient;
use borsellino_proto::v1::prove_recovery_request::Proof as Proving;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{House, Phone, TOWN};

/// Somebody before they are signed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    channel: Channel,
    /// In which language they want their sentences.
    pub language: &'static str,
}

impl House {
    /// In front of the first creditor's door.
    pub fn door(&self) -> Door {
        Door { channel: self.channel(), language: "it" }
    }
}

/// What somebody who registers types.
pub fn form(fiscal_code: &str, office_code: &str, username: &str, password: &str) -> v1::RegisterRequest {
    v1::RegisterRequest {
        creditor_fiscal_code: TOWN.to_owned(),
        fiscal_code: fiscal_code.to_owned(),
        office_code: office_code.to_owned(),
        username: username.to_owned(),
        password: password.to_owned(),
        device_name: "a new phone".to_owned(),
    }
}

impl Door {
    /// The same in another language.
    pub fn speaking(&self, language: &'static str) -> Self {
        Self { language, ..self.clone() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("accept-language", MetadataValue::from_static(self.language));
        request
    }

    fn accounts(&self) -> AccountsClient<Channel> {
        AccountsClient::new(self.channel.clone())
    }

    /// `Accounts.Register`; the phone, and the user name as it is kept.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn register(&self, form: v1::RegisterRequest) -> Result<(Phone, String), Status> {
        let answer = self.accounts().register(self.request(form)).await?.into_inner();
        let phone = Phone::of(self.channel.clone(), (answer.tokens, answer.guardian, answer.creditor))?;
        Ok((phone, answer.username))
    }

    /// `Accounts.StartRecovery`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn recover(&self, who: &str) -> Result<v1::StartRecoveryResponse, Status> {
        let message = v1::StartRecoveryRequest {
            creditor_fiscal_code: TOWN.to_owned(),
            who: who.to_owned(),
            device_name: "a new phone".to_owned(),
        };
        Ok(self.accounts().start_recovery(self.request(message)).await?.into_inner())
    }

    async fn prove(&self, token: &str, proof: Option<Proving>) -> Result<Vec<v1::Proof>, Status> {
        let message = v1::ProveRecoveryRequest { recovery_token: token.to_owned(), proof };
        let answer = self.accounts().prove_recovery(self.request(message)).await?.into_inner();
        Ok(answer.proofs().collect())
    }

    /// `Accounts.ProveRecovery` with a code of the office.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn prove_office(&self, token: &str, code: &str) -> Result<Vec<v1::Proof>, Status> {
        self.prove(token, Some(Proving::OfficeCode(code.to_owned()))).await
    }

    /// `Accounts.ProveRecovery` with the code in a letter.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn prove_email(&self, token: &str, code: &str) -> Result<Vec<v1::Proof>, Status> {
        self.prove(token, Some(Proving::EmailCode(code.to_owned()))).await
    }

    /// `Accounts.ProveRecovery` with nothing: what was proved by now.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn proofs(&self, token: &str) -> Result<Vec<v1::Proof>, Status> {
        self.prove(token, None).await
    }

    /// `Accounts.FinishRecovery`; the phone, and the user name.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn finish(&self, token: &str, new_password: &str) -> Result<(Phone, String), Status> {
        let message =
            v1::FinishRecoveryRequest { recovery_token: token.to_owned(), new_password: new_password.to_owned() };
        let answer = self.accounts().finish_recovery(self.request(message)).await?.into_inner();
        let phone = Phone::of(self.channel.clone(), (answer.tokens, answer.guardian, answer.creditor))?;
        Ok((phone, answer.username))
    }
}

impl Phone {
    /// `Accounts.ChangePassword`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<(), Status> {
        let message = v1::ChangePasswordRequest { old_password: old.to_owned(), new_password: new.to_owned() };
        AccountsClient::new(self.channel.clone()).change_password(self.request(message)).await.map(drop)
    }

    /// `Accounts.ListRecoveries`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn recoveries(&self) -> Result<Vec<v1::Recovery>, Status> {
        let mut accounts = AccountsClient::new(self.channel.clone());
        Ok(accounts.list_recoveries(self.request(v1::ListRecoveriesRequest {})).await?.into_inner().recoveries)
    }

    /// `Accounts.AnswerRecovery`, to deny with an empty number.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn answer_recovery(&self, id: &str, number: &str) -> Result<(), Status> {
        let message = v1::AnswerRecoveryRequest { id: id.to_owned(), number: number.to_owned() };
        AccountsClient::new(self.channel.clone()).answer_recovery(self.request(message)).await.map(drop)
    }
}
