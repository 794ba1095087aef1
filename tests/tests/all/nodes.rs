//! Several nodes on one PostgreSQL: what one takes, the phones of another see; and they are replaced one by one without a
//! failed call.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::time::Millis;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1::PayBy;
use borsellino_server::cli::demo::{self, Ports};
use borsellino_server::clock::Clock;
use borsellino_server::soap::PATH;
use borsellino_server::usecases::ledger_verify::verify;
use borsellino_server::{Listeners, Parts};
use borsellino_store::Store;
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{
    AMINA, MARIA, OPENING, PASSWORD, Phone, SOON, Soap, TOWN, http, next_change, reason, wallet,
};
use borsellino_tests::stores::Fresh;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use zeroize::Zeroizing;

/// How often the balancer asks whether a node is ready.
const ASK: Duration = Duration::from_millis(20);

/// How long a node goes on after it was asked to stop.
const DRAIN: Duration = Duration::from_millis(400);

/// A node that can be stopped and started again where it was.
struct Node {
    public: SocketAddr,
    node: SocketAddr,
    running: Mutex<Option<Running>>,
    ready: Arc<AtomicBool>,
    channel: Channel,
}

struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

fn clock() -> Clock {
    Clock::of(|| Millis::new(OPENING))
}

async fn port(at: &str) -> TcpListener {
    TcpListener::bind(at).await.expect("a port")
}

impl Node {
    async fn new() -> Self {
        let (public, node) = (port("127.0.0.1:0").await, port("127.0.0.1:0").await);
        let public = public.local_addr().expect("a port");
        let channel = Endpoint::new(format!("http://{public}")).expect("an address").connect_lazy();
        let ready = Arc::new(AtomicBool::new(false));
        Self { public, node: node.local_addr().expect("a port"), running: Mutex::default(), ready, channel }
    }

    async fn start(&self, url: &str) {
        let store = Store::connect_postgres(url, 8).await.expect("the database");
        let secret = Zeroizing::new([7; 32]);
        let parts = Parts { store, clock: clock(), secret, checkout: None, public_url: String::new() };
        let (app, stop_server) = borsellino_server::open(parts).await.expect("a server");
        let (public, node) = (port(&self.public.to_string()).await, port(&self.node.to_string()).await);
        let listeners = Listeners { drain: DRAIN, ..Listeners::in_clear(public, node) };
        let (stop, asked) = oneshot::channel::<()>();
        let until = async move { drop(asked.await) };
        let served = tokio::spawn(borsellino_server::run(app, stop_server, listeners, until));
        *self.running.lock().expect("the lock") = Some(Running { stop, served });
    }

    async fn stop(&self) {
        let running = self.running.lock().expect("the lock").take().expect("a running node");
        running.stop.send(()).expect("a server that listens");
        running.served.await.expect("no panic").expect("an orderly end");
    }

    /// Asks again and again whether the node is ready, as a load balancer does.
    fn probe(&self, client: reqwest::Client) -> JoinHandle<()> {
        let (ready, at) = (Arc::clone(&self.ready), format!("http://{}/readyz", self.public));
        tokio::spawn(async move {
            loop {
                let answer = client.get(&at).timeout(Duration::from_secs(2)).send().await;
                ready.store(answer.is_ok_and(|answer| answer.status() == 200), Ordering::SeqCst);
                sleep(ASK).await;
            }
        })
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        while !self.ready.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < SOON, "a node that never gets ready");
            sleep(ASK).await;
        }
    }

    async fn phone(&self, username: &str) -> Phone {
        Phone::sign_in(self.channel.clone(), TOWN, username, PASSWORD).await.expect("a sign-in")
    }

    async fn deliver(&self, client: &reqwest::Client, receipt: &Receipt) -> Soap {
        let endpoint = format!("http://{}{PATH}", self.node);
        Soap::call(client, &endpoint, Some(receipt.action()), receipt.xml()).await
    }
}

/// Two nodes on the demo's families.
async fn nodes() -> (Fresh, Vec<Arc<Node>>, Vec<JoinHandle<()>>) {
    let fresh = Fresh::postgres("nodes").await.expect("a database");
    let at = "127.0.0.1:0";
    let ports = Ports { public: port(at).await, node: port(at).await, sandbox: port(at).await };
    let secret = Zeroizing::new([7; 32]);
    drop(demo::open_house(fresh.store.clone(), clock(), secret, ports).await.expect("a full store"));
    let (mut nodes, mut probes) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let node = Node::new().await;
        node.start(fresh.url().expect("PostgreSQL")).await;
        probes.push(node.probe(http()));
        node.until_ready().await;
        nodes.push(Arc::new(node));
    }
    (fresh, nodes, probes)
}

