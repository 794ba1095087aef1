//! A day of parents with bad coverage: networks come and go two hundred times while three phones with four accounts do what parents
//! do. When the network is back, each phone shows what the server has, and everything was done once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{
    Amount, App, Clock, Config, Error, HomeView, Language, MemoryStore, Millis, Pace, PayBy, PayItem, SecureStore,
    SystemClock, TopUpState,
};
use borsellino_proto::v1;
use borsellino_tests::house::{AMINA, ELENA, Gate, House, MARIA, OPENING, PAOLO, PASSWORD, TOWN, UNION};
use tempfile::TempDir;

borsellino_tests::in_both_houses! {
    two_hundred_times_without_the_network;
}

/// How often a network comes or goes.
const TOGGLES: u32 = 200;

/// What a day has, in milliseconds.
const DAY: u64 = 86_400_000;

/// A phone's clocks: one that is years off, and one that nobody sets.
struct Wrong {
    server: borsellino_server::clock::Clock,
    off: i64,
}

impl Clock for Wrong {
    fn now(&self) -> Millis {
        self.server.now().plus(self.off)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.server.now().get() - OPENING + 77_000).expect("a clock that runs forward")
    }

    fn boot(&self) -> String {
        "the only one".to_owned()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        SystemClock.fill(bytes)
    }
}

struct Pocket {
    data: TempDir,
    store: Arc<dyn SecureStore>,
    clock: Arc<dyn Clock>,
    gate: Gate,
    open: bool,
    app: Option<App>,
    accounts: &'static [(&'static str, &'static str)],
}

impl Pocket {
    async fn new(house: &House, off: i64, accounts: &'static [(&'static str, &'static str)]) -> Self {
        let mut pocket = Self {
            data: TempDir::with_prefix("borsellino-airplane-").expect("a folder"),
            store: Arc::new(MemoryStore::default()),
            clock: Arc::new(Wrong { server: house.app.clock.clone(), off }),
            gate: Gate::before(&house.at.web).await,
            open: true,
            app: None,
            accounts,
        };
        pocket.start().await;
        for (creditor, username) in accounts {
            pocket.app().sign_in(creditor, username, PASSWORD).await.expect("a sign-in");
            pocket.app().refresh_home().await.expect("home");
        }
        pocket
    }

    fn app(&self) -> &App {
        self.app.as_ref().expect("an open app")
    }

    /// Opens the app; once more, as if it had been killed.
    async fn start(&mut self) {
        if let Some(app) = self.app.take() {
            app.shutdown().await;
        }
        let mut config = Config::new(self.data.path(), self.gate.url(), Language::Italian);
        config.pace = Pace {
            patience: Duration::from_millis(400),
            call: Duration::from_secs(5),
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_millis(20),
            ..Pace::default()
        };
        let app = App::open(config, Arc::clone(&self.store), Arc::clone(&self.clock)).await;
        self.app = Some(app.expect("an open app"));
    }

    fn toggle(&mut self) {
        self.open = !self.open;
        if self.open { self.gate.open() } else { self.gate.close() }
    }
}

/// What was asked for and not refused there and then.
#[derive(Default)]
struct Book {
    top_ups: Vec<String>,
    refused: u32,
}

fn any<'a, T>(rng: &mut fastrand::Rng, items: &'a [T]) -> Option<&'a T> {
    rng.choice(items)
}

