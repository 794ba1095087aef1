//! What was paid: the archive, by page; the first page also without the network.

use std::sync::Arc;

use borsellino_domain::id::{BillId, TopUpId};
use borsellino_domain::language::Language;
use borsellino_domain::time::Millis;
use borsellino_proto::v1;

use crate::cache::Rows;
use crate::error::{Error, Result};
use crate::inner::Inner;
use crate::models::{Money, Shown, instant};
use crate::remote::method;
use crate::session::AccountKey;

/// What the first page is kept as.
const KEPT: &str = "receipts";

/// Something that was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptView {
    /// How much.
    pub amount: Money,
    /// When.
    pub paid_at: Option<Millis>,
    /// For what.
    pub services: Vec<String>,
    /// For whom: first names.
    pub children: Vec<String>,
    /// A top-up of this parent.
    pub top_up: Option<TopUpId>,
    /// A bill of the family.
    pub bill: Option<BillId>,
    /// The creditor's number of the bill; empty for a top-up.
    pub bill_number: String,
    /// The bill's period; empty for a top-up.
    pub period: String,
    /// A top-up of another adult: who paid, and under what, is theirs.
    pub of_co_guardian: bool,
    /// Paid once more; the creditor gives that back.
    pub paid_twice: bool,
    /// `Mensa scolastica, Giulia: 20,00 € pagati il 12 novembre`
    pub sentence: String,
}

/// A page of them, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptsView {
    /// What was paid.
    pub items: Vec<ReceiptView>,
    /// What to ask the next page with; `None` on the last one.
    pub next: Option<String>,
    /// The server could not be reached: these are from the cache.
    pub from_cache: bool,
    /// When the server read them.
    pub as_of: Option<Millis>,
    /// `aggiornato oggi alle 8:12`
    pub as_of_text: String,
}

impl Inner {
    pub(crate) async fn receipts(self: &Arc<Self>, page: Option<String>) -> Result<ReceiptsView> {
        let account = self.active()?;
        let first = page.is_none();
        let request = v1::ListReceiptsRequest { page_size: 0, page_token: page.unwrap_or_default() };
        let keep = self.keep(&account);
        let asked = self.ask(&account, &method::LIST_RECEIPTS, &request).await;
        let (answer, from_cache) = match asked.map_err(Error::of_a_read) {
            Ok(answer) => {
                if first {
                    let (key, kept) = (account.clone(), answer.clone());
                    let write = move |rows: &Rows<'_>| {
                        if keep.is_current(&key) { rows.keep(key.as_str(), KEPT, &kept) } else { Ok(()) }
                    };
                    // A full phone is no reason to keep them from the parent.
                    let _ = self.cache.write_later(write).await;
                }
                (answer, false)
            }
            Err(error @ (Error::Offline | Error::NotOurServer | Error::CertificateTime)) if first => {
                (self.kept_receipts(&account).await?.ok_or(error)?, true)
            }
            Err(error) => return Err(error),
        };
        let snapshot = self.snapshot(&account).await?.unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(&account);
        let shown = self.shown(&creditor, &snapshot);
        let as_of = instant(answer.as_of_ms);
        Ok(ReceiptsView {
            items: answer.items.iter().map(|item| shown.receipt(item)).collect(),
            // The pages behind a kept one belong to another moment.
            next: Some(answer.next_page_token).filter(|token| !token.is_empty() && !from_cache),
            from_cache,
            as_of,
            as_of_text: as_of.map(|at| shown.words.as_of(at)).unwrap_or_default(),
        })
    }

    async fn kept_receipts(&self, account: &AccountKey) -> Result<Option<v1::ListReceiptsResponse>> {
        let key = account.clone();
        self.cache.read_later(move |rows| rows.kept(key.as_str(), KEPT)).await
    }
}

impl Shown<'_> {
    fn receipt(&self, item: &v1::PaidItem) -> ReceiptView {
        let amount = self.money(item.amount_cents);
        let paid_at = instant(item.paid_at_ms);
        let day = paid_at.map(|at| self.words.day(at)).unwrap_or_default();
        let mut what: Vec<&str> = item.service_names.iter().map(String::as_str).collect();
        what.extend(item.child_names.iter().map(String::as_str));
        let (what, money) = (what.join(", "), &amount.text);
        let sentence = self.words.elided(match self.words.language {
            Language::Italian => format!("{what}: {money} pagati il {day}"),
            Language::English => format!("{what}: {money} paid on {day}"),
            Language::German => format!("{what}: {money} bezahlt am {day}"),
        });
        ReceiptView {
            amount,
            paid_at,
            services: item.service_names.clone(),
            children: item.child_names.clone(),
            top_up: item.top_up_id.parse().ok(),
            bill: item.bill_id.parse().ok(),
            bill_number: item.bill_number.clone(),
            period: item.period.clone(),
            of_co_guardian: item.of_co_guardian,
            paid_twice: item.paid_twice,
            sentence,
        }
    }
}
