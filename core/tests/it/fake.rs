//! A small server that does what the proto file says and can be told to misbehave, behind a wire that can be cut.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use borsellino_proto::reason::{Reason, Refused};
use borsellino_proto::v1;
use borsellino_proto::v1::accounts_server::AccountsServer;
use borsellino_proto::v1::devices_server::DevicesServer;
use borsellino_proto::v1::documents_server::DocumentsServer;
use borsellino_proto::v1::family_server::{Family, FamilyServer};
use borsellino_proto::v1::feed_server::{Feed, FeedServer};
use borsellino_proto::v1::onboarding_server::{Onboarding, OnboardingServer};
use borsellino_proto::v1::payments_server::{Payments, PaymentsServer};
use borsellino_proto::v1::watch_response;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

use crate::fake_accounts::Account;
use crate::fake_documents::Print;

/// A creditor code with a right check digit.
pub(crate) const CREDITOR: &str = "99900010010";
pub(crate) const GUARDIAN: &str = "01900000-0000-7000-8000-000000000001";
pub(crate) const CHILD: &str = "01900000-0000-7000-8000-000000000002";
pub(crate) const CANTEEN: &str = "01900000-0000-7000-8000-000000000003";
pub(crate) const BILL: &str = "01900000-0000-7000-8000-000000000004";
/// 2026-11-20T07:12:00Z, 8:12 in Italy.
pub(crate) const AS_OF: i64 = 1_795_158_720_000;

/// Until when a page opened by the first calls of a test is live: half an hour.
pub(crate) const PAGE_UNTIL: i64 = AS_OF + 1_800_000;

/// What a call does instead of answering.
#[derive(Clone)]
pub(crate) enum Oddity {
    /// Does its work, then the wire is cut.
    LoseAnswer,
    /// Does its work, and answers when told to.
    Hold(Arc<tokio::sync::Notify>),
    /// Refuses.
    Refuse(Refused),
    /// Fails like a server that does not know the call.
    Unimplemented,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) account: Account,
    pub(crate) print: Print,
    pub(crate) home: v1::HomeResponse,
    pub(crate) feed: Vec<v1::Change>,
    pub(crate) top_ups: BTreeMap<String, v1::Payment>,
    /// Every order that arrived, in order.
    pub(crate) orders: Vec<v1::StartTopUpRequest>,
    pub(crate) oddities: HashMap<&'static str, VecDeque<Oddity>>,
    pub(crate) calls: HashMap<&'static str, u32>,
    /// `after_seq` of every watch.
    pub(crate) watched_from: Vec<u64>,
    /// Sync asks for Home.
    pub(crate) resync: bool,
    /// Every page opened for several notices.
    pub(crate) carts: Vec<Vec<String>>,
    /// What GetFees answers.
    pub(crate) fees: v1::GetFeesResponse,
    /// No heartbeats and no changes, though the stream stays open.
    pub(crate) mute: bool,
    pub(crate) ended: bool,
    tokens: u32,
    /// (refresh, access, used)
    pub(crate) old_tokens: Option<(String, String)>,
    pub(crate) new_tokens: Option<(String, String)>,
    expired: bool,
}

#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    fed: watch::Sender<u64>,
    cut: watch::Sender<u64>,
    /// Connections are taken.
    open: watch::Sender<bool>,
    pub(crate) url: String,
}

