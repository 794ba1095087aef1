//! The server, as seen from the phone: one lazy channel, a deadline on every call, and every answer turned either into
//! a value or into one of our errors.

use std::error::Error as StdError;
use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use borsellino_domain::account::PasswordRule;
use borsellino_domain::language::Language;
use borsellino_proto::reason::Refused;
use borsellino_proto::v1;
use borsellino_proto::v1::feed_client::FeedClient;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use rustls::CertificateError;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, ConnectError, Extensions, Request, Response, Status, TimeoutExpired};

use crate::error::{Error, Invalid, Reason, Refusal, Result, own_words};

/// The largest answer, in bytes: the receipts of a bill in twelve parts, each with a large logo.
const MAX_ANSWER: usize = 16 << 20;

/// How long the phone waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one call, connecting included.
    pub call: Duration,
    /// For all that the parent waits for with one tap; longer work goes on in the background.
    pub patience: Duration,
    /// After this much silence a live stream is dead (the server's heart beats every 15 s).
    pub silence: Duration,
    /// The first wait before connecting again; each further one is twice as long.
    pub first_wait: Duration,
    /// The longest wait before connecting again.
    pub longest_wait: Duration,
    /// How long changes are gathered before the home screen is asked for again.
    pub gather: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            silence: Duration::from_secs(45),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(30),
            gather: Duration::from_millis(150),
        }
    }
}

/// The longest deadline of a call, whatever [`Pace::call`] says: gRPC can't write down every [`Duration`].
const LONGEST_CALL: Duration = Duration::from_secs(3_600);

/// How often a question is asked again when the line broke under it, and how long after.
const ASKED_AGAIN: u32 = 2;
const PUT_AWAY: Duration = Duration::from_millis(50);

/// The calls of one server.
#[derive(Clone)]
pub(crate) struct Remote {
    channel: Channel,
    language: Language,
    pace: Pace,
}

/// A method of the server: where it is, what it is asked with, what it answers.
pub(crate) struct Method<Q, A> {
    path: &'static str,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A: Message + Default> Method<Q, A> {
    /// Where it is.
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// What was answered.
    ///
    /// # Errors
    /// [`Error::NotOurServer`] for bytes that are no such answer.
    pub(crate) fn read(&self, answer: &[u8]) -> Result<A> {
        A::decode(answer).map_err(|_| Error::NotOurServer)
    }
}

/// Messages as bytes, so that the machinery of a call is compiled once for all of them: a phone's app notices its size.
#[derive(Clone, Copy, Default)]
struct Bare;

impl Codec for Bare {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bare {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bare {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> std::result::Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident: $path:literal, $request:ident => $response:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) const $name: Method<v1::$request, v1::$response> = Method { path: $path, types: PhantomData };
    )*};
}

/// Methods that are called with an account's token by [`crate::inner::Inner::ask`], or without one by [`Remote::call`].
pub(crate) mod method {
    use super::{Method, PhantomData, v1};

