//! What was paid, by page and by who may see what of it; what paying costs.

use std::process::Command;
use std::time::Duration;

use borsellino_domain::fees::FeeTable;
use borsellino_proto::v1;
use borsellino_server::usecases::fees;
use borsellino_tests::house::{AMINA, ELENA, House, MARIA, PAOLO, TOWN, wallet};

borsellino_tests::in_both_houses! {
    what_was_paid_is_listed_and_a_payer_is_a_payers_own_business;
    fees_are_a_creditors_and_told_once;
}

async fn what_was_paid_is_listed_and_a_payer_is_a_payers_own_business(house: &House) {
    let (maria, paolo) = (house.phone(MARIA).await, house.phone(PAOLO).await);
    let home = maria.home().await.expect("home");
    let before = maria.receipts(0, "").await.expect("what was paid").items.len();
    let canteen = wallet(&home, "Giulia", "Mensa scolastica").id.clone();
    for cents in [1_000, 2_000, 3_000] {
        house.advance(Duration::from_secs(1));
        let payment = maria.top_up(&canteen, cents, v1::PayBy::Notice).await.expect("a top-up");
        let number = payment.notice.expect("a notice").number;
        assert_eq!(house.counter(TOWN, &number).await["outcome"], "paid");
    }
    house.advance(Duration::from_secs(1));
    let bill = &home.bills[0];
    let notice = bill.notice.as_ref().expect("a notice").clone();
    assert_eq!(house.counter(TOWN, &notice.number).await["outcome"], "paid");

    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let page = maria.receipts(2, &token).await.expect("a page");
        assert!(page.items.len() <= 2 && page.as_of_ms == house.now());
        items.extend(page.items);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(items.len(), before + 4);
    let amounts: Vec<i64> = items.iter().take(4).map(|item| item.amount_cents).collect();
    assert_eq!(amounts, [notice.amount_cents, 3_000, 2_000, 1_000], "newest first, each once");
    assert_eq!((&items[0].bill_id, &items[0].bill_number), (&bill.id, &bill.number));
    assert!(!items[0].child_names.is_empty() && !items[0].service_names.is_empty());
    assert_eq!((items[1].child_names.as_slice(), items[1].of_co_guardian), (&["Giulia".to_owned()][..], false));
    assert!(!items[1].top_up_id.is_empty());

    // The other parent sees how much, when and what for, and nothing that leads to the payer or the receipt.
    let his = paolo.receipts(0, "").await.expect("what was paid");
    let top_up = his.items.iter().find(|item| item.amount_cents == 3_000).expect("hers");
    assert!(top_up.of_co_guardian && top_up.top_up_id.is_empty() && top_up.bill_id.is_empty());
    assert_eq!((top_up.paid_at_ms, &top_up.service_names), (items[1].paid_at_ms, &items[1].service_names));
    assert!(his.items.iter().any(|item| item.bill_id == bill.id), "a bill is the family's");
    let strangers = house.phone(AMINA).await.receipts(0, "").await.expect("her own");
    // What she paid before is hers.
    assert!(strangers.items.iter().all(|item| item.paid_at_ms < items[3].paid_at_ms && item.bill_id != bill.id));
    for bad in ["!", "AAAA", "not a page"] {
        assert_eq!(borsellino_tests::house::reason(maria.receipts(0, bad).await), v1::Reason::Malformed, "{bad}");
    }
}

async fn fees_are_a_creditors_and_told_once(house: &House) {
    let maria = house.phone(MARIA).await;
    assert_eq!(maria.fees("").await.expect("an answer"), v1::GetFeesResponse::default(), "nobody knows");
    let town = house.app.directory.listing().creditor(TOWN).expect("the town").fiscal_code;
    let table = FeeTable::parse_csv("channel;from;to;fee\ncard;0;50;0,50\ncard;50,01;9999;1,50\n").expect("a table");
    let version = fees::import(&house.app.store, town, &table, house.app.now()).await.expect("imported");
    let told = maria.fees("").await.expect("an answer");
    assert_eq!((told.version.as_str(), told.bands.len(), told.imported_at_ms), (version.as_str(), 2, house.now()));
    assert_eq!((told.bands[1].from_cents, told.bands[1].fee_cents), (5_001, 150));
    let again = maria.fees(&version).await.expect("an answer");
    assert!(again.bands.is_empty() && again.version == version);
    assert!(house.phone(ELENA).await.fees("").await.expect("an answer").bands.is_empty(), "another creditor's");
    // Replaced as a whole.
    let table = FeeTable::parse_csv("counter;0;9999;2\n").expect("a table");
    fees::import(&house.app.store, town, &table, house.app.now()).await.expect("imported");
    assert_eq!(maria.fees(&version).await.expect("an answer").bands.len(), 1);
}

#[test]
fn an_operator_imports_and_shows_fees() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:{}", folder.path().join("a.db").display());
    let run = |arguments: &[&str]| {
        let output = Command::new(crate::all::demo::program()).args(arguments).args(["--database", &database]).output();
        let output = output.expect("the program");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    assert!(run(&["migrate"]).0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let path = folder.path().join("a.db");
        let place = borsellino_server::config::DatabaseKind::Sqlite(path);
        let store = borsellino_server::open_store(&place, 1).await.expect("a store");
        borsellino_tests::stores::add_creditors(&store, &[TOWN]).await.expect("a creditor");
        store.close().await;
    });
    let (good, said) = run(&["fees", "show", "--creditor", TOWN]);
    assert!(good && said.contains("nobody knows"), "{said}");
    let file = folder.path().join("fees.csv");
    std::fs::write(&file, "channel;from;to;fee\ncard;0;50;zero\n").expect("a file");
    let file = file.to_str().expect("a path").to_owned();
    let (good, said) = run(&["fees", "import", &file, "--creditor", TOWN]);
    assert!(!good && said.contains("line 2"), "{said}");
    std::fs::write(&file, "channel;from;to;fee\ncard;0;50;0,50\n").expect("a file");
    let (good, said) = run(&["fees", "import", &file, "--creditor", TOWN]);
    assert!(good && said.contains("1 bands"), "{said}");
    let (good, said) = run(&["fees", "show", "--creditor", TOWN, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(good && told["bands"][0]["fee_cents"] == 50, "{said}");
}
