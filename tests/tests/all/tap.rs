//! The tap, as a phone sees it: from the activation code to the new balance.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use borsellino_proto::v1::{self, BillState, MovementKind, PayBy, PaymentState, ServiceKind};
use borsellino_tests::house::node::Receipt;
use borsellino_tests::house::{
    ELENA, House, MARIA, PAOLO, PASSWORD, Phone, TOWN, UNION, next_change, order, reason, wallet,
};
use futures_util::future::join_all;
use prost::Message;

borsellino_tests::in_both_houses! {
    from_the_letter_to_the_home_screen;
    home_shows_what_a_parent_asks;
    home_is_cheap;
    movements_page_to_the_end;
    a_page_stands_while_money_moves;
    paid_online_the_phone_sees_it_at_once;
    paid_with_the_notice_at_the_counter;
    a_replay_creates_nothing;
    with_checkout_down_the_notice_stands;
    a_bill_is_paid_online;
    both_guardians_see_the_bill_each_their_payments;
    a_page_is_used_while_it_lives;
    a_refused_card_can_be_tried_again;
}

const MINUTE: Duration = Duration::from_secs(60);

async fn home(phone: &Phone) -> v1::HomeResponse {
    phone.home().await.expect("home")
}

fn notice(payment: &v1::Payment) -> &v1::Notice {
    payment.notice.as_ref().expect("a notice")
}

async fn carts(house: &House) -> usize {
    house.sandbox("carts").await.as_array().expect("a list").len()
}

async fn from_the_letter_to_the_home_screen(house: &House) {
    let nobody = house.phone(PAOLO).await.with_token("");
    for (code, fiscal_code, name) in [
        ("5645312010", TOWN, "Comune di Valdorso"),
        (" 56453-120 10 ", TOWN, "Comune di Valdorso"),
        ("5645 3120 28", UNION, "Unione dei Comuni della Valle"),
    ] {
        let creditor = nobody.resolve(code).await.expect("a creditor");
        assert_eq!((creditor.fiscal_code.as_str(), creditor.name.as_str()), (fiscal_code, name));
        assert!(!creditor.cbill.is_empty() && !creditor.help_phone.is_empty());
    }
    let phone = house.try_sign_in(TOWN, " Maria.Bianchi ", PASSWORD).await.expect("case and blanks don't matter");
    assert_eq!(phone.guardian.display_name, "Maria Bianchi");
    assert_eq!(phone.creditor.fiscal_code, TOWN);
    assert_eq!(phone.tokens.access_expires_at_ms, house.now() + 15 * 60_000);
    assert_eq!(home(&phone).await.guardian, Some(phone.guardian.clone()));
}

