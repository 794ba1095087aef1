//! `Ricarica`: how much into which balance, of one child or of several at once; online, or with a notice.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use borsellino_domain::id::TopUpId;
use borsellino_domain::money::Amount;
use borsellino_domain::top_up::{PayBy, PaymentState, TopUpOrder, TopUpRefusal};
use borsellino_domain::words::Words;
use borsellino_proto::reason::Reason;
use serde::Deserialize;

use super::forms::{Fields, Posted};
use super::frame::{Frame, ended, fault, go, refused_for, show, stopped};
use super::home::{Due, of_payment};
use super::visit::{Parent, Visit, renew};
use crate::sentences;
use crate::usecases::carts::{CartRefusal, MAX_NOTICES, open_cart};
use crate::usecases::fees;
use crate::usecases::home::home;
use crate::usecases::pay::{PayRefusal, start_top_up};
use crate::usecases::views::{HomeView, PaymentView, WalletView};
use crate::usecases::{App, Stop};

#[derive(Template)]
#[template(path = "portal/top_up.html")]
struct TopUp {
    f: Frame,
    problem: Option<String>,
    /// What is under way already: nobody pays twice because the browser went back.
    open: Vec<Due>,
    wallets: Vec<Wallet>,
    fee: String,
    /// Nothing takes money.
    none: bool,
}

struct Wallet {
    id: String,
    /// Of the order: sent again, it is the same top-up.
    order: String,
    title: String,
    balance: String,
    covers: String,
    chosen: bool,
    presets: Vec<Preset>,
    /// What was typed.
    typed: String,
    other: bool,
    limits: String,
    problem: Option<String>,
    full: bool,
}

struct Preset {
    value: String,
    words: String,
    suggested: bool,
    checked: bool,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    saldo: String,
}

pub(super) async fn page(parent: Parent, Query(asked): Query<Asked>) -> Response {
    let visit = &parent.visit;
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    let known = wallets(&view).any(|(_, wallet)| wallet.id.to_string() == asked.saldo);
    if !asked.saldo.is_empty() && !known {
        return refused_for(visit, Reason::UnknownWallet);
    }
    let mut response =
        form(&parent, &view, (StatusCode::OK, &asked.saldo), &Fields::default(), &Problems::default()).await;
    renew(&parent, &mut response).await;
    response
}

fn wallets(view: &HomeView) -> impl Iterator<Item = (&str, &WalletView)> {
    view.children.iter().flat_map(|child| child.wallets.iter().map(|wallet| (child.given_name.as_str(), wallet)))
}

/// What is wrong with what was typed.
#[derive(Default)]
struct Problems {
    whole: Option<String>,
    /// By wallet.
    of: HashMap<String, String>,
}

async fn form(
    parent: &Parent,
    view: &HomeView,
    (status, first): (StatusCode, &str),
    fields: &Fields,
    problems: &Problems,
) -> Response {
    let visit = &parent.visit;
    let w = visit.words;
    let fees = match fees::of_caller(&visit.app, parent.who).await {
        Ok(fees) => fees,
        Err(stop) => return stopped(visit, stop),
    };
    let chosen = |wallet: &WalletView| wallet.id.to_string() == first;
    let mut sorted: Vec<_> = wallets(view).filter(|(_, wallet)| wallet.open).collect();
    // The one that was tapped comes first; the order of the others stays.
    sorted.sort_by_key(|(_, wallet)| !chosen(wallet));
    let mut shown = Vec::with_capacity(sorted.len());
    for (child, wallet) in sorted {
        match shown_wallet(&visit.app, (child, wallet, chosen(wallet)), fields, problems, &w) {
            Ok(one) => shown.push(one),
            Err(error) => return fault(visit, &error),
        }
    }
    let first_amount =
        wallets(view).find(|(_, wallet)| chosen(wallet)).and_then(|(_, wallet)| wallet.choices.suggested);
    let range = fees.and_then(|fees| fees.table.range(first_amount.map_or(2_000, Amount::cents)));
    let under_way = view.payments.iter().filter(|payment| matches!(payment.state, PaymentState::InProgress { .. }));
    let base = visit.base();
    let title = w.of(["Ricarica", "Top up", "Aufladen"]);
    let page = TopUp {
        f: visit.frame(title, "/ricarica"),
        problem: problems.whole.clone(),
        open: under_way.map(|payment| of_payment(payment, view, &base, &w)).collect(),
        none: shown.is_empty(),
        wallets: shown,
        fee: range.map(|range| fee(range, &w)).unwrap_or_default(),
    };
    show(status, &page)
}

