//! Several things paid in one visit to pagoPA, or in as few fees as can be. The top-ups are saved as orders of their own, and the
//! payment as a row of the queue behind them, all at once: killed anywhere, it is finished once.

use std::collections::HashSet;
use std::sync::Arc;

use borsellino_domain::fees::split;
use borsellino_domain::id::{BillId, CartId, TopUpId, WalletId};
use borsellino_domain::money::Amount;
use borsellino_domain::time::Millis;
use borsellino_domain::top_up::PayBy;
use borsellino_proto::v1;
use prost::Message;

use crate::cache::{Rows, Snapshot, StoredIntentRow};
use crate::config::Step;
use crate::error::{Error, Invalid, Refusal, Result};
use crate::fees::FeeRange;
use crate::guard::Wanted;
use crate::inner::Inner;
use crate::intents::{self, Held, Intent, Progress, StoredRefusal, why_number, why_of};
use crate::models::{Event, Money, QueuedWhy, Shown, TopUpState, instant, safe_url};
use crate::remote::method;
use crate::session::AccountKey;
use crate::sync;

/// What such a payment is called in the queue.
pub(crate) const KIND: &str = "cart";

/// The most things paid together.
const MAX_ITEMS: usize = 25;

/// One thing to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayItem {
    /// A new top-up.
    TopUp {
        /// Into which wallet.
        wallet: WalletId,
        /// How much.
        amount: Amount,
    },
    /// What a bill asks for next.
    Bill(BillId),
    /// One instalment of a bill.
    Instalment {
        /// Of which bill.
        bill: BillId,
        /// Which, from 1.
        number: u32,
    },
}

/// How a payment of several things stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TogetherState {
    /// Saved on the phone; sent, or sent again, by itself.
    Queued {
        /// What it waits for.
        why: QueuedWhy,
    },
    /// Its pages were opened, or could not be: see each.
    Opened,
    /// Nothing of it can be paid.
    Refused(Refusal),
}

/// A payment of several things.
#[derive(Clone, Debug, PartialEq)]
pub struct TogetherView {
    /// Names it.
    pub id: CartId,
    /// How it stands.
    pub state: TogetherState,
    /// The same in words.
    pub sentence: String,
    /// The top-ups in it: each is also among the others on the home screen.
    pub top_ups: Vec<TopUpId>,
    /// The visits to make, one after the other; empty while it is queued.
    pub pages: Vec<CartPageView>,
}

/// One visit to pagoPA.
#[derive(Clone, Debug, PartialEq)]
pub struct CartPageView {
    /// Of how many notices.
    pub notices: u32,
    /// How much in all, without the fee.
    pub total: Money,
    /// The fee to expect; `None` where nobody knows.
    pub fee: Option<FeeRange>,
    /// How it stands.
    pub state: TopUpState,
    /// The same in words.
    pub sentence: String,
    /// What to do while it is in progress, or when nothing came of it.
    pub advice: Option<String>,
    /// The page to open; `None` where none could be had, or its time is over: each notice can be paid by itself.
    pub checkout_url: Option<String>,
}

/// Such a payment in the queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cart {
    account: String,
    id: CartId,
    stage: u8,
    payload: Payload,
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Item>,
    #[prost(message, repeated, tag = "2")]
    pages: Vec<Page>,
    #[prost(uint32, tag = "3")]
    held: u32,
    #[prost(uint64, tag = "4")]
    retry_after_ms: u64,
    #[prost(message, optional, tag = "5")]
    refusal: Option<StoredRefusal>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    top_up: String,
    #[prost(string, tag = "2")]
    bill: String,
    /// 0: what the bill asks for next.
    #[prost(uint32, tag = "3")]
    instalment: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Page {
    #[prost(string, repeated, tag = "1")]
    numbers: Vec<String>,
    #[prost(int64, tag = "2")]
    cents: i64,
    #[prost(int64, optional, tag = "3")]
    fee_low: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    fee_high: Option<i64>,
    /// The server answered for it.
    #[prost(bool, tag = "5")]
    answered: bool,
    #[prost(string, tag = "6")]
    url: String,
    #[prost(int64, tag = "7")]
    until_ms: i64,
    #[prost(message, optional, tag = "8")]
    refusal: Option<StoredRefusal>,
}

/// Something with its notice's number and what that asks for.
type Asked = (String, i64);

impl Cart {
    pub(crate) fn from_row(row: StoredIntentRow) -> Option<Self> {
        if row.kind != KIND {
            return None;
        }
        let payload = Payload::decode(row.payload.as_slice()).ok()?;
        Some(Self { account: row.account, id: row.id.parse().ok()?, stage: row.stage, payload })
    }

    fn to_row(&self) -> StoredIntentRow {
        StoredIntentRow {
            id: self.id.to_string(),
            account: self.account.clone(),
            kind: KIND.to_owned(),
            stage: self.stage,
            payload: self.payload.encode_to_vec(),
        }
    }