async fn home_shows_what_a_parent_asks(house: &House) {
    let home = home(&house.phone(MARIA).await).await;
    assert_eq!(home.as_of_ms, house.now());
    let children: Vec<_> = home.children.iter().map(|c| (c.given_name.as_str(), c.class_name.as_str())).collect();
    assert_eq!(children, [("Giulia", "3A"), ("Luca", "Grandi")]);
    let wallets = home.children.iter().flat_map(|child| &child.wallets);
    let wallets: Vec<_> =
        wallets.map(|w| (w.service_name.as_str(), w.kind(), w.balance_cents, w.covers_units, w.low, w.open)).collect();
    assert_eq!(
        wallets,
        [
            ("Mensa scolastica", ServiceKind::Canteen, 1_215, 2, true, true),
            ("Trasporto scolastico", ServiceKind::Transport, 600, 5, false, true),
            ("Nido", ServiceKind::Nursery, 15_000, 0, false, true),
            ("Post-scuola", ServiceKind::AfterSchool, -100, 0, true, true),
        ]
    );
    let choices = wallet(&home, "Giulia", "Mensa scolastica").choices.as_ref().expect("choices");
    assert_eq!(choices.presets_cents, [1_000, 2_000, 4_000, 6_000]);
    assert_eq!((choices.suggested_cents, choices.min_cents, choices.max_cents), (2_000, 500, 20_000));

    let bills: Vec<_> = home.bills.iter().map(|b| (b.number.as_str(), b.residual_cents, b.state())).collect();
    assert_eq!(bills, [("2026/118", 23_733, BillState::Open), ("2026/204", 3_600, BillState::Open)]);
    assert_eq!(home.bills[0].due_date, "2026-12-15");
    let lines: Vec<_> = home.bills[0].lines.iter().map(|l| (l.service_name.as_str(), l.cents)).collect();
    assert_eq!(HashSet::from([("Nido", 18_000), ("Trasporto scolastico", 5_733)]), HashSet::from_iter(lines));
    assert_eq!(home.total_due_cents, 27_333);

    let [waiting] = &home.payments[..] else { panic!("{:?}", home.payments) };
    assert_eq!(
        (waiting.amount_cents, waiting.state(), waiting.pay_by()),
        (2_000, PaymentState::Payable, PayBy::Notice)
    );
    let qr = format!("PAGOPA|002|{}|{TOWN}|2000", notice(waiting).number);
    assert_eq!(notice(waiting).qr_text, qr);

    assert_eq!(home.movements.len(), 5);
    assert!(home.movements.is_sorted_by_key(|movement| std::cmp::Reverse(movement.at_ms)));
    let meal = home.movements.iter().find(|its| its.kind() == MovementKind::Charge && its.tariff == "fascia 2");
    let meal = meal.expect("yesterday's meal");
    assert_eq!((meal.cents, meal.day.as_str()), (-425, "2026-11-19"));
    assert!(home.feed_seq > 0);
}

async fn home_is_cheap(house: &House) {
    let phone = house.phone(MARIA).await;
    phone
        .top_up(&wallet(&home(&phone).await, "Giulia", "Trasporto scolastico").id, 1_000, PayBy::Online)
        .await
        .unwrap();
    // Other work of the server may fall between the two readings, so the best of a few counts.
    let mut cheapest = u64::MAX;
    for _ in 0..5 {
        let before = house.fresh.store.statements();
        let home = home(&phone).await;
        cheapest = cheapest.min(house.fresh.store.statements() - before);
        let bytes = home.encoded_len();
        assert!(bytes <= 4_096, "{bytes} bytes for a family of two children");
        assert_eq!(home.payments.len(), 2);
    }
    assert!((1..=3).contains(&cheapest), "{cheapest} statements");
}

/// Every movement, by pages of `size`; each page but the last is full.
async fn all(phone: &Phone, wallet: &str, size: u32) -> Vec<v1::Movement> {
    let (mut movements, mut token) = (Vec::new(), String::new());
    loop {
        let page = phone.movements(wallet, size, &token).await.expect("a page");
        let last = page.next_page_token.is_empty();
        assert!(last || page.movements.len() == size as usize, "a page in the middle is full");
        assert!(!page.movements.is_empty() || movements.is_empty(), "an empty page after a full one");
        movements.extend(page.movements);
        if last {
            return movements;
        }
        token = page.next_page_token;
    }
}

/// Newest first, every number of every wallet once, and the balances add up.
fn is_whole(movements: &[v1::Movement]) {
    assert!(movements.is_sorted_by_key(|movement| std::cmp::Reverse(movement.at_ms)));
    let mut wallets: HashMap<&str, Vec<&v1::Movement>> = HashMap::new();
    for movement in movements {
        wallets.entry(&movement.wallet_id).or_default().push(movement);
    }
    for (wallet, newest_first) in wallets {
        let mut balance = 0;
        for (seq, movement) in (1..).zip(newest_first.into_iter().rev()) {
            balance += movement.cents;
            assert_eq!((movement.seq, movement.balance_after_cents), (seq, balance), "{wallet}");
        }
    }
}

