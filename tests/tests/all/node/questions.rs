//! Verify and activate: what a notice costs and who gets the money, without locking or changing anything.

use std::time::Duration;

use borsellino_tests::house::{ELENA, House, MARIA, TOWN, UNION, node};

use super::{number, payable};

borsellino_tests::in_both_houses! {
    a_top_up_is_offered_as_it_was_asked_for;
    a_bill_is_offered_with_its_own_words;
    a_creditor_without_a_postal_account;
    asking_locks_and_changes_nothing;
    the_states_of_a_notice;
    whom_we_do_not_know;
}

const IBAN: &str = "IT89A9999901001000000112233";
const POSTAL: &str = "IT45R0760103200000000001016";
const DAY: Duration = Duration::from_secs(86_400);

async fn a_top_up_is_offered_as_it_was_asked_for(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let verified = house.verify(TOWN, notice).await;
    assert!(verified.is_ok(), "{verified:?}");
    assert_eq!(verified.element("amount"), Some("20.00"));
    assert_eq!(verified.element("options"), Some("EQ"));
    assert_eq!(verified.element("allCCP"), Some("true"));
    assert_eq!(verified.element("paymentDescription"), Some("Ricarica Mensa scolastica"));
    assert_eq!(verified.element("companyName"), Some("Comune di Valdorso"));
    assert_eq!(verified.element("fiscalCodePA"), Some(TOWN));

    let activated = house.activate(TOWN, notice, None).await;
    assert!(activated.is_ok(), "{activated:?}");
    assert_eq!(activated.element("paymentAmount"), Some("20.00"));
    assert_eq!(activated.element("transferAmount"), Some("20.00"));
    assert_eq!(activated.element("creditorReferenceId"), Some(&notice[1..]), "the IUV is the notice without its 3");
    assert_eq!(activated.element("IBAN"), Some(IBAN));
    assert_eq!(activated.element("transferCategory"), Some("9/0107101TS/"));
    assert_eq!(activated.element("fullName"), Some("Maria Bianchi"));
    for child in ["Giulia", "Rossi"] {
        assert!(!activated.text.contains(child) && !verified.text.contains(child), "the child is named");
    }

    let postal = house.activate(TOWN, notice, Some("POSTAL")).await;
    assert_eq!(postal.element("IBAN"), Some(POSTAL), "{postal:?}");
    let pagopa = house.activate(TOWN, notice, Some("PAGOPA")).await;
    assert_eq!(pagopa.element("IBAN"), Some(IBAN), "{pagopa:?}");
    assert_eq!((pagopa.element("key"), pagopa.element("value")), (Some("IBANAPPOGGIO"), Some(POSTAL)), "{pagopa:?}");
}

async fn a_bill_is_offered_with_its_own_words(house: &House) {
    let (bill, _, _) = payable(house).await;
    let notice = number(bill.notice.as_ref());
    let verified = house.verify(TOWN, notice).await;
    assert!(verified.is_ok(), "{verified:?}");
    assert_eq!(verified.element("amount"), Some("237.33"));
    assert_eq!(verified.element("dueDate"), Some(bill.due_date.as_str()));
    let activated = house.activate(TOWN, notice, Some("POSTAL")).await;
    assert_eq!(activated.element("paymentAmount"), Some("237.33"), "{activated:?}");
    assert_eq!(activated.element("dueDate"), Some(bill.due_date.as_str()));
    assert_eq!(activated.element("IBAN"), Some(POSTAL));
    assert_eq!(activated.element("transferCategory"), Some("9/0107106SP/"));
    assert_eq!(activated.element("creditorReferenceId"), Some(&notice[1..]));
}

async fn a_creditor_without_a_postal_account(house: &House) {
    let home = house.phone(ELENA).await.home().await.expect("home");
    let notice = number(home.bills[0].notice.as_ref());
    for wanted in [None, Some("POSTAL"), Some("PAGOPA")] {
        let activated = house.activate(UNION, notice, wanted).await;
        assert_eq!(activated.element("IBAN"), Some("IT49A9999901001000000445566"), "{wanted:?}: {activated:?}");
        assert_eq!(activated.element("key"), None, "{wanted:?}");
    }
    assert_eq!(house.verify(UNION, notice).await.element("allCCP"), Some("false"));
    // The number means something only together with its creditor.
    assert_eq!(house.verify(TOWN, notice).await.ko(), Some("PAA_PAGAMENTO_SCONOSCIUTO"));
}

