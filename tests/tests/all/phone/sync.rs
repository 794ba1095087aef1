//! Coming back to a real server: few bytes where nothing changed, instants that it signed, phones that were lost, money that was
//! paid twice.

use std::time::Duration;

use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use borsellino_server::usecases::office::{Act, wipe_phones};
use borsellino_tests::house::{AMINA, House, MARIA, PAOLO, TOWN, order, reason, wallet};
use prost::Message;

borsellino_tests::in_both_houses! {
    nothing_new_is_said_in_a_hundred_bytes;
    changes_bring_what_home_would_show;
    what_only_the_days_change_is_asked_for_anew;
    a_tap_is_dated_by_what_the_server_signed;
    a_lost_phone_is_told_to_keep_nothing;
    paid_twice_is_said;
}

async fn nothing_new_is_said_in_a_hundred_bytes(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    house.advance(Duration::from_secs(600));
    let answer = maria.sync(home.feed_seq, home.as_of_ms).await.expect("an answer");
    assert!(answer.changes.is_empty() && answer.summary.is_none() && !answer.resync && !answer.more);
    assert_eq!(answer.feed_seq, home.feed_seq);
    assert_eq!(answer.time.as_ref().map(|time| time.at_ms), Some(house.now()));
    assert!(answer.encoded_len() <= 100, "{} bytes", answer.encoded_len());
    // The largest numbers there are take no more.
    let mut largest = answer;
    largest.feed_seq = u64::MAX;
    largest.time.as_mut().expect("a time").at_ms = i64::MAX;
    assert!(largest.encoded_len() <= 100, "{} bytes", largest.encoded_len());
}

async fn changes_bring_what_home_would_show(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let (before, his) = (maria.home().await.expect("home"), paolo.home().await.expect("home"));
    let canteen = wallet(&before, "Giulia", "Mensa scolastica").id.clone();
    let payment = maria.top_up(&canteen, 2_000, v1::PayBy::Notice).await.expect("a top-up");
    let number = payment.notice.as_ref().expect("a notice").number.clone();
    assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");

    let answer = maria.sync(before.feed_seq, before.as_of_ms).await.expect("an answer");
    let after = maria.home().await.expect("home");
    assert_eq!(answer.feed_seq, after.feed_seq);
    let summary = answer.summary.expect("with the last change");
    let wallets: Vec<v1::Wallet> = after.children.iter().flat_map(|child| child.wallets.clone()).collect();
    assert_eq!(summary.wallets, wallets);
    assert_eq!((summary.movements, summary.total_due_cents), (after.movements, after.total_due_cents));
    let told: Vec<&v1::Payment> = answer.changes.iter().filter_map(|change| change.payment.as_ref()).collect();
    assert_eq!(told.last().expect("the top-up").state(), v1::PaymentState::Paid);
    // The other guardian learns of the balance, and not of the payment.
    let answer = paolo.sync(his.feed_seq, his.as_of_ms).await.expect("an answer");
    assert!(answer.changes.iter().all(|change| change.payment.is_none()) && !answer.changes.is_empty());
    assert!(maria.sync(after.feed_seq + 1, after.as_of_ms).await.expect("an answer").resync, "another life");

    // More changes than fit one answer.
    for _ in 0..60 {
        house.execute("UPDATE guardian SET feed_seq = feed_seq + 2 WHERE username = 'maria.bianchi'").await;
        for back in [1, 0] {
            let row = format!(
                "INSERT INTO feed (creditor, guardian, seq, at_ms, wallet, bill, notice) SELECT creditor, id, feed_seq - {back}, 1, \
                 NULL, NULL, NULL FROM guardian WHERE username = 'maria.bianchi'"
            );
            house.execute(&row).await;
        }
    }
    let first = maria.sync(after.feed_seq, after.as_of_ms).await.expect("an answer");
    assert!(first.more && first.summary.is_none());
    assert_eq!(first.feed_seq, after.feed_seq + 100);
    let last = maria.sync(first.feed_seq, after.as_of_ms).await.expect("an answer");
    assert!(!last.more && last.summary.is_some());
    assert_eq!(last.feed_seq, after.feed_seq + 120);
}

async fn what_only_the_days_change_is_asked_for_anew(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    // It is 11 in the morning.
    house.advance(Duration::from_secs(12 * 3_600));
    assert!(!house.phone(MARIA).await.sync(home.feed_seq, home.as_of_ms).await.expect("an answer").resync);
    house.advance(Duration::from_secs(3_600));
    let maria = house.phone(MARIA).await;
    assert!(maria.sync(home.feed_seq, home.as_of_ms).await.expect("an answer").resync);
    assert!(maria.sync(home.feed_seq, 0).await.expect("an answer").resync, "a phone that never had one");
}