/// `Commissione prevista: da 0,35 € a 1,50 €, secondo dove paghi`
pub(super) fn fee((least, most): (i64, i64), w: &Words) -> String {
    let (least, most) = (w.money(least), w.money(most));
    match w.language {
        borsellino_domain::language::Language::Italian => {
            format!("Commissione prevista: da {least} a {most}, secondo dove e come paghi.")
        }
        borsellino_domain::language::Language::English => {
            format!("Fee to expect: from {least} to {most}, depending on where and how you pay.")
        }
        borsellino_domain::language::Language::German => {
            format!("Voraussichtliche Gebühr: von {least} bis {most}, je nachdem, wo und wie Sie bezahlen.")
        }
    }
}

fn shown_wallet(
    app: &App,
    (child, wallet, chosen): (&str, &WalletView, bool),
    fields: &Fields,
    problems: &Problems,
    w: &Words,
) -> Result<Wallet, crate::usecases::Fault> {
    let id = wallet.id.to_string();
    let sent = fields.get(&format!("importo-{id}"));
    let typed = fields.get(&format!("altro-{id}")).to_owned();
    let before = fields.get(&format!("id-{id}"));
    let order = if before.is_empty() { app.new_id::<TopUpId>()?.to_string() } else { before.to_owned() };
    let presets: Vec<Preset> = wallet
        .choices
        .presets
        .iter()
        .map(|amount| {
            let suggested = wallet.choices.suggested == Some(*amount);
            let value = amount.cents().to_string();
            let checked = if sent.is_empty() { chosen && suggested } else { sent == value };
            Preset { words: w.money(amount.cents()), suggested, checked, value }
        })
        .collect();
    let (min, max) = (wallet.choices.min.cents(), wallet.choices.max.map(Amount::cents));
    let limits = max.map(|max| match w.language {
        borsellino_domain::language::Language::Italian => format!("Da {} a {}", w.money(min), w.money(max)),
        borsellino_domain::language::Language::English => format!("From {} to {}", w.money(min), w.money(max)),
        borsellino_domain::language::Language::German => format!("Von {} bis {}", w.money(min), w.money(max)),
    });
    Ok(Wallet {
        order,
        title: format!("{}, {child}", wallet.service_name),
        balance: w.balance(wallet.balance.get()),
        covers: wallet.covers.map(|units| w.covers(Some(wallet.kind), units)).unwrap_or_default(),
        other: sent == "altro" || (sent.is_empty() && chosen && !presets.iter().any(|preset| preset.checked)),
        chosen,
        presets,
        typed,
        full: limits.is_none(),
        limits: limits.unwrap_or_default(),
        problem: problems.of.get(&id).cloned(),
        id,
    })
}