    /// Still to be sent, or sent with unknown outcome.
    pub(crate) fn is_unsent(&self) -> bool {
        self.stage < 3
    }

    pub(crate) fn held(&self) -> Held {
        Held { why: why_of(self.payload.held), retry_after_ms: self.payload.retry_after_ms }
    }

    /// What is to be paid now; `None` while a top-up of it has no answer.
    fn asks_for(&self, rows: &Rows<'_>) -> Result<Option<(Vec<Asked>, Option<Refusal>)>> {
        let snapshot = rows.snapshot(&self.account)?;
        let (mut asked, mut refused) = (Vec::new(), None);
        for item in &self.payload.items {
            let notice = if item.top_up.is_empty() {
                snapshot.as_ref().and_then(|snapshot| notice_of(snapshot, &item.bill, item.instalment))
            } else {
                match intents::find(rows, &item.top_up)?.map(|intent| intent.progress) {
                    Some(Progress::Queued | Progress::Sent) => return Ok(None),
                    Some(Progress::Accepted(known)) => known.payment.notice,
                    Some(Progress::Refused(refusal)) => {
                        refused = refused.or(Some(refusal));
                        None
                    }
                    Some(Progress::Done(_)) | None => None,
                }
            };
            let notice = notice.map(|notice| (notice.number, notice.amount_cents));
            asked.extend(notice.filter(|(number, _)| asked.iter().all(|(known, _)| known != number)));
        }
        Ok(Some((asked, refused)))
    }
}

fn notice_of(snapshot: &Snapshot, bill: &str, instalment: u32) -> Option<v1::Notice> {
    let bill = snapshot.home.bills.iter().find(|known| known.id == bill)?;
    match instalment {
        0 => bill.notice.clone(),
        number => bill.instalments.iter().find(|part| part.number == number)?.notice.clone(),
    }
}

/// Every payment of several things of an account, oldest first.
pub(crate) fn all(rows: &Rows<'_>, account: &str) -> Result<Vec<Cart>> {
    Ok(rows.intents(account)?.into_iter().filter_map(Cart::from_row).collect())
}

