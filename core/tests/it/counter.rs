//! What a parent needs at a counter or a school gate without coverage: notices with their QR, instalments, receipts, movements, fees.

use borsellino_core::{Error, PayBy, PayItem, QrMatrix, QueuedWhy, TogetherState, TopUpState};
use borsellino_proto::v1;

use crate::fake::{AS_OF, BILL, CREDITOR, Fake, PAGE_UNTIL};
use crate::support::{canteen, euros, phone};

/// Reads a QR code of version 4-M as its standard (ISO/IEC 18004) says: the text, where it is one in bytes. It shares
/// nothing with what drew it.
fn read(qr: &QrMatrix) -> Option<String> {
    let width = usize::try_from(qr.width).ok().filter(|width| *width == 33)?;
    let dark = |row: usize, column: usize| qr.dark[row * width + column];
    // Three finders.
    let ring = |row: usize, column: usize| {
        (0..7).all(|r| {
            (0..7).all(|c| {
                let (r2, c2): (usize, usize) = (r.min(6 - r), c.min(6 - c));
                dark(row + r, column + c) == (r2.min(c2) != 1)
            })
        })
    };
    if ![(0, 0), (0, 26), (26, 0)].iter().all(|(row, column)| ring(*row, *column)) {
        return None;
    }
    // Format: level and mask, in the column beside and the row below the first finder.
    let places = [
        (8, 0),
        (8, 1),
        (8, 2),
        (8, 3),
        (8, 4),
        (8, 5),
        (8, 7),
        (8, 8),
        (7, 8),
        (5, 8),
        (4, 8),
        (3, 8),
        (2, 8),
        (1, 8),
        (0, 8),
    ];
    let format = places.iter().fold(0_u32, |bits, (row, column)| bits << 1 | u32::from(dark(*row, *column)));
    let format = (format ^ 0b101_0100_0001_0010) >> 10;
    let (level, mask) = (format >> 3, format & 7);
    if level != 0 {
        return None; // 00 is M
    }
    let masked = |r: usize, c: usize| match mask {
        0 => (r + c).is_multiple_of(2),
        1 => r.is_multiple_of(2),
        2 => c.is_multiple_of(3),
        3 => (r + c).is_multiple_of(3),
        4 => (r / 2 + c / 3).is_multiple_of(2),
        5 => r * c % 2 + r * c % 3 == 0,
        6 => (r * c % 2 + r * c % 3).is_multiple_of(2),
        _ => ((r + c) % 2 + r * c % 3).is_multiple_of(2),
    };
    let is_function = |r: usize, c: usize| {
        (r < 9 && !(9..25).contains(&c))
            || (r >= 25 && c < 9)
            || r == 6
            || c == 6
            || (24..=28).contains(&r) && (24..=28).contains(&c)
    };
    let mut bits = Vec::new();
    let mut column = 32;
    let mut up = true;
    loop {
        let rows: Vec<usize> = if up { (0..33).rev().collect() } else { (0..33).collect() };
        for row in rows {
            for c in [column, column - 1] {
                if !is_function(row, c) {
                    bits.push(dark(row, c) ^ masked(row, c));
                }
            }
        }
        up = !up;
        if column == 1 {
            break;
        }
        column -= if column == 8 { 3 } else { 2 };
    }
    let words: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect();
    // Two blocks of 32 words of data and 18 of correction, in turns.
    if words.len() != 100 {
        return None;
    }
    let data: Vec<u8> =
        (0..2).flat_map(|block| (0..32).map(move |at| (block, at))).map(|(block, at)| words[at * 2 + block]).collect();
    // Byte mode: 0100, eight bits of length, the bytes.
    let nibble = |at: usize| if at.is_multiple_of(2) { data[at / 2] >> 4 } else { data[at / 2] & 15 };
    if nibble(0) != 4 {
        return None;
    }
    let length = usize::from(nibble(1) << 4 | nibble(2));
    let text: Vec<u8> = (0..length).map(|at| nibble(3 + 2 * at) << 4 | nibble(4 + 2 * at)).collect();
    String::from_utf8(text).ok()
}