pub(crate) fn refuse<T>(reason: Reason) -> Result<T, Status> {
    Err(Refused::new(reason, "No.").to_status("it"))
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let outer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (inside, url) = (inner.local_addr().unwrap(), format!("http://{}", outer.local_addr().unwrap()));
        let state = State { home: family(), ..Default::default() };
        let (fed, cut, open) = (watch::Sender::new(0), watch::Sender::new(0), watch::Sender::new(true));
        let fake = Self { state: Arc::new(Mutex::new(state)), fed, cut, open, url };
        let router = tonic::transport::Server::builder()
            .add_service(OnboardingServer::new(fake.clone()))
            .add_service(AccountsServer::new(fake.clone()))
            .add_service(DevicesServer::new(fake.clone()))
            .add_service(FamilyServer::new(fake.clone()))
            .add_service(PaymentsServer::new(fake.clone()))
            .add_service(DocumentsServer::new(fake.clone()))
            .add_service(FeedServer::new(fake.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(inner)));
        let wire = fake.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = outer.accept().await {
                let (mut cut, open) = (wire.cut.subscribe(), *wire.open.borrow());
                if !open {
                    continue;
                }
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(inside).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Every connection breaks.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// No connection comes through until `true`.
    pub(crate) fn reachable(&self, yes: bool) {
        self.open.send_replace(yes);
        if !yes {
            self.cut();
        }
    }

    pub(crate) fn odd(&self, call: &'static str, oddity: Oddity) {
        self.state().oddities.entry(call).or_default().push_back(oddity);
    }

    pub(crate) fn expire_access(&self) {
        self.state().expired = true;
    }

    pub(crate) fn calls(&self, call: &'static str) -> u32 {
        self.state().calls.get(call).copied().unwrap_or(0)
    }

    /// Appends a change to the feed under its next number; Home knows of it too.
    pub(crate) fn change(&self, change: v1::Change) {
        let mut state = self.state();
        let seq = state.home.feed_seq + 1;
        if let Some(news) = &change.wallet {
            let wallet = &mut state.home.children[0].wallets[0];
            wallet.balance_cents = news.balance_cents;
            wallet.seq = news.seq;
            wallet.covers_units = u32::try_from(news.balance_cents / wallet.unit_price_cents).unwrap();
            wallet.low = false;
        }
        if let Some(news) = &change.payment {
            state.top_ups.insert(news.id.clone(), news.clone());
            state.home.payments.retain(|payment| payment.id != news.id);
            state.home.payments.insert(0, news.clone());
        }
        state.home.feed_seq = seq;
        state.feed.push(v1::Change { seq, at_ms: AS_OF, ..change });
        drop(state);
        self.fed.send_modify(|count| *count += 1);
    }

    /// A receipt arrives for a top-up: it is paid and the balance moves.
    pub(crate) fn receipt(&self, id: &str) {
        let (payment, balance, seq) = {
            let state = self.state();
            let mut payment = state.top_ups[id].clone();
            payment.set_state(v1::PaymentState::Paid);
            payment.paid_at_ms = AS_OF;
            let balance = state.home.children[0].wallets[0].balance_cents + payment.amount_cents;
            let seq = i64::try_from(state.feed.len()).unwrap() + 10;
            (payment, balance, seq)
        };
        // One number of the feed tells of both, as the server does.
        let news = v1::WalletBalance { wallet_id: CANTEEN.into(), balance_cents: balance, seq };
        self.change(v1::Change { wallet: Some(news), payment: Some(payment), ..Default::default() });
    }

    /// The page of a top-up is over and nobody paid.
    pub(crate) fn page_is_over(&self, id: &str) {
        let mut state = self.state();
        let payment = state.top_ups.get_mut(id).unwrap();
        payment.set_state(v1::PaymentState::NotCompleted);
        (payment.in_progress_until_ms, payment.checkout_url) = (0, String::new());
        let payment = payment.clone();
        state.home.payments = vec![payment];
        // Half an hour went by.
        state.home.as_of_ms = PAGE_UNTIL;
    }

    pub(crate) fn balance(&self, cents: i64, seq: i64) {
        let news = v1::WalletBalance { wallet_id: CANTEEN.into(), balance_cents: cents, seq };
        self.change(v1::Change { wallet: Some(news), ..Default::default() });
    }

    pub(crate) fn begin(&self, call: &'static str) -> Option<Oddity> {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        state.oddities.get_mut(call).and_then(VecDeque::pop_front)
    }

    /// The end of every call: its oddity after its work.
    pub(crate) async fn end<T>(&self, odd: Option<Oddity>, answer: T) -> Result<Response<T>, Status> {
        match odd {
            None => Ok(Response::new(answer)),
            Some(Oddity::Hold(gate)) => {
                gate.notified().await;
                Ok(Response::new(answer))
            }
            Some(Oddity::LoseAnswer) => {
                self.cut();
                std::future::pending().await
            }
            Some(Oddity::Refuse(refused)) => Err(refused.to_status("it")),
            Some(Oddity::Unimplemented) => Err(Status::unimplemented("")),
        }
    }

    pub(crate) fn issue(state: &mut State) -> v1::Tokens {
        state.tokens += 1;
        state.expired = false;
        let pair = (format!("refresh-{}", state.tokens), format!("access-{}", state.tokens));
        state.new_tokens = Some(pair.clone());
        v1::Tokens { access_token: pair.1, access_expires_at_ms: AS_OF + 900_000, refresh_token: pair.0 }
    }

    /// A session that begins, whatever was before it.
    pub(crate) fn entered(&self, state: &mut State) -> v1::Tokens {
        (state.ended, state.old_tokens) = (false, None);
        Self::issue(state)
    }

    pub(crate) fn authorize<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let mut state = self.state();
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = token.strip_prefix("Bearer ").unwrap_or_default();
        if state.ended {
            return refuse(Reason::SessionEnded);
        }
        let is = |pair: &Option<(String, String)>| pair.as_ref().is_some_and(|(_, access)| access == token);
        if is(&state.new_tokens) {
            // First use: the old ones are done.
            state.old_tokens = None;
        } else if !is(&state.old_tokens) {
            return refuse(Reason::TokenInvalid);
        }
        if state.expired { refuse(Reason::TokenInvalid) } else { Ok(()) }
    }
}