impl Inner {
    /// Saves the orders and the payment, sends them, and waits a little.
    pub(crate) async fn pay_together(self: &Arc<Self>, items: Vec<PayItem>) -> Result<TogetherView> {
        let account = self.active()?;
        let places: HashSet<_> = items.iter().map(|item| same_place(*item)).collect();
        if items.is_empty() || items.len() > MAX_ITEMS || places.len() != items.len() {
            return Err(Error::Invalid(Invalid::Items));
        }
        let snapshot = self.snapshot(&account).await?;
        for item in &items {
            let (bill, instalment) = match item {
                PayItem::TopUp { wallet, amount } => {
                    self.guard(&account, &Wanted::Wallet(wallet.to_string(), amount.cents())).await?;
                    continue;
                }
                PayItem::Bill(bill) => (bill.to_string(), 0),
                PayItem::Instalment { bill, number } => (bill.to_string(), *number),
            };
            let known = snapshot.as_ref().and_then(|snapshot| notice_of(snapshot, &bill, instalment));
            known.ok_or(Error::Invalid(Invalid::Bill))?;
            let wanted = if instalment == 0 { Wanted::Bill(bill) } else { Wanted::Instalment(bill, instalment) };
            self.guard(&account, &wanted).await?;
        }
        let (cart, orders) = self.order_together(&account, &items, snapshot.as_ref())?;
        let (saved, row) = (orders.clone(), cart.to_row());
        let save = move |rows: &Rows<'_>| {
            saved.iter().try_for_each(|order| intents::add(rows, order))?;
            rows.add_intent(&row)
        };
        self.cache.write_later(save).await?;
        self.steps.reached(Step::IntentSaved);
        self.emit(&account, Event::HomeChanged);
        // From here on nothing fails any more: whatever comes of it now, it is on the disk.
        let id = cart.id.to_string();
        self.pass_patiently(&account, &id).await;
        let (key, wanted) = (account.clone(), id);
        let read = self.cache.read_later(move |rows| {
            let cart = rows.intent(&wanted)?.and_then(Cart::from_row);
            Ok((cart, intents::all(rows, key.as_str())?, rows.snapshot(key.as_str())?))
        });
        let (kept, known, snapshot) = read.await.unwrap_or((None, orders, None));
        let snapshot = snapshot.unwrap_or_else(|| self.empty_snapshot());
        let creditor = self.creditor(&account);
        Ok(self.shown(&creditor, &snapshot).together_whole(&kept.unwrap_or(cart), &known))
    }

    fn order_together(
        &self,
        account: &AccountKey,
        items: &[PayItem],
        snapshot: Option<&Snapshot>,
    ) -> Result<(Cart, Vec<Intent>)> {
        let (now, asked) = (self.clock.now(), snapshot.and_then(|snapshot| self.asked(snapshot)));
        let (mut kept, mut orders) = (Vec::new(), Vec::new());
        for item in items {
            kept.push(match item {
                PayItem::TopUp { wallet, amount } => {
                    let id = TopUpId::new(now, self.random()?);
                    // Under its notice: a page of its own would stand in the way of the common one.
                    let (by, asked) = (PayBy::Notice, asked.clone());
                    orders.push(Intent::new(account.as_str(), id, *wallet, *amount, by, now, asked));
                    Item { top_up: id.to_string(), ..Item::default() }
                }
                PayItem::Bill(bill) => Item { bill: bill.to_string(), ..Item::default() },
                PayItem::Instalment { bill, number } => {
                    Item { bill: bill.to_string(), instalment: *number, ..Item::default() }
                }
            });
        }
        let id = CartId::new(now, self.random()?);
        let payload = Payload { items: kept, ..Payload::default() };
        Ok((Cart { account: account.as_str().to_owned(), id, stage: 0, payload }, orders))
    }

    /// Opens the pages of a payment whose top-ups have their answers. What was refused of it is left out.
    pub(crate) async fn submit_cart(self: &Arc<Self>, account: &AccountKey, mut cart: Cart) -> (Cart, Option<Error>) {
        if cart.payload.pages.is_empty() {
            match self.plan_cart(account, &mut cart).await {
                Ok(true) => {}
                // It waits for its top-ups, or there is nothing to open.
                Ok(false) => return (cart, None),
                Err(error) => return (cart, Some(error)),
            }
        }
        for at in 0..cart.payload.pages.len() {
            let Some(page) = cart.payload.pages.get(at).filter(|page| !page.answered).cloned() else { continue };
            self.steps.reached(Step::BeforeCart);
            let request = v1::OpenCartRequest { notice_numbers: page.numbers.clone() };
            let answered = match self.ask(account, &method::OPEN_CART, &request).await {
                Ok(answer) => {
                    Page { answered: true, url: answer.checkout_url, until_ms: answer.in_progress_until_ms, ..page }
                }
                Err(Error::Refused(no)) if no.is_final => {
                    Page { answered: true, refusal: Some(StoredRefusal::from(&no)), ..page }
                }
                // A server that knows no carts: each notice can be paid by itself.
                Err(Error::OlderServer) => Page { answered: true, ..page },
                Err(error) => {
                    let held = Held::from(&error);
                    (cart.payload.held, cart.payload.retry_after_ms) = (why_number(held.why), held.retry_after_ms);
                    // If not even this can be written, it is sent again all the same.
                    let _ = self.put_cart(account, &cart).await;
                    self.work.notify_one();
                    return (cart, Some(error));
                }
            };
            self.steps.reached(Step::AfterCart);
            if let Some(place) = cart.payload.pages.get_mut(at) {
                *place = answered;
            }
            if cart.payload.pages.iter().all(|page| page.answered) {
                cart.stage = 3;
            }
            if let Err(error) = self.put_cart(account, &cart).await {
                return (cart, Some(error));
            }
        }
        // The feed tells that they are in progress.
        let _ = sync::sync(self, account).await;
        (cart, None)
    }

    /// Decides which notices share a page, once: the same notices asked for again are the same page. `false` where there is
    /// nothing to ask for now.
    async fn plan_cart(self: &Arc<Self>, account: &AccountKey, cart: &mut Cart) -> Result<bool> {
        let reading = cart.clone();
        let Some((asked, refused)) = self.cache.read_later(move |rows| reading.asks_for(rows)).await? else {
            return Ok(false);
        };
        let table = self.fee_table(account).await.ok().flatten();
        let amounts: Vec<i64> = asked.iter().map(|(_, cents)| *cents).collect();
        for places in split(&amounts, table.as_ref()) {
            let chosen: Vec<&Asked> = places.iter().filter_map(|place| asked.get(*place)).collect();
            let cents = chosen.iter().map(|(_, cents)| *cents).fold(0, i64::saturating_add);
            let fee = table.as_ref().and_then(|table| table.range(cents));
            cart.payload.pages.push(Page {
                numbers: chosen.into_iter().map(|(number, _)| number.clone()).collect(),
                cents,
                fee_low: fee.map(|(low, _)| low),
                fee_high: fee.map(|(_, high)| high),
                ..Page::default()
            });
        }
        cart.stage = match (asked.is_empty(), &refused) {
            (false, _) => 1,
            (true, Some(_)) => 4,
            (true, None) => 3,
        };
        cart.payload.refusal = refused.as_ref().map(StoredRefusal::from);
        self.put_cart(account, cart).await?;
        Ok(!asked.is_empty())
    }

    async fn put_cart(&self, account: &AccountKey, cart: &Cart) -> Result<()> {
        let row = cart.to_row();
        self.cache.write_later(move |rows| rows.put_intent(&row)).await?;
        self.emit(account, Event::HomeChanged);
        Ok(())
    }
}