async fn movements_page_to_the_end(house: &House) {
    let phone = house.phone(MARIA).await;
    let home = home(&phone).await;
    let family = all(&phone, "", 100).await;
    is_whole(&family);
    assert_eq!(family.len(), 31 + 22 + 2 + 7, "the histories of four wallets");
    assert_eq!(family[..5], home.movements);
    for size in [1, 7, 61, 62] {
        assert_eq!(all(&phone, "", size).await, family, "pages of {size}");
    }
    for child in &home.children {
        for wallet in &child.wallets {
            let own: Vec<_> = family.iter().filter(|its| its.wallet_id == wallet.id).cloned().collect();
            assert_eq!(own.first().map(|newest| newest.balance_after_cents), Some(wallet.balance_cents));
            assert_eq!(own.first().map(|newest| newest.seq), Some(wallet.seq));
            for size in [1, 5, 100] {
                assert_eq!(all(&phone, &wallet.id, size).await, own, "pages of {size}");
            }
        }
    }
    assert_eq!(phone.movements("", 0, "").await.expect("a page").movements.len(), 20, "the usual page");
    let large = phone.movements("", u32::MAX, "").await.expect("a page");
    assert_eq!(large.movements, family, "at most a hundred");
}

async fn a_page_stands_while_money_moves(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(&phone).await, "Giulia", "Mensa scolastica").id.clone();
    for scope in ["", &canteen] {
        let before = all(&phone, scope, 100).await;
        let first = phone.movements(scope, 4, "").await.expect("a page");
        let (mut movements, mut token) = (first.movements, first.next_page_token);
        while !token.is_empty() {
            // Between any two pages a top-up is paid.
            house.advance(Duration::from_millis(1));
            let payment = phone.top_up(&canteen, 500, PayBy::Notice).await.expect("a top-up");
            assert!(house.deliver(&Receipt::new(&notice(&payment).number, 500)).await.is_ok());
            let page = phone.movements(scope, 40, &token).await.expect("a page");
            movements.extend(page.movements);
            token = page.next_page_token;
        }
        assert_eq!(movements, before, "what is older than the first page is not disturbed");
        is_whole(&all(&phone, scope, 3).await);
    }
}

async fn paid_online_the_phone_sees_it_at_once(house: &House) {
    let phone = house.phone(MARIA).await;
    let before = home(&phone).await;
    let canteen = wallet(&before, "Giulia", "Mensa scolastica");
    let mut stream = phone.watch(before.feed_seq).await.expect("a stream");

    let answer = phone.start(order(&canteen.id, 4_000, PayBy::Online)).await.expect("a top-up");
    assert!(!answer.replayed && !answer.checkout_unavailable);
    let payment = answer.payment.expect("a payment");
    assert_eq!(payment.state(), PaymentState::InProgress);
    assert_eq!(payment.in_progress_until_ms, house.now() + 30 * 60_000);
    assert!(payment.checkout_url.starts_with(&house.at.sandbox), "{}", payment.checkout_url);
    let page = house.http.get(&payment.checkout_url).send().await.expect("the page");
    assert_eq!(page.status(), 200);
    for movements in [home(&phone).await.movements, before.movements.clone()] {
        assert_eq!(movements[0].cents, before.movements[0].cents, "nothing is booked before the receipt");
    }

    let paid = house.pay_page(&payment.checkout_url).await;
    assert_eq!(paid["payments"][0]["amount_cents"], 4_000);
    assert_eq!(paid["payments"][0]["delivery"], "acknowledged");
    let told = loop {
        let change = next_change(&mut stream).await;
        if change.wallet.as_ref().is_some_and(|wallet| wallet.seq > canteen.seq) {
            break change;
        }
    };
    let balance = told.wallet.expect("a wallet");
    assert_eq!(balance.wallet_id, canteen.id);
    assert_eq!((balance.balance_cents, balance.seq), (canteen.balance_cents + 4_000, canteen.seq + 1));
    let own = told.payment.expect("the payment comes with its money");
    assert_eq!((own.id.as_str(), own.state()), (payment.id.as_str(), PaymentState::Paid));
    assert_eq!(own.checkout_url, "", "a paid payment has no page");

    let after = home(&phone).await;
    assert_eq!(wallet(&after, "Giulia", "Mensa scolastica").balance_cents, canteen.balance_cents + 4_000);
    assert_eq!(after.feed_seq, told.seq);
    assert_eq!(after.payments, before.payments);
    assert_eq!(phone.payment(&payment.id).await.expect("the payment"), own);

    // The browser comes back to a page that promises nothing.
    let back = house.http.get(paid["return_url"].as_str().expect("a page")).send().await.expect("the page");
    assert_eq!(back.status(), 200);
    assert!(back.text().await.expect("a text").contains("in attesa di conferma"));
}

