//! What the sandbox remembers: carts, positions, payments with their deliveries, violations. All in memory.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::faults::{Faults, Struck};
use super::psps::{Method, Psp};
use super::schema::Breach;
use super::stand_in::StandIn;
use super::xml::Element;

/// Older violations make room for newer ones.
const MAX_VIOLATIONS: usize = 500;
/// Older carts make room for newer ones.
const MAX_CARTS: usize = 10_000;

/// Everything, behind one lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) carts: HashMap<String, Cart>,
    /// Cart ids, oldest first.
    pub(super) cart_order: VecDeque<String>,
    /// By payment token.
    pub(super) payments: HashMap<String, Payment>,
    /// Tokens, oldest first.
    pub(super) payment_order: Vec<String>,
    /// By creditor and notice number.
    pub(super) positions: HashMap<(String, String), Position>,
    pub(super) violations: VecDeque<Violation>,
    pub(super) faults: Faults,
    /// By creditor; those whose station the Node stands in for.
    pub(super) stand_in: HashMap<String, StandIn>,
}

/// What the Node knows about a notice.
#[derive(Default)]
pub(super) struct Position {
    /// The token that blocks it, and until when.
    pub(super) token: Option<(String, Timestamp)>,
    /// Whether money was taken for it.
    pub(super) paid: bool,
}

/// A cart of Checkout.
#[derive(Clone)]
pub(super) struct Cart {
    pub(super) id: String,
    pub(super) notices: Vec<CartNotice>,
    pub(super) urls: ReturnUrls,
    /// The creditor's own id of the cart: `paymentNote` of activation and receipt.
    pub(super) note: Option<String>,
    pub(super) email: Option<String>,
    pub(super) expires: Timestamp,
    pub(super) created: Timestamp,
    pub(super) method: Option<Method>,
    pub(super) psp: Option<&'static Psp>,
    /// Well-shaped card data were given; the data themselves are not kept.
    pub(super) card_given: bool,
    pub(super) status: CartStatus,
    /// Of the attempt whose outcome is unknown.
    pub(super) tokens: Vec<String>,
}

#[derive(Clone)]
pub(super) struct CartNotice {
    pub(super) creditor: String,
    pub(super) notice: String,
    /// As shown to the payer, euro cents.
    pub(super) amount: i64,
    pub(super) company: String,
    pub(super) description: String,
    /// What the verification said of postal accounts.
    pub(super) all_ccp: bool,
}

#[derive(Clone)]
pub(super) struct ReturnUrls {
    pub(super) ok: String,
    pub(super) cancel: String,
    pub(super) error: String,
    pub(super) waiting: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CartStatus {
    Open,
    Paid,
    Unknown,
    Expired,
}

impl Cart {
    /// The status at this instant: an open cart expires by itself.
    pub(super) fn status_at(&self, now: Timestamp) -> CartStatus {
        if self.status == CartStatus::Open && now >= self.expires { CartStatus::Expired } else { self.status }
    }

    /// Total without fee, euro cents. The contract's own limits keep it far from overflow.
    pub(super) fn total(&self) -> i64 {
        self.notices.iter().fold(0, |sum, n| sum.saturating_add(n.amount))
    }
}

/// One activation and what became of it; the token is the key, and the receipt's id once paid.
#[derive(Clone)]
pub(super) struct Payment {
    pub(super) token: String,
    pub(super) creditor: String,
    pub(super) notice: String,
    /// Euro cents, as the creditor answered.
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) company: String,
    pub(super) note: Option<String>,
    /// The `data` of the activation's answer: the receipt repeats parts of it.
    pub(super) data: Element,
    pub(super) at: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) state: PaymentState,
    /// What the payer used; fee in euro cents.
    pub(super) psp: &'static Psp,
    pub(super) fee: i64,
    pub(super) paid_at: Option<Timestamp>,
    /// Primary creditor first, then its copy in version 1, then the broadcast copies.
    pub(super) deliveries: Vec<Delivery>,
    /// Paid without asking the creditor.
    pub(super) stand_in: bool,
    /// The owner of the notice gets a version 1 copy of the receipt besides.
    pub(super) also_v1: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaymentState {
    Activated,
    Paid,
    Refused,
}