/// Two items that are this alike would pay one thing twice.
fn same_place(item: PayItem) -> (Option<WalletId>, Option<(BillId, u32)>) {
    match item {
        PayItem::TopUp { wallet, .. } => (Some(wallet), None),
        PayItem::Bill(bill) => (None, Some((bill, 0))),
        PayItem::Instalment { bill, number } => (None, Some((bill, number))),
    }
}

impl Shown<'_> {
    /// For the home screen: `None` for what is history.
    pub(crate) fn together(&self, cart: &Cart, intents: &[Intent]) -> Option<TogetherView> {
        let mut view = self.together_whole(cart, intents);
        if view.state != TogetherState::Opened {
            return Some(view);
        }
        let pages = view.pages.into_iter().zip(&cart.payload.pages);
        let open = pages.filter(|(view, page)| {
            matches!(view.state, TopUpState::InProgress { .. }) && page.numbers.iter().any(|number| self.asks(number))
        });
        view.pages = open.map(|(view, _)| view).collect();
        (!view.pages.is_empty()).then_some(view)
    }

    /// Whether the home screen still asks for a notice.
    fn asks(&self, number: &str) -> bool {
        let is = |notice: &Option<v1::Notice>| notice.as_ref().is_some_and(|notice| notice.number == number);
        self.home.payments.iter().any(|payment| is(&payment.notice) && !intents::is_over(payment))
            || self.home.bills.iter().any(|bill| is(&bill.notice) || bill.instalments.iter().any(|it| is(&it.notice)))
    }

    pub(crate) fn together_whole(&self, cart: &Cart, intents: &[Intent]) -> TogetherView {
        let payload = &cart.payload;
        let state = match &payload.refusal {
            Some(refusal) if cart.stage == 4 => TogetherState::Refused(refusal.clone().into()),
            _ if cart.is_unsent() => TogetherState::Queued { why: why_of(payload.held) },
            _ => TogetherState::Opened,
        };
        let sentence = match &state {
            TogetherState::Queued { why } => self.words.state(&TopUpState::Queued { why: *why }),
            TogetherState::Refused(refusal) => self.words.state(&TopUpState::Refused(refusal.clone())),
            TogetherState::Opened => self.words.pages(payload.pages.len()),
        };
        let known = |id: &TopUpId| intents.iter().any(|intent| intent.order.id == id.to_string());
        let top_ups = payload.items.iter().filter_map(|item| item.top_up.parse().ok()).filter(known).collect();
        let opened = state == TogetherState::Opened;
        let pages = payload.pages.iter().filter(|_| opened).map(|page| self.cart_page(page)).collect();
        TogetherView { id: cart.id, state, sentence, top_ups, pages }
    }

    fn cart_page(&self, page: &Page) -> CartPageView {
        let until = instant(page.until_ms);
        let over = |until: Millis| self.now.is_some_and(|now| until <= now);
        let state = match (&page.refusal, until) {
            (Some(refusal), _) => TopUpState::Refused(refusal.clone().into()),
            (None, Some(until)) if over(until) => crate::models::not_completed(page.until_ms),
            (None, Some(_)) => TopUpState::InProgress { until },
            (None, None) => TopUpState::Payable { until: None },
        };
        let live = matches!(state, TopUpState::InProgress { .. });
        let checkout_url = safe_url(&page.url).filter(|_| live);
        let fee = page.fee_low.zip(page.fee_high);
        CartPageView {
            notices: u32::try_from(page.numbers.len()).unwrap_or(u32::MAX),
            total: self.money(page.cents),
            fee: fee.map(|(low, high)| FeeRange { low: self.money(low), high: self.money(high) }),
            sentence: self.words.state(&state),
            advice: self.words.advice(&state, checkout_url.is_some()),
            state,
            checkout_url,
        }
    }
}

impl crate::words::Words {
    /// How many visits a payment takes.
    fn pages(&self, count: usize) -> String {
        match count {
            0 => self.of(["Niente da pagare", "Nothing to pay", "Nichts zu zahlen"]).to_owned(),
            1 => self.of(["Un pagamento per tutto", "One payment for all", "Eine Zahlung für alles"]).to_owned(),
            _ => match self.language {
                borsellino_domain::language::Language::Italian => format!("{count} pagamenti, uno dopo l'altro"),
                borsellino_domain::language::Language::English => format!("{count} payments, one after the other"),
                borsellino_domain::language::Language::German => format!("{count} Zahlungen nacheinander"),
            },
        }
    }
}
