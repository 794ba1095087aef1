//! Pushes a second, against a strict fake of FCM on the same machine: the sender alone, and the whole way from rows of the
//! outbox to settled deliveries on both engines; held against FCM's quota of a project, 600,000 a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{SessionId, uuid_v7};
use borsellino_domain::language::Language;
use borsellino_domain::ledger::Hash;
use borsellino_domain::time::Millis;
use borsellino_server::clock::{Clock, random};
use borsellino_server::config::parse_secret;
use borsellino_server::notify::fcm::Answer;
use borsellino_server::notify::{Kind, Platform, Push, PushMessage, PushToken, Settings};
use borsellino_server::usecases::App;
use borsellino_server::usecases::devices::{Registration, register};
use borsellino_server::{Parts, jobs};
use borsellino_store::{RawPool, Store};
use borsellino_tests::fcm::Fcm;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use crate::product::{Awake, SECRET};
use crate::report::{Limit, heading, judge, note, rate};
use crate::{Sizes, durable, town};

/// FCM's quota of a project, a second.
const QUOTA: f64 = 10_000.0;

/// How many rows are written in one transaction.
const CHUNK: u64 = 1_000;

/// A fake on a thread of its own, as FCM is a machine of its own.
struct Fake {
    fcm: Arc<Fcm>,
    _stop: oneshot::Sender<()>,
}

fn fake() -> anyhow::Result<Fake> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async move {
            let fcm = Arc::new(Fcm::start_forgetful(Clock::system()).await);
            if tell.send(Arc::clone(&fcm)).is_ok() {
                drop(stopped.await);
            }
        });
    });
    Ok(Fake { fcm: told.recv().context("no fake")?, _stop: stop })
}

/// Everything.
pub(crate) fn run(sizes: Sizes) -> anyhow::Result<()> {
    heading("Pushes, against a fake of FCM on the same machine");
    let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let awake = Awake::start();
    alone(&runtime()?, sizes)?;
    let directory = TempDir::with_prefix("borsellino-bench-")?;
    let lite = runtime()?;
    let store = lite.block_on(Store::open_sqlite(&directory.path().join("push.sqlite")))?;
    whole(&lite, store, "SQLite", sizes)?;
    let server = durable()?;
    let pg = runtime()?;
    let store = pg.block_on(async {
        let url = server.database("push").await;
        Store::connect_postgres(&url, 16).await
    })?;
    whole(&pg, store, "PostgreSQL", sizes)?;
    drop(awake);
    Ok(())
}