/// One receipt on its way to one creditor.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) creditor: String,
    /// As paSendRT instead of paSendRTV2.
    pub(super) v1: bool,
    pub(super) status: DeliveryStatus,
    /// The fault that keeps it from being sent, for now or for good.
    pub(super) held_by: Option<Struck>,
    pub(super) attempts: Vec<Attempt>,
}

/// One try, in words.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) at: Timestamp,
    pub(super) result: String,
    pub(super) struck: Option<Struck>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeliveryStatus {
    /// A fault keeps it from being sent.
    Held,
    Pending,
    Acknowledged,
    Refused,
    Exhausted,
}

impl DeliveryStatus {
    /// In Italian.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Held => "trattenuta",
            Self::Pending => "in attesa: sarà rispedita",
            Self::Acknowledged => "accettata",
            Self::Refused => "rifiutata dall'ente",
            Self::Exhausted => "non consegnata: tentativi finiti",
        }
    }
}

/// A rule that an answer of a creditor broke.
#[derive(Clone)]
pub(super) struct Violation {
    pub(super) at: Timestamp,
    pub(super) creditor: String,
    pub(super) operation: &'static str,
    pub(super) rule: &'static str,
    pub(super) path: String,
    pub(super) words: String,
}

impl State {
    /// Adds a cart, forgetting the oldest when there are too many.
    pub(super) fn add_cart(&mut self, cart: Cart) {
        if self.carts.len() >= MAX_CARTS
            && let Some(oldest) = self.cart_order.pop_front()
        {
            self.carts.remove(&oldest);
        }
        self.cart_order.push_back(cart.id.clone());
        self.carts.insert(cart.id.clone(), cart);
    }

    /// Adds a payment.
    pub(super) fn add_payment(&mut self, payment: Payment) {
        self.payment_order.push(payment.token.clone());
        self.payments.insert(payment.token.clone(), payment);
    }

    /// The newest payment of a notice for which money was taken.
    pub(super) fn paid(&self, creditor: &str, notice: &str) -> Option<&Payment> {
        let mut newest = self.payment_order.iter().rev().filter_map(|token| self.payments.get(token));
        newest.find(|p| p.state == PaymentState::Paid && p.creditor == creditor && p.notice == notice)
    }

    /// The creditors in stand-in.
    pub(super) fn standing_in(&self) -> Vec<String> {
        let on = self.stand_in.iter().filter(|(_, its)| its.is_on());
        let mut creditors: Vec<String> = on.map(|(creditor, _)| creditor.clone()).collect();
        creditors.sort_unstable();
        creditors
    }

    /// Keeps the breaches of one answer.
    pub(super) fn violated(&mut self, at: Timestamp, creditor: &str, operation: &'static str, breaches: Vec<Breach>) {
        for b in breaches {
            if self.violations.len() >= MAX_VIOLATIONS {
                self.violations.pop_front();
            }
            let creditor = creditor.to_owned();
            self.violations.push_back(Violation {
                at,
                creditor,
                operation,
                rule: b.rule,
                path: b.path,
                words: b.words,
            });
        }
    }

    /// Moves the cart of a payment on, once an unknown outcome of all its payments has become known.
    pub(super) fn concluded(&mut self, token: &str) {
        let Some(cart) = self.carts.values_mut().find(|c| c.tokens.iter().any(|t| t == token)) else {
            return;
        };
        let all = |state| cart.tokens.iter().all(|t| self.payments.get(t).is_some_and(|p| p.state == state));
        if all(PaymentState::Paid) {
            cart.status = CartStatus::Paid;
        } else if all(PaymentState::Refused) {
            cart.status = CartStatus::Open;
        }
    }

    /// Frees a position held by this token.
    pub(super) fn release(&mut self, creditor: &str, notice: &str, token: &str) {
        if let Some(position) = self.positions.get_mut(&(creditor.to_owned(), notice.to_owned()))
            && position.token.as_ref().is_some_and(|(held, _)| held == token)
        {
            position.token = None;
        }
    }
}