async fn act(house: &House, rng: &mut fastrand::Rng, pocket: &mut Pocket, book: &mut Book) {
    let app = pocket.app();
    let accounts = app.accounts();
    let account = any(rng, &accounts).expect("an account").key.clone();
    app.use_account(account).await.expect("its account");
    let Some(home) = app.cached_home().expect("a cache") else { return };
    let wallets: Vec<_> = home.children.iter().flat_map(|child| &child.wallets).filter(|wallet| wallet.open).collect();
    let amount = || Amount::from_cents(500).expect("an amount");
    match rng.u32(0..12) {
        0..=2 => {
            let Some(wallet) = any(rng, &wallets) else { return };
            let by = if rng.bool() { PayBy::Online } else { PayBy::Notice };
            let cents = 500 * i64::from(rng.u8(1..5));
            let amount = Amount::from_cents(cents).expect("an amount");
            match app.start_top_up(wallet.id, amount, by).await {
                Ok(view) => book.top_ups.push(view.id.to_string()),
                Err(Error::InProgress(_)) => book.refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        3 => {
            let Some(bill) = any(rng, &home.bills) else { return };
            // Without the network a page can't be had; nothing is lost with it.
            let _ = app.pay_bill(bill.id).await;
        }
        4 => {
            let Some(wallet) = any(rng, &wallets) else { return };
            let mut items = vec![PayItem::TopUp { wallet: wallet.id, amount: amount() }];
            items.extend(any(rng, &home.bills).filter(|bill| bill.notice.is_some()).map(|bill| PayItem::Bill(bill.id)));
            match app.pay_together(items).await {
                Ok(view) => book.top_ups.extend(view.top_ups.iter().map(ToString::to_string)),
                Err(Error::InProgress(_) | Error::Invalid(_)) => book.refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        5 => {
            let _ = app.sync().await;
        }
        6 => {
            let _ = app.resume().await;
        }
        7 => {
            let Some(top_up) = any(rng, &home.top_ups) else { return };
            let _ = app.retry_top_up(top_up.id).await;
        }
        8 | 9 => {
            // Somebody pays at a counter, whatever the phone's network does.
            let notices: Vec<_> = home.top_ups.iter().filter_map(|view| view.notice.as_ref()).collect();
            let Some(notice) = any(rng, &notices) else { return };
            house.counter(&notice.creditor_fiscal_code, &notice.number).await;
        }
        10 => {
            let _ = app.movements(None, None).await;
            let _ = app.receipts(None).await;
        }
        _ => pocket.start().await,
    }
}

/// What can be held against the server's home screen.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    wallets: BTreeMap<String, (i64, i64, bool)>,
    bills: BTreeMap<String, (i64, Option<String>)>,
    payments: BTreeMap<String, (i64, &'static str)>,
    movements: Vec<(String, i64)>,
    due: i64,
}

fn of_phone(home: &HomeView) -> Told {
    let wallets = home.children.iter().flat_map(|child| &child.wallets);
    let payments = home.top_ups.iter().filter_map(|view| {
        let state = match &view.state {
            TopUpState::Payable { .. } => "payable",
            TopUpState::InProgress { .. } => "in progress",
            TopUpState::NotCompleted { .. } => "not completed",
            // Refused is the phone's to tell; what is over is no longer on the server's screen.
            TopUpState::Refused(_) | TopUpState::Paid { .. } | TopUpState::PaidTwice { .. } => return None,
            other => panic!("{other:?} when all is done"),
        };
        Some((view.id.to_string(), (view.amount.cents, state)))
    });
    Told {
        wallets: wallets.map(|it| (it.id.to_string(), (it.balance.cents, it.max.cents, it.low.is_some()))).collect(),
        bills: home
            .bills
            .iter()
            .filter(|bill| bill.residual.cents > 0)
            .map(|bill| (bill.id.to_string(), (bill.residual.cents, bill.notice.as_ref().map(|it| it.number.clone()))))
            .collect(),
        payments: payments.collect(),
        movements: home
            .movements
            .iter()
            .map(|it| (it.wallet.map(|id| id.to_string()).unwrap_or_default(), it.seq))
            .collect(),
        due: home.total_due.cents,
    }
}

fn of_server(home: &v1::HomeResponse) -> Told {
    let wallets = home.children.iter().flat_map(|child| &child.wallets);
    let max = |wallet: &v1::Wallet| wallet.choices.as_ref().map_or(0, |choices| choices.max_cents);
    let state = |payment: &v1::Payment| match payment.state() {
        v1::PaymentState::Payable => "payable",
        v1::PaymentState::InProgress => "in progress",
        v1::PaymentState::NotCompleted => "not completed",
        other => panic!("{other:?} on a home screen"),
    };
    Told {
        wallets: wallets.map(|it| (it.id.clone(), (it.balance_cents, max(it), it.low))).collect(),
        bills: home
            .bills
            .iter()
            .map(|bill| (bill.id.clone(), (bill.residual_cents, bill.notice.as_ref().map(|it| it.number.clone()))))
            .collect(),
        payments: home.payments.iter().map(|it| (it.id.clone(), (it.amount_cents, state(it)))).collect(),
        movements: home.movements.iter().map(|it| (it.wallet_id.clone(), it.seq)).collect(),
        due: home.total_due_cents,
    }
}

async fn two_hundred_times_without_the_network(house: &House) {
    let seed = std::env::var("BORSELLINO_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_120);
    let mut rng = fastrand::Rng::with_seed(seed);
    let year = 365 * 86_400_000;
    let mut pockets = [
        Pocket::new(house, year, &[(TOWN, MARIA)]).await,
        Pocket::new(house, -year, &[(TOWN, PAOLO)]).await,
        Pocket::new(house, 0, &[(TOWN, AMINA), (UNION, ELENA)]).await,
    ];
    let before = house.number("SELECT COUNT(*) FROM top_up").await;
    let mut book = Book::default();
    for _ in 0..TOGGLES {
        house.advance(Duration::from_millis(DAY / u64::from(TOGGLES)));
        let (which, who) = (rng.usize(0..pockets.len()), rng.usize(0..pockets.len()));
        pockets[which].toggle();
        act(house, &mut rng, &mut pockets[who], &mut book).await;
    }
    let mut refused = 0;
    for pocket in &mut pockets {
        if !pocket.open {
            pocket.toggle();
        }
        // The last call of the queue may meet a connection that was cut.
        let mut tries = 0;
        while !matches!(pocket.app().resume().await, Ok(resumed) if resumed.waiting == 0) {
            tries += 1;
            assert!(tries < 50, "seed {seed}: the queue does not drain");
        }
    }
    for pocket in &pockets {
        for (creditor, username) in pocket.accounts {
            let account = pocket.app().accounts().into_iter().find(|view| view.creditor.fiscal_code == *creditor);
            pocket.app().use_account(account.expect("its account").key).await.expect("its account");
            pocket.app().sync().await.expect("the network is back");
            let shown = pocket.app().cached_home().expect("a cache").expect("a home screen");
            let is_refused = |view: &&borsellino_core::TopUpView| matches!(view.state, TopUpState::Refused(_));
            refused += shown.top_ups.iter().filter(is_refused).count();
            let phone = house.try_sign_in(creditor, username, PASSWORD).await.expect("a sign-in");
            let home = phone.home().await.expect("home");
            assert_eq!(of_phone(&shown), of_server(&home), "seed {seed}: {username}");
        }
    }
    book.top_ups.sort();
    book.top_ups.dedup();
    let kept = house.number("SELECT COUNT(*) FROM top_up").await - before;
    let asked = i64::try_from(book.top_ups.len()).expect("a number");
    let refused = i64::try_from(refused).expect("a number");
    assert_eq!(kept + refused, asked, "seed {seed}: each order once, or refused and said so");
    assert!(kept > 10 && asked > 20, "seed {seed}: {kept} of {asked}: a day on which something happened");
    let odd = house.number("SELECT COUNT(*) FROM top_up WHERE asked IN ('forged', 'impossible')").await;
    let dated = house.number("SELECT COUNT(*) FROM top_up WHERE asked = 'known'").await;
    assert_eq!((odd, dated), (0, kept), "seed {seed}: each dated, though the clocks are years off");
    for pocket in &pockets {
        pocket.app().shutdown().await;
    }
}