async fn close(fresh: Fresh, nodes: Vec<Arc<Node>>, probes: Vec<JoinHandle<()>>) {
    probes.iter().for_each(JoinHandle::abort);
    for node in nodes {
        node.stop().await;
    }
    let town = CreditorCode::parse(TOWN).expect("a creditor");
    let report = verify(&fresh.store, &town, |_| {}).await.expect("a readable ledger");
    assert!(report.broken.is_none(), "{:?}", report.broken);
    fresh.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_taken_by_one_reaches_a_phone_at_another() {
    let (fresh, nodes, probes) = nodes().await;
    let phone = nodes[0].phone(MARIA).await;
    let home = phone.home().await.expect("home");
    let waiting = home.payments[0].clone();
    let before = wallet(&home, "Giulia", "Mensa scolastica").balance_cents;
    let mut stream = phone.watch(home.feed_seq).await.expect("a stream");
    let receipt = Receipt::new(&waiting.notice.expect("a notice").number, 2_000);
    assert!(nodes[1].deliver(&http(), &receipt).await.is_ok());
    let told = timeout(SOON, next_change(&mut stream)).await.expect("news from the other node");
    assert_eq!(told.wallet.map(|wallet| wallet.balance_cents), Some(before + 2_000));
    assert!(nodes[0].deliver(&http(), &receipt).await.is_ok(), "the same receipt, at the other one");
    let home = phone.home().await.expect("home");
    assert_eq!(wallet(&home, "Giulia", "Mensa scolastica").balance_cents, before + 2_000, "once");

    // A session that ends at one node ends the streams at the other.
    phone.on(nodes[1].channel.clone()).sign_out().await.expect("a sign-out");
    let end = async {
        loop {
            if let Err(status) = stream.message().await {
                break status;
            }
        }
    };
    let end = timeout(SOON, end).await.expect("an end");
    assert_eq!(reason(Err::<(), _>(end)), Reason::SessionEnded);
    close(fresh, nodes, probes).await;
}

/// Who calls goes to a node that says it is ready; none of the calls fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_replaced_one_by_one_without_a_failed_call() {
    let (fresh, nodes, probes) = nodes().await;
    fresh.raw_execute("UPDATE service SET max_open = 1000, wallet_max_cents = 9000000").await.expect("room");
    let url = fresh.url().expect("PostgreSQL").to_owned();
    let (over, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let choose = |nodes: Vec<Arc<Node>>, turn: Arc<AtomicU64>| {
        move || {
            let start = usize::try_from(turn.fetch_add(1, Ordering::SeqCst)).expect("a turn");
            let mut all = (0..nodes.len()).map(|step| Arc::clone(&nodes[(start + step) % nodes.len()]));
            all.find(|node| node.ready.load(Ordering::SeqCst)).expect("one node is ready")
        }
    };
    let before = fresh.raw_number("SELECT CAST(SUM(balance_cents) AS BIGINT) FROM account WHERE kind = 'wallet'").await;
    let before = before.expect("a sum");
    let mut callers = Vec::new();
    for username in [MARIA, AMINA] {
        let (choose, over) = (choose(nodes.clone(), Arc::clone(&turn)), Arc::clone(&over));
        let phone = nodes[0].phone(username).await;
        callers.push(tokio::spawn(async move {
            let (client, mut calls, mut paid) = (http(), 0u64, 0i64);
            while !over.load(Ordering::SeqCst) {
                let phone = phone.on(choose().channel.clone());
                let home = phone.home().await.expect("home");
                let to = home.children.iter().flat_map(|child| &child.wallets).find(|wallet| wallet.open);
                let to = to.expect("an open wallet").id.clone();
                let payment = phone.on(choose().channel.clone()).top_up(&to, 500, PayBy::Notice).await;
                let notice = payment.expect("a top-up").notice.expect("a notice").number;
                let receipt = Receipt::new(&notice, 500);
                for answer in
                    join_all([choose(), choose(), choose()].iter().map(|at| at.deliver(&client, &receipt))).await
                {
                    assert!(answer.is_ok(), "{answer:?}");
                }
                (calls, paid) = (calls + 5, paid + 500);
            }
            (calls, paid)
        }));
    }
    let mut replaced = 0;
    for node in nodes.iter().chain(&nodes) {
        node.stop().await;
        node.start(&url).await;
        node.until_ready().await;
        replaced += 1;
    }
    over.store(true, Ordering::SeqCst);
    let (mut calls, mut paid) = (0, 0);
    for caller in callers {
        let (its_calls, its_paid) = caller.await.expect("no call failed");
        (calls, paid) = (calls + its_calls, paid + its_paid);
    }
    assert_eq!(replaced, 4);
    assert!(calls >= 40, "there was hardly any load: {calls} calls");
    let first = fresh.raw_number("SELECT CAST(SUM(balance_cents) AS BIGINT) FROM account WHERE kind = 'wallet'");
    let now = first.await.expect("a sum");
    assert_eq!(now - before, paid, "each top-up is credited once");
    let receipts = fresh.raw_number("SELECT COUNT(*) FROM receipt WHERE ours_cents = 500 AND outcome = 'wallet'").await;
    assert_eq!(receipts.expect("a count") * 500, paid);
    close(fresh, nodes, probes).await;
}