#[tokio::test]
async fn a_notice_can_be_shown_at_a_counter_without_the_network() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    app.start_top_up(canteen(), euros("20"), PayBy::Notice).await.unwrap();
    fake.reachable(false);
    drop(app);
    let home = phone.open().await.cached_home().unwrap().unwrap();
    let notice = home.top_ups[0].notice.as_ref().unwrap();
    let qr = notice.qr().unwrap();
    assert_eq!((qr.width, qr.dark.len(), qr.quiet_zone), (33, 33 * 33, 4));
    assert_eq!(read(&qr).as_deref(), Some(&*format!("PAGOPA|002|301000000000004285|{CREDITOR}|2000")));
    let bill = home.bills[0].notice.as_ref().unwrap();
    assert_eq!(read(&bill.qr().unwrap()).as_ref(), Some(&bill.qr_text));
    // The largest amount pagoPA carries; and what is no notice has no code.
    let largest = borsellino_core::NoticeView {
        qr_text: format!("PAGOPA|002|301000000000004285|{CREDITOR}|99999999999"),
        ..bill.clone()
    };
    assert_eq!(read(&largest.qr().unwrap()), Some(largest.qr_text.clone()));
    let nonsense = borsellino_core::NoticeView { qr_text: "x".repeat(100), ..largest };
    assert!(nonsense.qr().is_none());
    // One square wrong in the data, and the reader reads something else: it does look.
    let mut spoilt = qr.clone();
    let at = 33 * 32 + 31;
    spoilt.dark[at] = !spoilt.dark[at];
    assert_ne!(read(&spoilt), read(&qr));
}