/// The sender without a database.
fn alone(runtime: &Runtime, sizes: Sizes) -> anyhow::Result<()> {
    let fake = fake()?;
    let settings = Settings::default();
    let message = PushMessage {
        token: PushToken::parse("android-bench").context("a token")?,
        platform: Platform::Android,
        language: Language::Italian,
        kind: Kind::PaymentDone,
        id: uuid_v7(Clock::system().now(), random()?),
        session: SessionId::new(Clock::system().now(), random()?),
        feed_seq: 1,
        at: Clock::system().now(),
    };
    let mut rates = Vec::new();
    for _ in 0..sizes.rounds {
        let push = fake.fcm.sender(settings);
        let (sent, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let until = begun + Duration::from_secs(sizes.seconds);
        let lost = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let mut lanes = tokio::task::JoinSet::new();
            for _ in 0..settings.in_flight {
                let (push, message) = (Arc::clone(&push), message.clone());
                let (sent, lost) = (Arc::clone(&sent), Arc::clone(&lost));
                lanes.spawn(async move {
                    while Instant::now() < until {
                        if push.fcm.send(&message, Clock::system().now()).await == Answer::Sent {
                            sent.fetch_add(1, Ordering::Relaxed);
                        } else {
                            lost.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
            while lanes.join_next().await.is_some() {}
        });
        ensure!(!lost.load(Ordering::Relaxed), "a push was not taken");
        rates.push(rate(sent.load(Ordering::Relaxed), begun.elapsed()));
    }
    judge("the sender alone, 256 in flight, pushes/s", &rates, "", Limit::AtLeast(QUOTA));
    Ok(())
}

/// From rows of the outbox, one device each, to settled deliveries.
fn whole(runtime: &Runtime, store: Store, engine: &str, sizes: Sizes) -> anyhow::Result<()> {
    let fake = fake()?;
    let app = runtime.block_on(prepare(store.clone(), sizes.pushes))?;
    let mut rates = Vec::new();
    for round in 0..sizes.rounds {
        runtime.block_on(lay(&app, round, sizes.pushes))?;
        rustix::fs::sync();
        let push: Arc<Push> = fake.fcm.sender(Settings { every: Duration::from_millis(20), ..Settings::default() });
        let (stop, stopping) = watch::channel(false);
        let begun = Instant::now();
        let app = App { push: Some(push), stopping, ..app.clone() };
        let elapsed = runtime.block_on(async {
            let running = tokio::spawn(jobs::push::run(app.clone()));
            let settled = i64::try_from((round + 1) * sizes.pushes)?;
            while number(&store, "SELECT COUNT(*) FROM delivery WHERE outcome = 'sent'").await? < settled {
                ensure!(begun.elapsed() < Duration::from_secs(600), "it does not end");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let elapsed = begun.elapsed();
            stop.send(true)?;
            running.await?;
            anyhow::Ok(elapsed)
        })?;
        rates.push(rate(sizes.pushes, elapsed));
    }
    let again = "SELECT COUNT(*) FROM delivery WHERE outcome <> 'sent' OR attempts <> 1";
    let again = runtime.block_on(number(&store, again))?;
    note("pushes a round", sizes.pushes);
    ensure!(again == 0, "{again} pushes were not sent at the first try");
    let sent = u64::try_from(fake.fcm.count())?;
    ensure!(sent == sizes.rounds * sizes.pushes, "{sent} pushes were sent");
    judge(&format!("outbox to settled, {engine}, pushes/s"), &rates, "", Limit::AtLeast(QUOTA));
    runtime.block_on(store.close());
    Ok(())
}

async fn number(store: &Store, sql: &'static str) -> anyhow::Result<i64> {
    Ok(match store.raw() {
        RawPool::Lite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
        RawPool::Pg(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
    })
}

/// A town in which each guardian has a device.
async fn prepare(store: Store, notices: u64) -> anyhow::Result<App> {
    town::build(&store, notices).await?;
    let parts = Parts {
        store: store.clone(),
        clock: Clock::system(),
        secret: parse_secret(SECRET)?,
        checkout: None,
        public_url: String::new(),
    };
    let (app, _) = borsellino_server::open(parts).await?;
    for (g, who) in town::sign_everybody_in(&store).await?.into_iter().enumerate() {
        let token = PushToken::parse(&format!("android-{g}")).context("a token")?;
        let wish = Registration { token, platform: Platform::Android, language: Language::Italian };
        register(&app, who, wish).await.map_err(|stop| anyhow::anyhow!("{stop:?}"))?;
    }
    Ok(app)
}

/// As if each notice had just been paid.
async fn lay(app: &App, round: u64, notices: u64) -> anyhow::Result<()> {
    let now: Millis = app.now();
    for first in (0..notices).step_by(usize::try_from(CHUNK)?) {
        let laid = app.store.write::<(), (), _>("lay rows", move |tx| {
            Box::pin(async move {
                for k in first..notices.min(first + CHUNK) {
                    let corrupt = |_| borsellino_store::StoreError::Corrupt("a bench's row");
                    let creditor = CreditorCode::from_digits(&town::creditor(k)).map_err(corrupt)?;
                    let mut unique = [0; 10];
                    unique
                        .iter_mut()
                        .zip(Hash::of(format!("{round} {k}").as_bytes()).0)
                        .for_each(|(to, from)| *to = from);
                    let id = uuid_v7(now, unique).into();
                    tx.insert_outbox(&creditor, id, ("payment_done", &town::number(k)), now).await?;
                }
                Ok(Ok(()))
            })
        });
        ensure!(laid.await?.is_ok(), "no rows");
    }
    Ok(())
}