pub(crate) fn payment(order: &v1::StartTopUpRequest) -> v1::Payment {
    let number = if order.wallet_id == CANTEEN { "301000000000004285" } else { "301000000000009988" };
    let notice = v1::Notice {
        number: number.into(),
        amount_cents: order.amount_cents,
        reason: "Ricarica mensa".into(),
        qr_text: format!("PAGOPA|002|{number}|{CREDITOR}|{}", order.amount_cents),
        expires_at_ms: AS_OF + 30 * 86_400_000,
    };
    let online = order.pay_by() == v1::PayBy::Online;
    v1::Payment {
        id: order.id.clone(),
        wallet_id: order.wallet_id.clone(),
        amount_cents: order.amount_cents,
        pay_by: order.pay_by,
        state: if online { v1::PaymentState::InProgress } else { v1::PaymentState::Payable }.into(),
        created_at_ms: AS_OF,
        in_progress_until_ms: if online { PAGE_UNTIL } else { 0 },
        notice: Some(notice),
        checkout_url: if online { format!("https://checkout.example/{}", order.id) } else { String::new() },
        ..Default::default()
    }
}

pub(crate) fn creditor() -> v1::Creditor {
    let name = "Comune di Bugliano".to_owned();
    v1::Creditor { fiscal_code: CREDITOR.into(), name, cbill: "AB12C".into(), help_phone: "050 123".into() }
}

pub(crate) fn guardian() -> v1::Guardian {
    v1::Guardian { id: GUARDIAN.into(), display_name: "Marta Rossi".into() }
}

/// What the server signs an instant with.
pub(crate) fn signed(at_ms: i64) -> v1::ServerTime {
    v1::ServerTime { at_ms, signature: format!("signed {at_ms}").into_bytes() }
}

/// Giulia, third year, with 12,40 € for meals, and a bill.
pub(crate) fn family() -> v1::HomeResponse {
    let choices = v1::TopUpChoices {
        presets_cents: vec![1_000, 2_000, 5_000],
        suggested_cents: 2_000,
        min_cents: 500,
        max_cents: 20_000,
    };
    let wallet = v1::Wallet {
        id: CANTEEN.into(),
        kind: v1::ServiceKind::Canteen.into(),
        service_name: "Mensa scolastica".into(),
        balance_cents: 1_240,
        unit_price_cents: 425,
        covers_units: 2,
        low: true,
        open: true,
        choices: Some(choices),
        seq: 7,
    };
    let child = v1::Child {
        id: CHILD.into(),
        given_name: "Giulia".into(),
        class_name: "3 B".into(),
        school: "Primaria Rodari".into(),
        wallets: vec![wallet],
    };
    let movement = v1::Movement {
        wallet_id: CANTEEN.into(),
        seq: 7,
        cents: -425,
        balance_after_cents: 1_240,
        kind: v1::MovementKind::Charge.into(),
        at_ms: AS_OF - 86_400_000,
        day: "2026-11-12".into(),
        tariff: "fascia 2".into(),
    };
    let bill = v1::Bill {
        id: BILL.into(),
        number: "2026/118".into(),
        period: "ottobre 2026".into(),
        due_date: "2026-12-20".into(),
        total_cents: 5_733,
        residual_cents: 5_733,
        state: v1::BillState::Open.into(),
        payment_state: v1::PaymentState::Payable.into(),
        notice: Some(v1::Notice {
            number: "302000000000001177".into(),
            amount_cents: 5_733,
            reason: "Mensa ottobre 2026".into(),
            qr_text: format!("PAGOPA|002|302000000000001177|{CREDITOR}|5733"),
            expires_at_ms: 0,
        }),
        ..Default::default()
    };
    v1::HomeResponse {
        as_of_ms: AS_OF,
        feed_seq: 0,
        guardian: Some(guardian()),
        children: vec![child],
        bills: vec![bill],
        payments: vec![],
        movements: vec![movement],
        total_due_cents: 5_733,
        time: Some(signed(AS_OF)),
    }
}

