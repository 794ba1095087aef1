//! The pagoPA Node's door, from outside: raw SOAP over HTTP against the whole house, on both engines.

mod demand;
mod examples;
mod kinds;
mod office;
mod questions;
mod queues;
mod receipts;
mod trouble;

use borsellino_proto::v1;
use borsellino_tests::house::{House, MARIA};

/// Maria's first bill (233,73 €), her second (36,00 €) and her waiting top-up (20,00 €), as her home screen shows them.
async fn payable(house: &House) -> (v1::Bill, v1::Bill, v1::Payment) {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let [first, second] = home.bills.try_into().expect("two bills");
    let [waiting] = home.payments.try_into().expect("one top-up");
    (first, second, waiting)
}

fn number(notice: Option<&v1::Notice>) -> &str {
    notice.map(|notice| notice.number.as_str()).expect("a notice")
}

/// What a wallet of Maria's holds.
async fn balance(house: &House, wallet: &str) -> i64 {
    let home = house.phone(MARIA).await.home().await.expect("home");
    let mut wallets = home.children.iter().flat_map(|child| &child.wallets);
    wallets.find(|its| its.id == wallet).expect("the wallet").balance_cents
}
