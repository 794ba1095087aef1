//! What a call of the Node is checked for before anything else is done with it: whose it is, and through whom it came.

use borsellino_proto::v1::Payment;
use borsellino_tests::house::node::{self, Addressee, Receipt};
use borsellino_tests::house::{House, MARIA, TOWN};

borsellino_tests::in_both_houses! {
    strangers_cause_no_lookup;
}

/// The table of notices is hidden, so that whoever looks one up shows.
async fn strangers_cause_no_lookup(house: &House) {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let [Payment { notice: Some(notice), .. }] = home.payments.as_slice() else { panic!("one waiting top-up") };
    let notice = notice.number.as_str();
    let known = Addressee::new(TOWN);
    let (before, anomalies) = (house.rows().await, house.kept("anomaly").await);
    house.execute("ALTER TABLE notice RENAME TO hidden").await;
    assert_eq!(house.verify(TOWN, notice).await.ko(), Some("PAA_SYSTEM_ERROR"), "a look-up shows");

    let domain = Addressee { id_pa: "77777777777".to_owned(), ..known.clone() };
    let broker = Addressee { broker: "77777777777".to_owned(), ..known.clone() };
    let station = Addressee { station: "99900020019_77".to_owned(), ..known };
    for (kept, to, code) in [
        (0, domain, "PAA_ID_DOMINIO_ERRATO"),
        // Money may be behind it, so the office has to see it; it is kept, and looked up by nobody.
        (1, broker, "PAA_ID_INTERMEDIARIO_ERRATO"),
        (2, station, "PAA_STAZIONE_INT_ERRATA"),
    ] {
        let verified = house.soap(Some("paVerifyPaymentNotice"), node::verify(&to, TOWN, notice)).await;
        assert_eq!(verified.ko(), Some(code), "{verified:?}");
        let activated = house.soap(Some("paGetPaymentV2"), node::activate(&to, TOWN, notice, None)).await;
        assert_eq!(activated.ko(), Some(code), "{activated:?}");
        let delivered = house.deliver(&Receipt { to, ..Receipt::new(notice, 2_000) }).await;
        assert_eq!(delivered.ko(), Some(code), "{delivered:?}");
        assert_eq!(house.kept("quarantine").await, kept, "{code}");
    }
    house.execute("ALTER TABLE hidden RENAME TO notice").await;
    assert_eq!((house.rows().await, house.kept("anomaly").await), (before, anomalies), "no row of any other kind");
    assert!(house.verify(TOWN, notice).await.is_ok());
}