async fn paid_with_the_notice_at_the_counter(house: &House) {
    let phone = house.phone(MARIA).await;
    let before = home(&phone).await;
    let bus = wallet(&before, "Giulia", "Trasporto scolastico");
    let payment = phone.top_up(&bus.id, 1_550, PayBy::Notice).await.expect("a top-up");
    assert_eq!((payment.state(), payment.checkout_url.as_str()), (PaymentState::Payable, ""));
    // Payable to the end of the thirtieth day in Italy: 13 hours after the clock's 11 in the morning.
    assert_eq!(notice(&payment).expires_at_ms, house.now() + 30 * 86_400_000 + 13 * 3_600_000);
    assert_eq!(notice(&payment).reason, "Ricarica Trasporto scolastico");
    assert_eq!(carts(house).await, 0, "nobody asked for a page");
    assert_eq!(home(&phone).await.payments[0], payment, "the newest first");

    // Scanned from the screen.
    let paid = house.order("notices/pay", serde_json::json!({ "qr": notice(&payment).qr_text })).await;
    assert_eq!((&paid["outcome"], &paid["delivery"]), (&"paid".into(), &"acknowledged".into()), "{paid}");
    let after = home(&phone).await;
    assert_eq!(wallet(&after, "Giulia", "Trasporto scolastico").balance_cents, bus.balance_cents + 1_550);
    assert_eq!(after.payments, before.payments);
    let again = house.counter(TOWN, &notice(&payment).number).await;
    assert_eq!(again["outcome"], "not_payable");

    // Delivered again by hand: the same answer, and nothing more.
    let rows = house.rows().await;
    let receipt = paid["receipt_id"].as_str().expect("an id");
    let again = house.order(&format!("payments/{receipt}/redeliver"), serde_json::json!({})).await;
    assert_eq!(again["results"][0]["outcome"], "acknowledged", "{again}");
    assert_eq!(house.rows().await, rows);
}

async fn a_replay_creates_nothing(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(&phone).await, "Giulia", "Mensa scolastica").id.clone();
    for pay_by in [PayBy::Notice, PayBy::Online] {
        let order = order(&canteen, 1_000, pay_by);
        let first = phone.start(order.clone()).await.expect("a top-up");
        assert!(!first.replayed);
        let rows = house.rows().await;
        let pages = carts(house).await;
        for _ in 0..3 {
            let again = phone.start(order.clone()).await.expect("the same top-up");
            assert!(again.replayed && !again.checkout_unavailable);
            assert_eq!(again.payment, first.payment, "{pay_by:?}");
        }
        assert_eq!(house.rows().await, rows, "{pay_by:?}");
        assert_eq!(carts(house).await, pages);
        // The id says the same in any writing.
        let shouting = v1::StartTopUpRequest { id: order.id.to_uppercase(), ..order.clone() };
        assert!(phone.start(shouting).await.expect("the same top-up").replayed);
    }
    // Eight at once: one creates, the others find it.
    let order = order(&canteen, 1_500, PayBy::Notice);
    house.execute("UPDATE service SET max_open = 9").await;
    let notices = house.number("SELECT COUNT(*) FROM notice").await;
    let answers = join_all((0..8).map(|_| phone.start(order.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("a top-up")).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.payment == answers[0].payment));
    assert_eq!(house.number("SELECT COUNT(*) FROM notice").await, notices + 1);
    // A replay after the payment tells how it stands now.
    assert_eq!(house.counter(TOWN, &notice(answers[0].payment.as_ref().unwrap()).number).await["outcome"], "paid");
    let late = phone.start(order).await.expect("the same top-up");
    assert_eq!(late.payment.expect("a payment").state(), PaymentState::Paid);
}