#[tonic::async_trait]
impl Onboarding for Fake {
    async fn resolve_activation_code(
        &self,
        request: Request<v1::ResolveActivationCodeRequest>,
    ) -> Result<Response<v1::ResolveActivationCodeResponse>, Status> {
        let odd = self.begin("resolve");
        if request.get_ref().code != "5645312010" {
            return refuse(Reason::UnknownActivationCode);
        }
        self.end(odd, v1::ResolveActivationCodeResponse { creditor: Some(creditor()) }).await
    }
}

#[tonic::async_trait]
impl Family for Fake {
    async fn home(&self, request: Request<v1::HomeRequest>) -> Result<Response<v1::HomeResponse>, Status> {
        let odd = self.begin("home");
        self.authorize(&request)?;
        let home = self.state().home.clone();
        self.end(odd, home).await
    }

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<v1::SyncResponse>, Status> {
        let odd = self.begin("sync");
        self.authorize(&request)?;
        let asked = *request.get_ref();
        let answer = {
            let state = self.state();
            let newest = state.home.feed_seq;
            let base = v1::SyncResponse {
                time: Some(signed(state.home.as_of_ms.max(asked.home_as_of_ms))),
                feed_seq: newest,
                ..Default::default()
            };
            let changes: Vec<v1::Change> =
                state.feed.iter().filter(|change| change.seq > asked.after_seq).cloned().collect();
            if asked.after_seq > newest || state.resync {
                v1::SyncResponse { resync: true, ..base }
            } else if changes.is_empty() {
                base
            } else {
                let summary = v1::Summary {
                    wallets: state.home.children.iter().flat_map(|child| child.wallets.clone()).collect(),
                    movements: state.home.movements.clone(),
                    total_due_cents: state.home.total_due_cents,
                };
                v1::SyncResponse { changes, summary: Some(summary), ..base }
            }
        };
        self.end(odd, answer).await
    }

    async fn list_receipts(
        &self,
        request: Request<v1::ListReceiptsRequest>,
    ) -> Result<Response<v1::ListReceiptsResponse>, Status> {
        let odd = self.begin("receipts");
        self.authorize(&request)?;
        let item = v1::PaidItem {
            amount_cents: 2_000,
            paid_at_ms: AS_OF,
            service_names: vec!["Mensa scolastica".into()],
            child_names: vec!["Giulia".into()],
            of_co_guardian: true,
            ..Default::default()
        };
        let next_page_token = "next".into();
        self.end(odd, v1::ListReceiptsResponse { items: vec![item], next_page_token, as_of_ms: AS_OF }).await
    }

    async fn list_movements(
        &self,
        request: Request<v1::ListMovementsRequest>,
    ) -> Result<Response<v1::ListMovementsResponse>, Status> {
        let odd = self.begin("movements");
        self.authorize(&request)?;
        let movements = self.state().home.movements.clone();
        self.end(odd, v1::ListMovementsResponse { movements, next_page_token: "next".into() }).await
    }
}

#[tonic::async_trait]
impl Payments for Fake {
    async fn start_top_up(
        &self,
        request: Request<v1::StartTopUpRequest>,
    ) -> Result<Response<v1::StartTopUpResponse>, Status> {
        let odd = self.begin("start_top_up");
        self.authorize(&request)?;
        let order = request.into_inner();
        let answer = {
            let mut state = self.state();
            state.orders.push(order.clone());
            if let Some(Oddity::Refuse(refused)) = &odd {
                return Err(refused.to_status("it"));
            }
            let replayed = state.top_ups.contains_key(&order.id);
            let again = payment(&order);
            let payment = state.top_ups.entry(order.id.clone()).or_insert_with(|| again.clone());
            if payment.state() == v1::PaymentState::NotCompleted {
                *payment = v1::Payment { in_progress_until_ms: 2 * PAGE_UNTIL - AS_OF, ..again };
            }
            let payment = payment.clone();
            if !replayed {
                state.home.payments.insert(0, payment.clone());
            }
            v1::StartTopUpResponse { payment: Some(payment), replayed, checkout_unavailable: false }
        };
        self.end(odd, answer).await
    }