#[tokio::test]
async fn instalments_are_shown_with_what_each_asks_for_now() {
    let (fake, phone) = phone().await;
    {
        let mut state = fake.state();
        let bill = &mut state.home.bills[0];
        let notice = bill.notice.clone().unwrap();
        let second = v1::Notice { number: "302000000000002278".into(), amount_cents: 2_900, ..notice.clone() };
        let part = |number, state: v1::PaymentState, notice: Option<v1::Notice>| v1::Instalment {
            number,
            due_date: format!("2026-12-{:02}", 10 + number),
            amount_cents: 2_866,
            state: state.into(),
            notice,
            ..Default::default()
        };
        bill.instalments = vec![
            part(1, v1::PaymentState::Paid, None),
            part(2, v1::PaymentState::Payable, Some(notice)),
            part(3, v1::PaymentState::Payable, Some(second)),
        ];
    }
    let app = phone.signed_in().await;
    let home = app.cached_home().unwrap().unwrap();
    let parts: Vec<(u32, &str, i64)> =
        home.bills[0].instalments.iter().map(|part| (part.number, part.due_text.as_str(), part.amount.cents)).collect();
    let expected = [
        (1, "pagato", 2_866),
        (2, "da pagare 57,33 € entro il 12 dicembre", 5_733),
        (3, "da pagare 29,00 € entro il 13 dicembre", 2_900),
    ];
    assert_eq!(parts, expected);
    // One of them, and a top-up, in one visit.
    let bill = BILL.parse().unwrap();
    let items =
        vec![PayItem::Instalment { bill, number: 3 }, PayItem::TopUp { wallet: canteen(), amount: euros("10") }];
    let paid = app.pay_together(items).await.unwrap();
    assert_eq!(paid.pages[0].total.cents, 3_900);
    assert_eq!(fake.state().carts, [["302000000000002278", "301000000000004285"]]);
    let gone = PayItem::Instalment { bill, number: 1 };
    assert!(matches!(app.pay_together(vec![gone]).await, Err(Error::Invalid(_))), "nothing is left to pay under it");
    assert!(matches!(app.pay_together(vec![]).await, Err(Error::Invalid(_))));
    assert!(matches!(app.pay_together(vec![PayItem::Bill(bill), PayItem::Bill(bill)]).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn receipts_and_movements_say_how_old_they_are() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let seen = app.receipts(None).await.unwrap();
    app.movements(None, None).await.unwrap();
    assert_eq!(seen.items[0].sentence, "Mensa scolastica, Giulia: 20,00 € pagati il 20 novembre");
    assert!(seen.items[0].of_co_guardian && seen.items[0].top_up.is_none() && seen.next.is_some());
    fake.reachable(false);
    phone.clock.go_by(86_400_000);
    let kept = app.receipts(None).await.unwrap();
    assert!(kept.from_cache && kept.next.is_none());
    assert_eq!((kept.items, kept.as_of_text.as_str()), (seen.items, "aggiornato ieri alle 8:12"));
    assert!(app.receipts(Some("next".into())).await.is_err());
    let movements = app.movements(None, None).await.unwrap();
    assert!(movements.from_cache);
    assert_eq!(movements.as_of_text, "aggiornato ieri alle 8:12");
    assert_eq!(app.cached_home().unwrap().unwrap().as_of_text, "aggiornato ieri alle 8:12");
}

fn fees(fake: &Fake) {
    let band = |channel: &str, from_cents, to_cents, fee_cents| v1::FeeBand {
        channel: channel.into(),
        from_cents,
        to_cents,
        fee_cents,
    };
    fake.state().fees = v1::GetFeesResponse {
        version: "v1".into(),
        bands: vec![band("card", 0, 5_000, 50), band("card", 5_001, 99_999, 150), band("counter", 0, 99_999, 200)],
        imported_at_ms: AS_OF,
    };
}

#[tokio::test]
async fn fees_are_told_before_paying_also_without_the_network() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    let unknown = app.fee_advice(vec![euros("40")]).await.unwrap();
    assert!(unknown.sentence.starts_with("Non sappiamo quanto costa la commissione"));
    drop(app);
    fees(&fake);
    let app = phone.open().await;
    let known = app.fee_advice(vec![euros("40")]).await.unwrap();
    assert_eq!(known.sentence, "Commissione prevista: tra 0,50 € e 2,00 €");
    assert!(known.saving.clone().unwrap().starts_with("Una ricarica da 40,00 € costa una commissione"));
    assert_eq!(app.fee_advice(vec![euros("40")]).await.unwrap(), known);
    assert_eq!(fake.calls("get_fees"), 2, "once each time the app runs");
    fake.reachable(false);
    drop(app);
    assert_eq!(phone.open().await.fee_advice(vec![euros("40")]).await.unwrap(), known);
}

#[tokio::test]
async fn several_things_are_split_where_that_is_cheaper() {
    let (fake, phone) = phone().await;
    fees(&fake);
    let app = phone.signed_in().await;
    // 57,33 € and 20,00 €: together 1,50 €, and apart 1,50 € + 0,50 €.
    let bill = PayItem::Bill(BILL.parse().unwrap());
    let top_up = PayItem::TopUp { wallet: canteen(), amount: euros("20") };
    let paid = app.pay_together(vec![bill, top_up]).await.unwrap();
    assert_eq!((paid.pages.len(), paid.sentence.as_str()), (1, "Un pagamento per tutto"));
    let fee = paid.pages[0].fee.clone().unwrap();
    assert_eq!((fee.low.cents, fee.high.cents), (150, 200));
    assert!(matches!(paid.pages[0].state, TopUpState::InProgress { until: Some(until) } if until.get() == PAGE_UNTIL));
    assert_eq!(app.cached_home().unwrap().unwrap().together, [paid]);
    // What is being paid is not begun again.
    fake.state().home.bills[0].set_payment_state(v1::PaymentState::InProgress);
    fake.state().home.bills[0].in_progress_until_ms = PAGE_UNTIL;
    app.refresh_home().await.unwrap();
    let top_up = PayItem::TopUp { wallet: canteen(), amount: euros("15") };
    assert!(matches!(app.pay_together(vec![top_up, bill]).await, Err(Error::InProgress(_))));
    assert_eq!(fake.state().top_ups.len(), 1, "nothing of it was begun");
}

#[tokio::test]
async fn paid_together_without_the_network_it_waits_whole() {
    let (fake, phone) = phone().await;
    let app = phone.signed_in().await;
    fake.reachable(false);
    let items = vec![PayItem::Bill(BILL.parse().unwrap()), PayItem::TopUp { wallet: canteen(), amount: euros("20") }];
    let queued = app.pay_together(items).await.unwrap();
    assert!(
        matches!(queued.state, TogetherState::Queued { .. }) && queued.sentence.starts_with("In coda"),
        "{queued:?}"
    );
    let home = app.cached_home().unwrap().unwrap();
    assert!(matches!(home.top_ups[0].state, TopUpState::Queued { why: QueuedWhy::Offline | QueuedWhy::NoAnswer }));
    assert_eq!(home.together.len(), 1);
    fake.reachable(true);
    app.sync().await.unwrap();
    assert_eq!(fake.state().carts.len(), 1);
    let home = app.cached_home().unwrap().unwrap();
    assert_eq!(home.together[0].state, TogetherState::Opened);
    phone.clock.go_by(PAGE_UNTIL - AS_OF + 60_000);
    assert!(app.cached_home().unwrap().unwrap().together.is_empty(), "its time is over");
}