    methods! {
        /// Which creditor an activation code belongs to.
        RESOLVE_ACTIVATION_CODE: "/borsellino.v1.Onboarding/ResolveActivationCode", ResolveActivationCodeRequest => ResolveActivationCodeResponse;
        /// Opens a session.
        SIGN_IN: "/borsellino.v1.Accounts/SignIn", SignInRequest => SignInResponse;
        /// Exchanges a refresh token.
        REFRESH: "/borsellino.v1.Accounts/Refresh", RefreshRequest => RefreshResponse;
        /// Ends the session.
        SIGN_OUT: "/borsellino.v1.Accounts/SignOut", SignOutRequest => SignOutResponse;
        /// The home screen.
        HOME: "/borsellino.v1.Family/Home", HomeRequest => HomeResponse;
        /// What changed since.
        SYNC: "/borsellino.v1.Family/Sync", SyncRequest => SyncResponse;
        /// What was paid, by page.
        LIST_RECEIPTS: "/borsellino.v1.Family/ListReceipts", ListReceiptsRequest => ListReceiptsResponse;
        /// What paying costs.
        GET_FEES: "/borsellino.v1.Payments/GetFees", GetFeesRequest => GetFeesResponse;
        /// One page for several notices.
        OPEN_CART: "/borsellino.v1.Payments/OpenCart", OpenCartRequest => OpenCartResponse;
        /// Movements by page.
        LIST_MOVEMENTS: "/borsellino.v1.Family/ListMovements", ListMovementsRequest => ListMovementsResponse;
        /// Starts a top-up, or finds it again.
        START_TOP_UP: "/borsellino.v1.Payments/StartTopUp", StartTopUpRequest => StartTopUpResponse;
        /// How a top-up stands.
        GET_TOP_UP: "/borsellino.v1.Payments/GetTopUp", GetTopUpRequest => GetTopUpResponse;
        /// A page for an open bill.
        PAY_BILL: "/borsellino.v1.Payments/PayBill", PayBillRequest => PayBillResponse;
        /// A payment notice as PDF.
        GET_NOTICE: "/borsellino.v1.Documents/GetNotice", GetNoticeRequest => GetNoticeResponse;
        /// The receipts of a payment.
        GET_RECEIPTS: "/borsellino.v1.Documents/GetReceipts", GetReceiptsRequest => GetReceiptsResponse;
        /// What was paid for a child in a tax year.
        GET_CERTIFICATE: "/borsellino.v1.Documents/GetCertificate", GetCertificateRequest => GetCertificateResponse;
        /// The movements of a wallet, as a document.
        GET_STATEMENT: "/borsellino.v1.Documents/GetStatement", GetStatementRequest => GetStatementResponse;
        /// An address for a browser.
        CREATE_LINK: "/borsellino.v1.Documents/CreateLink", CreateLinkRequest => CreateLinkResponse;
        /// A notice by e-mail.
        SEND_NOTICE: "/borsellino.v1.Documents/SendNotice", SendNoticeRequest => SendNoticeResponse;
        /// Gives an adult whom the office knows a user name and a password, and signs in.
        REGISTER: "/borsellino.v1.Accounts/Register", RegisterRequest => RegisterResponse;
        /// Changes the password and ends the other sessions.
        CHANGE_PASSWORD: "/borsellino.v1.Accounts/ChangePassword", ChangePasswordRequest => ChangePasswordResponse;
        /// The first step of a recovery.
        START_RECOVERY: "/borsellino.v1.Accounts/StartRecovery", StartRecoveryRequest => StartRecoveryResponse;
        /// Brings a proof, or asks which ones there are.
        PROVE_RECOVERY: "/borsellino.v1.Accounts/ProveRecovery", ProveRecoveryRequest => ProveRecoveryResponse;
        /// Sets the new password and signs in.
        FINISH_RECOVERY: "/borsellino.v1.Accounts/FinishRecovery", FinishRecoveryRequest => FinishRecoveryResponse;
        /// Recoveries of one's own account.
        LIST_RECOVERIES: "/borsellino.v1.Accounts/ListRecoveries", ListRecoveriesRequest => ListRecoveriesResponse;
        /// Confirms or denies one.
        ANSWER_RECOVERY: "/borsellino.v1.Accounts/AnswerRecovery", AnswerRecoveryRequest => AnswerRecoveryResponse;
        /// Under which token this session's phone is reached.
        REGISTER_PUSH: "/borsellino.v1.Devices/RegisterPush", RegisterPushRequest => RegisterPushResponse;
        /// No more pushes.
        REMOVE_PUSH: "/borsellino.v1.Devices/RemovePush", RemovePushRequest => RemovePushResponse;
        /// Where this guardian is signed in.
        LIST_DEVICES: "/borsellino.v1.Devices/ListDevices", ListDevicesRequest => ListDevicesResponse;
        /// Ends one of these sessions.
        REVOKE_DEVICE: "/borsellino.v1.Devices/RevokeDevice", RevokeDeviceRequest => RevokeDeviceResponse;
    }
}