async fn a_tap_is_dated_by_what_the_server_signed(house: &House) {
    let (maria, amina) = (house.phone(MARIA).await, house.phone(AMINA).await);
    let home = maria.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let (mine, hers) = (home.time.expect("a time"), amina.home().await.expect("home").time.expect("a time"));
    assert_eq!(mine.at_ms, house.now());
    assert_ne!(mine.signature, hers.signature, "each guardian's own");
    house.advance(Duration::from_secs(600));
    let asked = |server: &v1::ServerTime, since_ms| Some(v1::Asked { server: Some(server.clone()), since_ms });
    let altered = v1::ServerTime { at_ms: mine.at_ms - 1, ..mine.clone() };
    let cases = [
        (asked(&mine, Some(120_000)), "known", Some(mine.at_ms + 120_000)),
        (asked(&mine, None), "unknown", None),
        (asked(&hers, Some(1)), "forged", None),
        (asked(&altered, Some(1)), "forged", None),
        (Some(v1::Asked::default()), "forged", None),
        (asked(&mine, Some(86_400_000)), "impossible", None),
        (asked(&mine, Some(i64::MIN)), "impossible", None),
        (None, "", None),
    ];
    for (claim, how, at) in cases {
        let message = v1::StartTopUpRequest { asked: claim, ..order(&canteen, 500, v1::PayBy::Notice) };
        // Whatever it says of the time, it is a top-up; sent again it is the same one, also with another claim.
        let id = maria.start(message.clone()).await.expect("a top-up").payment.expect("a payment").id;
        let again = v1::StartTopUpRequest { asked: None, ..message };
        assert!(maria.start(again).await.expect("a replay").replayed);
        let kept = "FROM top_up WHERE amount_cents = 500 AND";
        let known = house.number(&format!("SELECT COUNT(*) {kept} COALESCE(asked, '') = '{how}'")).await;
        let at = at.unwrap_or(0);
        let dated = house.number(&format!("SELECT COUNT(*) {kept} COALESCE(asked_at_ms, 0) = {at}")).await;
        assert_eq!((known, dated), (1, 1), "{how}");
        let notice = maria.payment(&id).await.expect("it").notice.expect("a notice").number;
        assert_eq!(house.counter(TOWN, &notice).await["outcome"], "paid");
        house.execute("UPDATE top_up SET amount_cents = 501 WHERE amount_cents = 500").await;
        house.execute(&format!("UPDATE notice SET amount_cents = 501 WHERE number = '{notice}'")).await;
    }
    assert_eq!(house.number("SELECT COUNT(*) FROM top_up WHERE asked IN ('forged', 'impossible')").await, 5, "counted");
}

async fn a_lost_phone_is_told_to_keep_nothing(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let refresh = maria.tokens.refresh_token.clone();
    let store = &house.app.store;
    let town = house.app.directory.listing();
    let town = town.creditor(TOWN).expect("the town").fiscal_code;
    let why = ("lost on the bus".to_owned(), "a clerk".to_owned());
    let by = Act::new(town, house.app.now(), why).expect("an act");
    assert!(wipe_phones(store, by.clone(), "nobody".to_owned()).await.is_err());
    assert_eq!(wipe_phones(store, by, " Maria.Bianchi ".to_owned()).await.expect("wiped"), 1);
    assert_eq!(reason(maria.sync(1, 1).await), Reason::SessionWiped);
    assert_eq!(reason(maria.home().await), Reason::SessionWiped);
    assert_eq!(reason(maria.receipts(0, "").await), Reason::SessionWiped);
    assert_eq!(reason(maria.refresh(&refresh).await), Reason::SessionWiped);
    assert!(paolo.home().await.is_ok(), "nobody else's phone");
    // The phone she has now is another one.
    assert!(house.phone(MARIA).await.home().await.is_ok());
    assert_eq!(house.number("SELECT COUNT(*) FROM office_action WHERE action = 'phones_wiped'").await, 1);
}

async fn paid_twice_is_said(house: &House) {
    let maria = house.phone(MARIA).await;
    let home = maria.home().await.expect("home");
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    let payment = maria.top_up(&canteen, 2_000, v1::PayBy::Notice).await.expect("a top-up");
    let number = payment.notice.as_ref().expect("a notice").number.clone();
    let receipt = || borsellino_tests::house::node::Receipt::new(&number, 2_000);
    assert!(house.deliver(&receipt()).await.is_ok());
    assert!(!maria.payment(&payment.id).await.expect("it").paid_twice);
    assert!(house.deliver(&receipt()).await.is_ok());
    let now = maria.payment(&payment.id).await.expect("it");
    assert!(now.paid_twice && now.state() == v1::PaymentState::Paid);
    let answer = maria.sync(home.feed_seq, home.as_of_ms).await.expect("an answer");
    let told = answer.changes.iter().filter_map(|change| change.payment.as_ref()).next_back().expect("told");
    assert!(told.paid_twice);
    let paid = maria.receipts(0, "").await.expect("what was paid");
    assert!(paid.items[0].paid_twice && paid.items[0].top_up_id == payment.id);
    let his = house.phone(PAOLO).await.receipts(0, "").await.expect("what was paid");
    assert!(!his.items[0].paid_twice && his.items[0].of_co_guardian);
}