async fn with_checkout_down_the_notice_stands(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(&phone).await, "Giulia", "Mensa scolastica").clone();
    house.checkout.close();
    let orders = [order(&canteen.id, 1_000, PayBy::Online), order(&canteen.id, 2_000, PayBy::Online)];
    let mut started = Vec::new();
    for order in &orders {
        let answer = phone.start(order.clone()).await.expect("the top-up succeeds");
        assert!(answer.checkout_unavailable && !answer.replayed);
        let payment = answer.payment.expect("a payment");
        assert_eq!((payment.state(), payment.checkout_url.as_str()), (PaymentState::Payable, ""));
        started.push(payment);
    }
    let bill = home(&phone).await.bills[0].clone();
    let answer = phone.pay_bill(&bill.id).await.expect("an answer");
    assert!(answer.checkout_unavailable && answer.checkout_url.is_empty());
    assert_eq!(answer.bill, Some(bill), "with its notice");

    assert_eq!(house.counter(TOWN, &notice(&started[0]).number).await["outcome"], "paid", "at the counter");
    let again = phone.start(orders[1].clone()).await.expect("the same top-up");
    assert!(again.checkout_unavailable && again.replayed);
    house.checkout.open();
    let again = phone.start(orders[1].clone()).await.expect("the same top-up");
    assert!(!again.checkout_unavailable && again.replayed);
    house.pay_page(&again.payment.expect("a payment").checkout_url).await;
    let after = home(&phone).await;
    assert_eq!(wallet(&after, "Giulia", "Mensa scolastica").balance_cents, canteen.balance_cents + 3_000);
}

async fn a_bill_is_paid_online(house: &House) {
    let phone = house.phone(MARIA).await;
    let before = home(&phone).await;
    let bill = &before.bills[0];
    let mut stream = phone.watch(before.feed_seq).await.expect("a stream");
    let answer = phone.pay_bill(&bill.id).await.expect("a page");
    assert!(!answer.checkout_unavailable);
    let shown = answer.bill.expect("the bill");
    assert_eq!(shown.payment_state(), PaymentState::InProgress);
    assert_eq!(shown.in_progress_until_ms, house.now() + 30 * 60_000);
    assert_eq!(phone.pay_bill(&bill.id).await.expect("a page").checkout_url, answer.checkout_url, "the same page");
    assert_eq!(home(&phone).await.bills[0], shown);

    let paid = house.pay_page(&answer.checkout_url).await;
    assert_eq!(paid["payments"][0]["amount_cents"], 23_733);
    let mut told = next_change(&mut stream).await.bill.expect("the bill");
    if told.state() == BillState::Open {
        assert_eq!(told.payment_state(), PaymentState::InProgress, "that a page was opened is told too");
        told = next_change(&mut stream).await.bill.expect("the bill");
    }
    assert_eq!((told.id.as_str(), told.state(), told.residual_cents), (bill.id.as_str(), BillState::Paid, 0));
    assert_eq!((told.paid_cents, told.payment_state()), (23_733, PaymentState::Paid));
    let after = home(&phone).await;
    assert_eq!(after.bills, before.bills[1..]);
    assert_eq!(after.total_due_cents, 3_600);
    assert_eq!(reason(phone.pay_bill(&bill.id).await), borsellino_proto::reason::Reason::BillSettled);
}

async fn both_guardians_see_the_bill_each_their_payments(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let (hers, his) = (home(&maria).await, home(&paolo).await);
    assert_eq!(his.children, hers.children);
    assert_eq!(his.bills, hers.bills);
    assert_eq!(his.movements, hers.movements);
    assert_eq!(hers.payments.len(), 1);
    assert_eq!(his.payments, [], "a payment is its payer's");
    let unknown = reason(paolo.payment(&hers.payments[0].id).await);
    assert_eq!(unknown, borsellino_proto::reason::Reason::UnknownTopUp);

    // He pays; she sees the money and not the payment.
    let mut stream = maria.watch(hers.feed_seq).await.expect("a stream");
    let canteen = wallet(&hers, "Giulia", "Mensa scolastica");
    let payment = paolo.top_up(&canteen.id, 1_000, PayBy::Notice).await.expect("a top-up");
    assert_eq!(house.verify(TOWN, &notice(&payment).number).await.element("amount"), Some("10.00"));
    assert_eq!(house.activate(TOWN, &notice(&payment).number, None).await.element("fullName"), Some("Paolo Rossi"));
    assert_eq!(house.counter(TOWN, &notice(&payment).number).await["outcome"], "paid");
    let told = loop {
        let change = next_change(&mut stream).await;
        assert_eq!(change.payment, None, "his payment");
        if change.wallet.as_ref().is_some_and(|its| its.seq > canteen.seq) {
            break change.wallet.expect("a wallet");
        }
    };
    assert_eq!(told.balance_cents, canteen.balance_cents + 1_000);
    assert_eq!(home(&maria).await.payments, hers.payments);
    // The other creditor's people see none of it.
    assert_eq!(home(&house.phone(ELENA).await).await.payments, []);
}

