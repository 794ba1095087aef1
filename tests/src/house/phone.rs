//! A signed-in phone: every call of `borsellino.v1`, with its token and language.

use borsellino_proto::v1;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// A phone after its sign-in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Phone {
    pub(super) channel: Channel,
    /// Its tokens; a test may put others in their place.
    pub tokens: v1::Tokens,
    /// Who signed in.
    pub guardian: v1::Guardian,
    /// Where.
    pub creditor: v1::Creditor,
    /// In which language it wants its sentences.
    pub language: &'static str,
}

impl Phone {
    /// Signs in.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn sign_in(channel: Channel, creditor: &str, username: &str, password: &str) -> Result<Self, Status> {
        let message = v1::SignInRequest {
            creditor_fiscal_code: creditor.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            device_name: "a test".to_owned(),
        };
        let mut accounts = v1::accounts_client::AccountsClient::new(channel.clone());
        let answer = accounts.sign_in(message).await?.into_inner();
        Self::of(channel, (answer.tokens, answer.guardian, answer.creditor))
    }

    /// A phone that was answered this when it signed in.
    ///
    /// # Errors
    /// Where a part is missing.
    pub(super) fn of(
        channel: Channel,
        (tokens, guardian, creditor): (Option<v1::Tokens>, Option<v1::Guardian>, Option<v1::Creditor>),
    ) -> Result<Self, Status> {
        let missing = || Status::data_loss("a sign-in without its parts");
        Ok(Self {
            channel,
            tokens: tokens.ok_or_else(missing)?,
            guardian: guardian.ok_or_else(missing)?,
            creditor: creditor.ok_or_else(missing)?,
            language: "it",
        })
    }

    /// The same phone in another language.
    pub fn speaking(&self, language: &'static str) -> Self {
        Self { language, ..self.clone() }
    }

    /// The same phone on another connection.
    pub fn on(&self, channel: Channel) -> Self {
        Self { channel, ..self.clone() }
    }

    /// The same phone with another access token.
    pub fn with_token(&self, access_token: &str) -> Self {
        let tokens = v1::Tokens { access_token: access_token.to_owned(), ..self.tokens.clone() };
        Self { tokens, ..self.clone() }
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.tokens.access_token);
        // A token that is no header is simply not sent.
        if let Ok(bearer) = MetadataValue::try_from(bearer) {
            request.metadata_mut().insert("authorization", bearer);
        }
        request.metadata_mut().insert("accept-language", MetadataValue::from_static(self.language));
        request
    }

    /// `Onboarding.ResolveActivationCode`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn resolve(&self, code: &str) -> Result<v1::Creditor, Status> {
        let mut onboarding = v1::onboarding_client::OnboardingClient::new(self.channel.clone());
        let message = v1::ResolveActivationCodeRequest { code: code.to_owned() };
        let answer = onboarding.resolve_activation_code(self.request(message)).await?.into_inner();
        answer.creditor.ok_or_else(|| Status::data_loss("no creditor"))
    }

    /// `Accounts.Refresh` with any token; the phone itself keeps its tokens.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn refresh(&self, refresh_token: &str) -> Result<v1::Tokens, Status> {
        let mut accounts = v1::accounts_client::AccountsClient::new(self.channel.clone());
        let message = v1::RefreshRequest { refresh_token: refresh_token.to_owned() };
        let answer = accounts.refresh(self.request(message)).await?.into_inner();
        answer.tokens.ok_or_else(|| Status::data_loss("no tokens"))
    }

    /// `Accounts.SignOut`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn sign_out(&self) -> Result<(), Status> {
        let mut accounts = v1::accounts_client::AccountsClient::new(self.channel.clone());
        accounts.sign_out(self.request(v1::SignOutRequest {})).await.map(drop)
    }

    /// `Payments.OpenCart`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn open_cart(&self, notices: &[&str]) -> Result<v1::OpenCartResponse, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        let notice_numbers = notices.iter().map(|number| (*number).to_owned()).collect();
        let answer = payments.open_cart(self.request(v1::OpenCartRequest { notice_numbers })).await?;
        Ok(answer.into_inner())
    }

    /// `Family.Home`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn home(&self) -> Result<v1::HomeResponse, Status> {
        let mut family = v1::family_client::FamilyClient::new(self.channel.clone());
        Ok(family.home(self.request(v1::HomeRequest {})).await?.into_inner())
    }

    /// `Family.Sync`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn sync(&self, after_seq: u64, home_as_of_ms: i64) -> Result<v1::SyncResponse, Status> {
        let mut family = v1::family_client::FamilyClient::new(self.channel.clone());
        Ok(family.sync(self.request(v1::SyncRequest { after_seq, home_as_of_ms })).await?.into_inner())
    }

    /// `Family.ListReceipts`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn receipts(&self, page_size: u32, page_token: &str) -> Result<v1::ListReceiptsResponse, Status> {
        let mut family = v1::family_client::FamilyClient::new(self.channel.clone());
        let message = v1::ListReceiptsRequest { page_size, page_token: page_token.to_owned() };
        Ok(family.list_receipts(self.request(message)).await?.into_inner())
    }

    /// `Payments.GetFees`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn fees(&self, version: &str) -> Result<v1::GetFeesResponse, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        let message = v1::GetFeesRequest { version: version.to_owned() };
        Ok(payments.get_fees(self.request(message)).await?.into_inner())
    }

    /// `Family.ListMovements`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn movements(
        &self,
        wallet_id: &str,
        page_size: u32,
        page_token: &str,
    ) -> Result<v1::ListMovementsResponse, Status> {
        let mut family = v1::family_client::FamilyClient::new(self.channel.clone());
        let (wallet_id, page_token) = (wallet_id.to_owned(), page_token.to_owned());
        let message = v1::ListMovementsRequest { wallet_id, page_size, page_token };
        Ok(family.list_movements(self.request(message)).await?.into_inner())
    }

    /// `Payments.StartTopUp`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn start(&self, message: v1::StartTopUpRequest) -> Result<v1::StartTopUpResponse, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        Ok(payments.start_top_up(self.request(message)).await?.into_inner())
    }

    /// Starts a top-up under a new id and answers its payment.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn top_up(&self, wallet_id: &str, amount_cents: i64, pay_by: v1::PayBy) -> Result<v1::Payment, Status> {
        let message = order(wallet_id, amount_cents, pay_by);
        self.start(message).await?.payment.ok_or_else(|| Status::data_loss("no payment"))
    }

    /// `Payments.GetTopUp`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn payment(&self, id: &str) -> Result<v1::Payment, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        let message = v1::GetTopUpRequest { id: id.to_owned() };
        let answer = payments.get_top_up(self.request(message)).await?.into_inner();
        answer.payment.ok_or_else(|| Status::data_loss("no payment"))
    }

    /// `Payments.PayBill`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn pay_bill(&self, bill_id: &str) -> Result<v1::PayBillResponse, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        let message = v1::PayBillRequest { bill_id: bill_id.to_owned() };
        Ok(payments.pay_bill(self.request(message)).await?.into_inner())
    }

    /// `Payments.GetProof`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn proofs(
        &self,
        payment: Option<v1::get_proof_request::Payment>,
    ) -> Result<Vec<v1::PaymentProof>, Status> {
        let mut payments = v1::payments_client::PaymentsClient::new(self.channel.clone());
        Ok(payments.get_proof(self.request(v1::GetProofRequest { payment })).await?.into_inner().proofs)
    }

    /// `Feed.Watch`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn watch(&self, after_seq: u64) -> Result<Streaming<v1::WatchResponse>, Status> {
        let mut feed = v1::feed_client::FeedClient::new(self.channel.clone());
        Ok(feed.watch(self.request(v1::WatchRequest { after_seq })).await?.into_inner())
    }

    /// `Devices.RegisterPush`; answers under which name pushes speak of this session.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn register_push(&self, token: &str, platform: v1::Platform) -> Result<String, Status> {
        let mut devices = v1::devices_client::DevicesClient::new(self.channel.clone());
        let (token, language) = (token.to_owned(), self.language.to_owned());
        let message = v1::RegisterPushRequest { token, platform: platform.into(), language };
        Ok(devices.register_push(self.request(message)).await?.into_inner().session_id)
    }

    /// `Devices.RemovePush`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn remove_push(&self) -> Result<(), Status> {
        let mut devices = v1::devices_client::DevicesClient::new(self.channel.clone());
        devices.remove_push(self.request(v1::RemovePushRequest {})).await.map(drop)
    }

    /// `Devices.ListDevices`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn devices(&self) -> Result<Vec<v1::Device>, Status> {
        let mut devices = v1::devices_client::DevicesClient::new(self.channel.clone());
        Ok(devices.list_devices(self.request(v1::ListDevicesRequest {})).await?.into_inner().devices)
    }

    /// `Devices.RevokeDevice`.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn revoke_device(&self, session_id: &str) -> Result<(), Status> {
        let mut devices = v1::devices_client::DevicesClient::new(self.channel.clone());
        let message = v1::RevokeDeviceRequest { session_id: session_id.to_owned() };
        devices.revoke_device(self.request(message)).await.map(drop)
    }
}

/// A new order under a new id.
pub fn order(wallet_id: &str, amount_cents: i64, pay_by: v1::PayBy) -> v1::StartTopUpRequest {
    let (id, wallet_id) = (super::new_id(), wallet_id.to_owned());
    v1::StartTopUpRequest { id, wallet_id, amount_cents, pay_by: pay_by.into(), asked: None }
}