async fn asking_locks_and_changes_nothing(house: &House) {
    let (bill, _, top_up) = payable(house).await;
    let before = house.rows().await;
    for notice in [number(bill.notice.as_ref()), number(top_up.notice.as_ref())] {
        let first = house.activate(TOWN, notice, None).await;
        for _ in 0..3 {
            assert!(house.verify(TOWN, notice).await.is_ok());
            assert_eq!(house.activate(TOWN, notice, None).await.text, first.text);
        }
    }
    assert_eq!(house.rows().await, before);
    assert_eq!(payable(house).await, (bill, payable(house).await.1, top_up), "the parent sees the same");
}

async fn the_states_of_a_notice(house: &House) {
    let (bill, other, top_up) = payable(house).await;
    let (bill, cancelled) = (number(bill.notice.as_ref()), number(other.notice.as_ref()));
    let waiting = number(top_up.notice.as_ref());
    assert!(house.deliver(&node::Receipt::new(bill, 23_733)).await.is_ok());
    house.execute(&format!("UPDATE notice SET state = 'cancelled' WHERE number = '{cancelled}'")).await;

    let codes = async |notice: &str| {
        let (verified, activated) = (house.verify(TOWN, notice).await, house.activate(TOWN, notice, None).await);
        assert_eq!(verified.ko(), activated.ko());
        assert_eq!(verified.element("id"), Some(TOWN), "the creditor signs");
        verified.ko().map(str::to_owned)
    };
    assert_eq!(codes(bill).await.as_deref(), Some("PAA_PAGAMENTO_DUPLICATO"));
    assert_eq!(codes(cancelled).await.as_deref(), Some("PAA_PAGAMENTO_ANNULLATO"));
    assert_eq!(codes("301999999999999999").await.as_deref(), Some("PAA_PAGAMENTO_SCONOSCIUTO"));

    // It was made yesterday and lives to the end of the thirtieth day in Italy; the clock stands at 11 in the morning.
    house.advance(DAY * 29 + Duration::from_secs(13 * 3_600) - Duration::from_millis(1));
    assert!(house.verify(TOWN, waiting).await.is_ok(), "to the last millisecond");
    house.advance(Duration::from_millis(1));
    assert_eq!(codes(waiting).await.as_deref(), Some("PAA_PAGAMENTO_SCADUTO"));
    // Money that arrives all the same goes where it was meant to.
    assert!(house.deliver(&node::Receipt::new(waiting, 2_000)).await.is_ok());
    assert_eq!(house.outcomes(TOWN, waiting).await, ["wallet"]);
    assert_eq!(codes(waiting).await.as_deref(), Some("PAA_PAGAMENTO_DUPLICATO"));
}

async fn whom_we_do_not_know(house: &House) {
    let (_, _, top_up) = payable(house).await;
    let notice = number(top_up.notice.as_ref());
    let known = node::Addressee::new(TOWN);
    let domain = node::Addressee { id_pa: "77777777777".to_owned(), ..known.clone() };
    let broker = node::Addressee { broker: "77777777777".to_owned(), ..known.clone() };
    let station = node::Addressee { station: "99900020019_77".to_owned(), ..known };
    let before = house.rows().await;
    for (to, code) in [
        (&domain, "PAA_ID_DOMINIO_ERRATO"),
        (&broker, "PAA_ID_INTERMEDIARIO_ERRATO"),
        (&station, "PAA_STAZIONE_INT_ERRATA"),
    ] {
        let verified = house.soap(Some("paVerifyPaymentNotice"), node::verify(to, TOWN, notice)).await;
        assert_eq!(verified.ko(), Some(code), "{verified:?}");
        let activated = house.soap(Some("paGetPaymentV2"), node::activate(to, TOWN, notice, None)).await;
        assert_eq!(activated.ko(), Some(code), "{activated:?}");
    }
    assert_eq!(house.kept("quarantine").await, 0, "questions are not kept");
    for (kept, (to, code)) in [
        (1, (broker, "PAA_ID_INTERMEDIARIO_ERRATO")),
        (2, (station, "PAA_STAZIONE_INT_ERRATA")),
        // Not ours: refused and not kept (rules of money, 2).
        (2, (domain, "PAA_ID_DOMINIO_ERRATO")),
    ] {
        let receipt = node::Receipt { to, ..node::Receipt::new(notice, 2_000) };
        assert_eq!(house.deliver(&receipt).await.ko(), Some(code));
        assert_eq!(house.kept("quarantine").await, kept, "{code}");
    }
    assert_eq!(house.rows().await, before);
    assert!(house.phone(MARIA).await.home().await.expect("home").payments[0].paid_at_ms == 0);
}
