//! Killed at every named step of a top-up, of a renewal, of a change, and started again: it finishes what it began,
//! once. The phone that is killed is this same test program, run again.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use borsellino_core::{
    App, Config, Event, InsecureFileStore, Language, Pace, PayBy, PayItem, Step, SystemClock, TopUpState,
};

use crate::fake::{BILL, CANTEEN, CREDITOR, Fake, GUARDIAN};
use crate::support::{Ears, canteen, euros, pace};

const CHILD: &str = "BORSELLINO_TEST_CHILD";

async fn open(folder: &str, url: &str, crash_at: Option<Step>) -> App {
    let mut config = Config::new(format!("{folder}/cache"), url, Language::Italian);
    // No refresh may overtake the feed: the steps of a change are to be reached.
    config.pace = Pace { gather: Duration::from_secs(30), silence: Duration::from_secs(30), ..pace() };
    config.on_step = crash_at.map(|at| {
        let hook: Arc<dyn Fn(Step) + Send + Sync> = Arc::new(move |step| {
            if step == at {
                std::process::abort();
            }
        });
        hook
    });
    let store = Arc::new(InsecureFileStore::new(format!("{folder}/secrets")));
    App::open(config, store, Arc::new(SystemClock)).await.unwrap()
}

/// What the killed phone does; nothing when run as a test.
#[tokio::test]
async fn killed_phone() {
    let Ok(plan) = std::env::var(CHILD) else { return };
    let [folder, url, step] = plan.split('|').collect::<Vec<_>>()[..] else { panic!("{plan}") };
    let step = Step::ALL.iter().copied().find(|known| known.name() == step);
    let app = open(folder, url, step).await;
    let ears = Arc::new(Ears::default());
    let _watch = app.watch(ears.clone()).unwrap();
    app.start_top_up(canteen(), euros("20"), PayBy::Online).await.unwrap();
    ears.until(|heard| heard.iter().any(|event| matches!(event, Event::BalanceChanged(_)))).await;
}

async fn killed_at(step: Step) {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let app = open(&path, &fake.url, None).await;
    app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
    app.refresh_home().await.unwrap();
    app.shutdown().await;
    drop(app);
    if matches!(step, Step::TokensReceived | Step::TokensStored) {
        fake.expire_access();
    }
    if matches!(step, Step::BeforeCursor | Step::CursorWritten) {
        fake.balance(1_300, 8);
    }

    let plan = format!("{path}|{}|{}", fake.url, step.name());
    let child = tokio::task::spawn_blocking(move || {
        let program = std::env::current_exe().unwrap();
        Command::new(program).args(["kill::killed_phone", "--exact"]).env(CHILD, plan).output().unwrap()
    });
    let status = child.await.unwrap().status;
    assert!(!status.success(), "{} was never reached", step.name());

    // Started again.
    let before = fake.state().orders.len();
    let app = open(&path, &fake.url, None).await;
    app.resume().await.unwrap();
    let home = app.cached_home().unwrap().unwrap();
    assert!(!fake.state().ended, "{}: the session survived", step.name());
    {
        let state = fake.state();
        let mut ids: Vec<_> = state.orders.iter().map(|order| order.id.clone()).collect();
        ids.dedup();
        assert!(ids.len() <= 1 && state.top_ups.len() == ids.len(), "{}: {ids:?}", step.name());
        assert_eq!(home.top_ups.len(), state.top_ups.len(), "{}", step.name());
        let owed = match step {
            // Nothing had left the phone: it leaves now.
            Step::IntentSaved | Step::BeforeSend => 1,
            // The server did it; the phone asks again under the same id.
            Step::AfterSend => 1,
            Step::AfterAnswer => 0,
            _ => state.orders.len() - before,
        };
        assert_eq!(state.orders.len() - before, owed, "{}", step.name());
    }
    assert!(home.top_ups.iter().all(|it| matches!(it.state, TopUpState::InProgress { .. })), "{}", step.name());
    if matches!(step, Step::BeforeCursor | Step::CursorWritten) {
        assert_eq!(home.children[0].wallets[0].balance.cents, 1_300);
    }
    assert_eq!(app.resume().await.unwrap().finished, 0, "{}: finished once", step.name());
}

#[tokio::test]
async fn killed_at_any_step_it_finishes_once() {
    for step in Step::ALL.iter().filter(|step| !matches!(step, Step::BeforeCart | Step::AfterCart)) {
        killed_at(*step).await;
    }
}

/// What the phone does that is killed while it pays several things; nothing when run as a test.
#[tokio::test]
async fn killed_payer() {
    let Ok(plan) = std::env::var(CHILD) else { return };
    let [folder, url, step] = plan.split('|').collect::<Vec<_>>()[..] else { panic!("{plan}") };
    let step = Step::ALL.iter().copied().find(|known| known.name() == step);
    let app = open(folder, url, step).await;
    app.pay_together(three_things()).await.unwrap();
}

fn three_things() -> Vec<PayItem> {
    let top_up = |wallet: &str, text| PayItem::TopUp { wallet: wallet.parse().unwrap(), amount: euros(text) };
    vec![top_up(CANTEEN, "20"), top_up(GUARDIAN, "10"), PayItem::Bill(BILL.parse().unwrap())]
}

#[tokio::test]
async fn several_things_paid_at_once_are_finished_once_wherever_it_is_killed() {
    let steps =
        [Step::IntentSaved, Step::BeforeSend, Step::AfterSend, Step::AfterAnswer, Step::BeforeCart, Step::AfterCart];
    for step in steps {
        let fake = Fake::start().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let app = open(&path, &fake.url, None).await;
        app.sign_in(CREDITOR, "marta", "segreta").await.unwrap();
        app.refresh_home().await.unwrap();
        app.shutdown().await;
        drop(app);
        let plan = format!("{path}|{}|{}", fake.url, step.name());
        let child = tokio::task::spawn_blocking(move || {
            let program = std::env::current_exe().unwrap();
            Command::new(program).args(["kill::killed_payer", "--exact"]).env(CHILD, plan).output().unwrap()
        });
        assert!(!child.await.unwrap().status.success(), "{} was never reached", step.name());

        let app = open(&path, &fake.url, None).await;
        app.resume().await.unwrap();
        {
            let state = fake.state();
            assert_eq!(state.top_ups.len(), 2, "{}", step.name());
            assert_eq!(state.carts.len(), 1, "{}: one page", step.name());
            assert_eq!(state.carts[0].len(), 3, "{}", step.name());
        }
        let home = app.cached_home().unwrap().unwrap();
        let [payment] = home.together.as_slice() else { panic!("{}: {:?}", step.name(), home.together) };
        assert_eq!((payment.top_ups.len(), payment.pages.len()), (2, 1), "{}", step.name());
        assert_eq!(payment.pages[0].total.cents, 2_000 + 1_000 + 5_733);
        assert!(payment.pages[0].checkout_url.is_some());
        let opened = fake.calls("open_cart");
        assert_eq!(app.resume().await.unwrap().finished, 0, "{}: finished once", step.name());
        assert_eq!(fake.calls("open_cart"), opened, "{}: asked for once more", step.name());
    }
}