impl Remote {
    /// Prepares the channel; connects with the first call. Must be called inside tokio.
    pub(crate) fn new(server_url: &str, language: Language, pace: Pace) -> Result<Self> {
        let pace = Pace { call: pace.call.min(LONGEST_CALL), ..pace };
        let invalid = || Error::Invalid(Invalid::ServerUrl);
        let endpoint = Endpoint::from_shared(server_url.to_owned()).map_err(|_| invalid())?;
        let host = endpoint.uri().host().ok_or_else(invalid)?.to_owned();
        let endpoint = match endpoint.uri().scheme_str() {
            Some("https") => endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots()).map_err(|_| invalid())?,
            // Passwords and tokens travel here: without TLS only within the machine.
            Some("http") if is_loopback(&host) => endpoint,
            _ => return Err(invalid()),
        };
        let channel = endpoint
            .connect_timeout(pace.connect)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            // An idle connection must not wake the radio.
            .keep_alive_while_idle(false)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self { channel, language, pace })
    }

    fn request<T>(&self, token: Option<&str>, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("accept-language", AsciiMetadataValue::from_static(self.language.tag()));
        if let Some(token) = token {
            // A token that does not fit a header was not made by a server of ours.
            let value = AsciiMetadataValue::try_from(format!("Bearer {token}")).map_err(|_| Error::NotOurServer)?;
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }

    async fn answer<T>(&self, call: impl Future<Output = std::result::Result<Response<T>, Status>>) -> Result<T> {
        // The server hears the deadline too; its word for it may arrive a little later than ours would fall.
        match tokio::time::timeout(self.pace.call.saturating_add(Duration::from_millis(250)), call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failure(&status)),
            Err(_) => Err(Error::OutcomeUnknown),
        }
    }

    /// Makes a call, with a token or without.
    pub(crate) async fn call<Q: Message, A: Message + Default>(
        &self,
        method: &Method<Q, A>,
        token: Option<&str>,
        message: &Q,
    ) -> Result<A> {
        method.read(&self.bare(method.path, token, message.encode_to_vec()).await?)
    }

    /// The same in bytes. Boxed, so that callers hold a pointer and not the state of a call.
    pub(crate) fn bare<'a>(
        &'a self,
        path: &'static str,
        token: Option<&'a str>,
        message: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            let authorization = self.request(token, ())?.into_parts().0;
            let call = async {
                // A tunnel, a lift, another network: the line broke, and nobody noticed until now. A question may be asked again.
                let mut again = if is_question(path) { ASKED_AGAIN } else { 0 };
                loop {
                    let mut request =
                        Request::from_parts(authorization.clone(), Extensions::default(), message.clone());
                    request.set_timeout(self.pace.call);
                    let mut client = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
                    let answer = match client.ready().await {
                        Ok(()) => client.unary(request, PathAndQuery::from_static(path), Bare).await,
                        Err(error) => Err(Status::from_error(error.into())),
                    };
                    match answer {
                        Err(status) if again > 0 && has_broken(&status) => again = again.saturating_sub(1),
                        answer => return answer,
                    }
                    // The broken one has to be put away first, or it is what the question goes to again.
                    tokio::time::sleep(PUT_AWAY).await;
                }
            };
            self.answer(call).await
        })
    }

    /// The live stream: a deadline for its beginning, none for its length.
    pub(crate) async fn watch(&self, token: &str, after_seq: u64) -> Result<Streaming<v1::WatchResponse>> {
        let request = self.request(Some(token), v1::WatchRequest { after_seq })?;
        let mut client = FeedClient::new(self.channel.clone());
        self.answer(client.watch(request)).await
    }

    /// What a status means. Only a reason of ours is a refusal; anything else says nothing about what the server did,
    /// unless it is sure that nothing was sent.
    pub(crate) fn failure(&self, status: &Status) -> Error {
        if let Some(refused) = Refused::from_status(status) {
            let reason = Reason::from(refused.reason);
            let rule = refused.rule.as_deref().and_then(PasswordRule::from_code);
            let unsaid = refused.sentence.is_empty();
            return Error::Refused(Refusal {
                reason,
                sentence: if unsaid { own_words(self.language, reason, rule) } else { refused.sentence },
                limit_cents: refused.limit_cents,
                retry_after_ms: refused.retry_after_ms,
                is_final: is_final(reason, status.code()),
                rule,
            });
        }
        let mut connecting = false;
        let mut broken_line = false;
        let mut source = status.source();
        while let Some(error) = source {
            connecting |= error.is::<ConnectError>();
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                broken_line = true;
                // An io::Error hides what it wraps from `source`.
                if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    return tls_failure(tls);
                }
            }
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return tls_failure(tls);
            }
            source = error.source();
        }
        let spoke_grpc = status
            .metadata()
            .get("content-type")
            .is_some_and(|value| value.as_encoded_bytes().starts_with(b"application/grpc"));
        match status.code() {
            _ if connecting => Error::Offline,
            Code::Unimplemented if spoke_grpc => Error::OlderServer,
            Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable => Error::OutcomeUnknown,
            _ if broken_line || spoke_grpc => Error::OutcomeUnknown,
            _ => Error::NotOurServer,
        }
    }
}