pub(super) async fn start(Posted { parent, fields }: Posted) -> Response {
    let visit = &parent.visit;
    let view = match home(&visit.app, parent.who).await {
        Ok(view) => view,
        Err(stop) => return stopped(visit, stop),
    };
    // A wallet that is none of theirs stands in no field of ours: somebody changed the form.
    let theirs: Vec<String> = wallets(&view).map(|(_, wallet)| wallet.id.to_string()).collect();
    let foreign = fields
        .pairs()
        .any(|(name, _)| name.strip_prefix("importo-").is_some_and(|id| !theirs.iter().any(|own| own == id)));
    if foreign {
        return refused_for(visit, Reason::UnknownWallet);
    }
    let again = async |problems: Problems| {
        let first = fields.get("primo");
        form(&parent, &view, (StatusCode::UNPROCESSABLE_ENTITY, first), &fields, &problems).await
    };
    let (orders, problems) = orders(visit, &view, &fields);
    if !problems.of.is_empty() {
        return again(problems).await;
    }
    if orders.is_empty() || orders.len() > MAX_NOTICES {
        let words = if orders.is_empty() {
            [
                "Scegli un importo per almeno un servizio.",
                "Choose an amount for at least one service.",
                "Wählen Sie für mindestens einen Dienst einen Betrag.",
            ]
        } else {
            [
                "Al massimo cinque servizi in un pagamento.",
                "At most five services in one payment.",
                "Höchstens fünf Dienste in einer Zahlung.",
            ]
        };
        return again(Problems { whole: Some(visit.words.of(words).to_owned()), of: HashMap::new() }).await;
    }
    let online = fields.get("come") != "avviso";
    let mut started: Vec<PaymentView> = Vec::with_capacity(orders.len());
    for order in orders {
        let wallet = order.wallet.to_string();
        match start_top_up(&visit.app, parent.who, order, None).await {
            Ok(one) => started.push(one.payment),
            Err(Stop::Refused(PayRefusal::Session(refusal))) => return ended(visit, refusal),
            Err(Stop::Refused(PayRefusal::TopUp(refusal))) => {
                let problem = sentences::top_up(refusal, visit.language).sentence;
                // Under this id another one was made from this form: the next tap is for a new one.
                let fields = match refusal {
                    TopUpRefusal::IdReused => fields.without(&format!("id-{wallet}")),
                    _ => fields.clone(),
                };
                let problems = Problems { whole: None, of: HashMap::from([(wallet, problem)]) };
                let status = (StatusCode::UNPROCESSABLE_ENTITY, fields.get("primo"));
                return form(&parent, &view, status, &fields, &problems).await;
            }
            Err(Stop::Refused(_)) => return refused_for(visit, Reason::UnknownTopUp),
            Err(Stop::Fault(error)) => return fault(visit, &error),
        }
    }
    let ids: Vec<String> = started.iter().map(|payment| payment.id.to_string()).collect();
    let outcome = format!("{}/esito/ricarica/{}", visit.base(), ids.join("."));
    if !online {
        return match started.as_slice() {
            [one] => go(&format!("{}/avviso/{}", visit.base(), one.notice.number)),
            _ => go(&outcome),
        };
    }
    // One page for all of them; where there is none, each stands with its notice.
    let numbers = started.iter().map(|payment| payment.notice.number).collect();
    match open_cart(&visit.app, parent.who, numbers).await {
        Ok(_) => go(&format!("{outcome}?vai")),
        Err(Stop::Refused(CartRefusal::Session(refusal))) => ended(visit, refusal),
        // What each of them stands at says more than a sentence could.
        Err(Stop::Refused(_)) => go(&outcome),
        Err(Stop::Fault(error)) => fault(visit, &error),
    }
}

/// What was asked for, in words: for each balance how much, as far as it is an amount.
pub(super) fn told(view: &HomeView, fields: &Fields, w: &Words) -> Vec<(String, String)> {
    let of = |(child, wallet): (&str, &WalletView)| {
        let typed = fields.get(&format!("altro-{}", wallet.id));
        let amount = match fields.get(&format!("importo-{}", wallet.id)) {
            "" | "niente" if typed.is_empty() => return None,
            "" | "niente" | "altro" => Amount::parse(typed).map_or(typed.to_owned(), |amount| w.money(amount.cents())),
            cents => w.money(cents.parse().ok()?),
        };
        Some((format!("{child}, {}", wallet.service_name), amount))
    };
    wallets(view).filter_map(of).collect()
}

/// What was asked for; and what is wrong with it.
fn orders(visit: &Visit, view: &HomeView, fields: &Fields) -> (Vec<TopUpOrder>, Problems) {
    let (mut orders, mut problems) = (Vec::new(), Problems::default());
    for (_, wallet) in wallets(view) {
        let id = wallet.id.to_string();
        let typed = fields.get(&format!("altro-{id}"));
        let amount = match fields.get(&format!("importo-{id}")) {
            "" | "niente" if typed.is_empty() => continue,
            "" | "niente" | "altro" => Amount::parse(typed).ok(),
            cents => {
                let preset = cents.parse::<i64>().ok().and_then(|cents| Amount::from_cents(cents).ok());
                // Without a script a preset stays chosen while something else is typed: which of them is meant?
                if !typed.is_empty() && Amount::parse(typed).ok() != preset {
                    let words = visit.words.of([
                        "Hai scelto un importo e ne hai scritto un altro: lascia solo uno dei due.",
                        "You chose one amount and typed another: leave only one of them.",
                        "Sie haben einen Betrag gewählt und einen anderen eingegeben: Lassen Sie nur einen stehen.",
                    ]);
                    problems.of.insert(id, words.to_owned());
                    continue;
                }
                preset
            }
        };
        let order = fields.get(&format!("id-{id}")).parse::<TopUpId>();
        match (amount, order) {
            (Some(amount), Ok(order)) => {
                orders.push((order, wallet.id, amount));
            }
            _ => {
                problems.of.insert(id, sentences::of(Reason::AmountInvalid, visit.language).to_owned());
            }
        }
    }
    // Each with its notice, whichever button it was: tapped again with the other one it is the same top-up. The page is opened after.
    let order = |(id, wallet, amount)| TopUpOrder { id, wallet, amount, pay_by: PayBy::Notice };
    let orders = orders.into_iter().map(order);
    (orders.collect(), problems)
}