async fn a_page_is_used_while_it_lives(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(&phone).await, "Giulia", "Mensa scolastica").clone();
    let bill = home(&phone).await.bills[1].clone();
    let order = order(&canteen.id, 1_000, PayBy::Online);
    let first = phone.start(order.clone()).await.expect("a top-up").payment.expect("a payment");
    let bill_page = phone.pay_bill(&bill.id).await.expect("a page").checkout_url;
    assert_eq!(carts(house).await, 2);

    house.advance(30 * MINUTE - Duration::from_millis(1));
    let phone = house.phone(MARIA).await;
    let again = phone.start(order.clone()).await.expect("the same top-up").payment.expect("a payment");
    assert_eq!(again, first, "to the last millisecond");
    assert_eq!(phone.pay_bill(&bill.id).await.expect("a page").checkout_url, bill_page);
    assert_eq!(carts(house).await, 2);

    house.advance(Duration::from_millis(1));
    let stale = phone.payment(&first.id).await.expect("the payment");
    assert_eq!((stale.state(), stale.checkout_url.as_str()), (PaymentState::NotCompleted, ""));
    let again = phone.start(order).await.expect("the same top-up").payment.expect("a payment");
    assert_eq!(again.state(), PaymentState::InProgress);
    assert_ne!(again.checkout_url, first.checkout_url);
    assert_eq!(notice(&again), notice(&first), "the same notice");
    assert_ne!(phone.pay_bill(&bill.id).await.expect("a page").checkout_url, bill_page);
    assert_eq!(carts(house).await, 4);
    house.pay_page(&again.checkout_url).await;
    let after = home(&phone).await;
    assert_eq!(wallet(&after, "Giulia", "Mensa scolastica").balance_cents, canteen.balance_cents + 1_000);
}

async fn a_refused_card_can_be_tried_again(house: &House) {
    let phone = house.phone(MARIA).await;
    let canteen = wallet(&home(&phone).await, "Giulia", "Mensa scolastica").clone();
    let payment = phone.top_up(&canteen.id, 1_000, PayBy::Online).await.expect("a top-up");
    let (_, cart) = payment.checkout_url.rsplit_once('/').expect("a page");
    let rows = house.rows().await;
    for outcome in ["refused", "unknown"] {
        let said = house.order(&format!("carts/{cart}/pay"), serde_json::json!({ "outcome": outcome })).await;
        assert_eq!(said["outcome"], outcome, "{said}");
        let back = house.http.get(said["return_url"].as_str().expect("a page")).send().await.expect("the page");
        assert_eq!(back.status(), 200, "{outcome}");
        assert_eq!(house.rows().await, rows, "without a receipt nothing happened");
    }
    // The outcome that was silent turns out well after all, later than its token.
    house.advance(40 * MINUTE);
    let payments = house.sandbox("payments").await;
    let waiting = payments.as_array().expect("a list").iter().find(|its| its["state"] == "activated");
    let id = waiting.expect("a payment")["receipt_id"].as_str().expect("an id").to_owned();
    let late = serde_json::json!({ "outcome": "ok", "late": true });
    assert_eq!(house.order(&format!("payments/{id}/outcome"), late).await["state"], "paid");
    let after = home(&house.phone(MARIA).await).await;
    assert_eq!(wallet(&after, "Giulia", "Mensa scolastica").balance_cents, canteen.balance_cents + 1_000);
}