/// Whether asking twice is as good as asking once.
fn is_question(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(name, "Home" | "Sync" | "CreateLink") || name.starts_with("Get") || name.starts_with("List")
}

/// Whether the line broke under a call. Not where there was none to begin with, and not where time ran out.
fn has_broken(status: &Status) -> bool {
    let mut source = status.source();
    let mut broken = source.is_some();
    while let Some(error) = source {
        broken &= !error.is::<ConnectError>() && !error.is::<TimeoutExpired>();
        source = error.source();
    }
    broken
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls_failure(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => Error::CertificateTime,
        _ => Error::NotOurServer,
    }
}

/// Whether asking again unchanged is pointless. A reason this app does not know is judged by its status code.
fn is_final(reason: Reason, code: Code) -> bool {
    match reason {
        Reason::Unavailable
        | Reason::Internal
        | Reason::TryLater
        | Reason::TokenInvalid
        | Reason::SessionEnded
        | Reason::SessionWiped
        | Reason::PrinterBusy
        | Reason::MailLimit
        | Reason::NotSealedYet => false,
        Reason::Other => matches!(
            code,
            Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::PermissionDenied
        ),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cleartext_stays_within_the_machine() {
        for good in ["https://mensa.example", "http://127.0.0.1:80", "http://[::1]:80", "http://localhost:1"] {
            assert!(Remote::new(good, Language::Italian, Pace::default()).is_ok(), "{good}");
        }
        for bad in
            ["http://mensa.example", "mensa.example", "", "ftp://localhost", "http://127.0.0.1.example", "http://"]
        {
            let refused = Remote::new(bad, Language::Italian, Pace::default()).err();
            assert_eq!(refused, Some(Error::Invalid(Invalid::ServerUrl)), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_a_reason_of_ours_refuses() {
        let remote = Remote::new("http://127.0.0.1:1", Language::Italian, Pace::default()).unwrap();
        assert_eq!(remote.failure(&Status::cancelled("Timeout expired")), Error::OutcomeUnknown);
        assert_eq!(remote.failure(&Status::deadline_exceeded("")), Error::OutcomeUnknown);
        assert_eq!(remote.failure(&Status::unavailable("")), Error::OutcomeUnknown);
        assert_eq!(remote.failure(&Status::invalid_argument("from a proxy")), Error::NotOurServer);

        let known =
            Refused { limit_cents: Some(20_000), ..Refused::new(v1::Reason::AboveMaximum, "Al massimo 200 €.") };
        let Error::Refused(refusal) = remote.failure(&known.to_status("it")) else { panic!("not a refusal") };
        assert_eq!((refusal.reason, refusal.limit_cents, refusal.is_final), (Reason::AboveMaximum, Some(20_000), true));

        let busy = Refused::new(v1::Reason::Unavailable, "").to_status("it");
        let Error::Refused(refusal) = remote.failure(&busy) else { panic!("not a refusal") };
        assert!(!refusal.is_final && !refusal.sentence.is_empty());
    }
}