    async fn get_top_up(
        &self,
        request: Request<v1::GetTopUpRequest>,
    ) -> Result<Response<v1::GetTopUpResponse>, Status> {
        let odd = self.begin("get_top_up");
        self.authorize(&request)?;
        let payment = self.state().top_ups.get(&request.get_ref().id).cloned();
        if payment.is_none() {
            return refuse(Reason::UnknownTopUp);
        }
        self.end(odd, v1::GetTopUpResponse { payment }).await
    }

    async fn pay_bill(&self, request: Request<v1::PayBillRequest>) -> Result<Response<v1::PayBillResponse>, Status> {
        let odd = self.begin("pay_bill");
        self.authorize(&request)?;
        let mut bill = self.state().home.bills.first().cloned();
        if let Some(bill) = &mut bill {
            bill.set_payment_state(v1::PaymentState::InProgress);
            bill.in_progress_until_ms = PAGE_UNTIL;
            self.state().home.bills[0] = bill.clone();
        }
        let checkout_url = "https://checkout.example/bill".to_owned();
        self.end(odd, v1::PayBillResponse { bill, checkout_url, checkout_unavailable: false }).await
    }

    async fn open_cart(&self, request: Request<v1::OpenCartRequest>) -> Result<Response<v1::OpenCartResponse>, Status> {
        let odd = self.begin("open_cart");
        self.authorize(&request)?;
        let numbers = request.into_inner().notice_numbers;
        let checkout_url = {
            let mut state = self.state();
            // Exactly the same notices: the same page.
            let known = state.carts.iter().position(|cart| *cart == numbers);
            let at = known.unwrap_or_else(|| {
                state.carts.push(numbers);
                state.carts.len() - 1
            });
            format!("https://checkout.example/cart/{at}")
        };
        let answer = v1::OpenCartResponse { checkout_url, in_progress_until_ms: PAGE_UNTIL, ..Default::default() };
        self.end(odd, answer).await
    }

    async fn get_fees(&self, request: Request<v1::GetFeesRequest>) -> Result<Response<v1::GetFeesResponse>, Status> {
        let odd = self.begin("get_fees");
        self.authorize(&request)?;
        let fees = self.state().fees.clone();
        let same = fees.version == request.get_ref().version;
        self.end(odd, if same { v1::GetFeesResponse { bands: vec![], ..fees } } else { fees }).await
    }

    async fn get_proof(&self, _: Request<v1::GetProofRequest>) -> Result<Response<v1::GetProofResponse>, Status> {
        Err(Status::unimplemented("the core does not ask for proofs"))
    }
}

#[tonic::async_trait]
impl Feed for Fake {
    type WatchStream = Pin<Box<ReceiverStream<Result<v1::WatchResponse, Status>>>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let odd = self.begin("watch");
        self.authorize(&request)?;
        let mut seen = request.get_ref().after_seq;
        self.state().watched_from.push(seen);
        let (sender, receiver) = mpsc::channel(8);
        let (fake, mut fed) = (self.clone(), self.fed.subscribe());
        tokio::spawn(async move {
            let send = async |event| sender.send(Ok(v1::WatchResponse { event: Some(event) })).await.is_ok();
            loop {
                let (news, last, mute) = {
                    let state = fake.state();
                    // Each change is sent twice, as a resumed stream may.
                    let news: Vec<_> = state.feed.iter().filter(|change| change.seq > seen).cloned().collect();
                    (news, state.home.feed_seq, state.mute)
                };
                if mute {
                    sender.closed().await;
                    return;
                }
                if seen > last {
                    send(watch_response::Event::Resync(v1::Resync { feed_seq: last })).await;
                    return;
                }
                for change in news {
                    seen = change.seq;
                    for twice in [change.clone(), change] {
                        if !send(watch_response::Event::Change(twice)).await {
                            return;
                        }
                    }
                }
                let beat = v1::Heartbeat { at_ms: AS_OF, feed_seq: last };
                if !send(watch_response::Event::Heartbeat(beat)).await {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(100), fed.changed()).await;
            }
        });
        self.end(odd, Box::pin(ReceiverStream::new(receiver)) as Self::WatchStream).await
    }
}
