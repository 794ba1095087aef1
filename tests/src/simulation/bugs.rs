//! Bugs about money, to be planted into a simulation: it has to find every one of them, or it checks nothing.
//!
//! None of them is in any program that is shipped or tested otherwise, and none needs a build of its own. Most are
//! triggers and changed rows in the simulation's own database, which make it behave as if a statement of the server's
//! were wrong or missing; what SQL cannot say stands between the simulation and the server: on the way of a message, of
//! its answer, of the day's charges, or in the clock. Where it was possible the ledger stays sound by itself, so that
//! `ledger verify` is content and only the oracle can find it.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

use super::{HOUR, Options, run};
use crate::house::Soap;
use crate::house::node::Receipt;

/// A bug and how it is planted.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    pub(super) plant: Plant,
}

/// Where a bug is planted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plant {
    /// In the database, before the first day.
    Sql(&'static [&'static str]),
    /// Into what the Node sends.
    Wire(fn(&mut Receipt, &mut BTreeSet<String>) -> Delivery),
    /// Into what the Node is answered.
    Answer(fn(&mut Soap)),
    /// Into the day's charges.
    Desk(Desk),
    /// Into the clock, by so many milliseconds.
    Clock(i64),
}

/// Whether a message gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    On,
    /// It is answered OK and goes no further.
    Swallowed,
}

/// A use of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meal {
    pub(super) purse: usize,
    pub(super) cents: i64,
}

/// Changes what is booked on a day.
pub(super) type Desk = fn(&mut Vec<Meal>, Date);

/// A bug that was looked for.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Which.
    pub bug: &'static Bug,
    /// The seed that found it, on which day, and what showed it; `None` where no seed did.
    pub found: Option<(u64, usize, Vec<&'static str>)>,
}

/// Plants `bug` into simulations with one seed after the other until one finds it.
///
/// # Errors
/// As [`run`].
pub async fn hunt(
    bug: &'static Bug,
    seeds: impl Iterator<Item = u64>,
    options: fn(u64) -> Options,
) -> anyhow::Result<Hunt> {
    for seed in seeds {
        if let Err(finding) = run(options(seed), Some(bug)).await? {
            return Ok(Hunt { bug, found: Some((seed, finding.day.0, finding.checks)) });
        }
    }
    Ok(Hunt { bug, found: None })
}

impl std::fmt::Display for Hunt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Bug { name, what, .. } = self.bug;
        match &self.found {
            Some((seed, day, checks)) => {
                write!(f, "{name:<28} seed {seed:<3} day {day:<4} {:<34} {what}", checks.join(", "))
            }
            None => write!(f, "{name:<28} NOT FOUND {what}"),
        }
    }
}

const fn sql(name: &'static str, what: &'static str, statements: &'static [&'static str]) -> Bug {
    Bug { name, what, plant: Plant::Sql(statements) }
}

const fn wire(
    name: &'static str,
    what: &'static str,
    meddle: fn(&mut Receipt, &mut BTreeSet<String>) -> Delivery,
) -> Bug {
    Bug { name, what, plant: Plant::Wire(meddle) }
}

const fn desk(name: &'static str, what: &'static str, desk: Desk) -> Bug {
    Bug { name, what, plant: Plant::Desk(desk) }
}

/// A trigger.
macro_rules! on {
    ($event:literal, $body:literal) => {
        &[concat!("CREATE TRIGGER planted ", $event, " BEGIN ", $body, "; END")]
    };
}

/// All of them.
pub const BUGS: &[Bug] = &[
    // Receipts and their key.
    sql(
        "no_unique_key",
        "the receipt's key is not unique: the same one again is a new one",
        on!(
            "BEFORE INSERT ON receipt",
            "UPDATE receipt SET receipt_id = receipt_id || '+' WHERE creditor = NEW.creditor AND issuer = NEW.issuer
                AND receipt_id = NEW.receipt_id"
        ),
    ),
    sql(
        "insert_or_replace",
        "the same receipt again replaces the first one, and is booked again",
        on!(
            "BEFORE INSERT ON receipt",
            "DELETE FROM receipt WHERE creditor = NEW.creditor AND issuer = NEW.issuer AND receipt_id = NEW.receipt_id"
        ),
    ),
    sql(
        "contradiction_is_new",
        "other content under a known key is booked as a new receipt",
        on!(
            "BEFORE INSERT ON receipt",
            "UPDATE receipt SET receipt_id = receipt_id || '+' WHERE creditor = NEW.creditor AND issuer = NEW.issuer
                AND receipt_id = NEW.receipt_id AND content_digest <> NEW.content_digest"
        ),
    ),
    sql(
        "receipt_lost",
        "one receipt of seven is booked and not kept",
        on!("AFTER INSERT ON receipt WHEN NEW.received_at_ms % 7 = 0", "DELETE FROM receipt WHERE rowid = NEW.rowid"),
    ),
    sql(
        "total_kept_as_ours",
        "a receipt says that all of it is ours",
        on!("AFTER INSERT ON receipt", "UPDATE receipt SET ours_cents = total_cents WHERE rowid = NEW.rowid"),
    ),
    wire("key_without_issuer", "the key of a receipt ignores who issued the notice", |receipt, seen| {
        swallow_if(!seen.insert(format!("{} {}", receipt.to.id_pa, receipt.id)) && receipt.issuer != receipt.to.id_pa)
    }),
    wire(
        "key_without_creditor",
        "a shared payment is taken for a repetition by the second creditor",
        |receipt, seen| {
            let known = seen.contains(&receipt.id) && !seen.contains(&format!("{} {}", receipt.id, receipt.to.id_pa));
            seen.extend([receipt.id.clone(), format!("{} {}", receipt.id, receipt.to.id_pa)]);
            swallow_if(known)
        },
    ),
    wire(
        "key_is_the_notice",
        "a second payment of a notice is taken for a repetition of the first",
        |receipt, seen| {
            let other = !seen.insert(format!("{} {}", receipt.to.id_pa, receipt.notice));
            swallow_if(!seen.insert(format!("{} {}", receipt.notice, receipt.id)) || other)
        },
    ),
    wire("id_cut_short", "a receipt's id is cut to five characters", |receipt, _| {
        receipt.id.truncate(5);
        Delivery::On
    }),
    // What is booked, and where.
    sql(
        "double_credit",
        "a wallet's balance grows twice by what was paid",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'wallet' AND NEW.balance_cents > OLD.balance_cents",
            "UPDATE account SET balance_cents = 2 * NEW.balance_cents - OLD.balance_cents WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "forgotten_posting",
        "an entry's second posting is not written",
        on!(
            "AFTER INSERT ON posting WHEN NEW.line = 1 AND NEW.cents % 5 = 0",
            "DELETE FROM posting WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "forgotten_entry",
        "a balance moves and nothing says why",
        on!(
            "AFTER INSERT ON posting WHEN NEW.line = 1 AND NEW.account_kind = 'clearing' AND NEW.cents % 3 = 0",
            "DELETE FROM posting WHERE creditor = NEW.creditor AND entry = NEW.entry;
            DELETE FROM journal_entry WHERE creditor = NEW.creditor AND id = NEW.entry"
        ),
    ),
    sql(
        "forgotten_balance",
        "a bill's balance does not move when it is paid",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'bill' AND NEW.seq > 1",
            "UPDATE account SET balance_cents = OLD.balance_cents WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "forgotten_charge_balance",
        "a charge is written and the wallet keeps its money",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'wallet' AND NEW.balance_cents < OLD.balance_cents",
            "UPDATE account SET balance_cents = OLD.balance_cents WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "one_cent_off",
        "a posting is one cent less than what was paid",
        on!(
            "AFTER INSERT ON posting WHEN NEW.line = 0 AND NEW.rowid % 3 = 0",
            "UPDATE posting SET cents = cents - 1 WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "a_cent_to_the_neighbour",
        "one cent of each payment goes to another wallet: the sum is right",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'wallet' AND NEW.balance_cents > OLD.balance_cents",
            "UPDATE account SET balance_cents = balance_cents - 1 WHERE rowid = NEW.rowid;
            UPDATE account SET balance_cents = balance_cents + 1 WHERE rowid = (SELECT MIN(rowid) FROM account
                WHERE creditor = NEW.creditor AND kind = 'wallet' AND rowid <> NEW.rowid)"
        ),
    ),
    sql(
        "chain_stands_still",
        "an account's hash is not moved on",
        on!(
            "AFTER UPDATE OF head ON account WHEN NEW.kind = 'wallet'",
            "UPDATE account SET head = OLD.head WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "tail_cut_off",
        "a payment vanishes with everything that tells of it: the ledger is sound",
        on!(
            "AFTER INSERT ON outbox WHEN NEW.kind = 'payment_done'",
            "UPDATE account SET seq = seq - 1, balance_cents = balance_cents - (SELECT r.ours_cents FROM receipt r
                    WHERE r.creditor = NEW.creditor AND r.notice_number = NEW.notice AND r.outcome = 'wallet'),
                head = (SELECT p.hash FROM posting p WHERE p.creditor = NEW.creditor AND p.account_kind = 'wallet'
                    AND p.account_id = account.id AND p.seq = account.seq - 1)
                WHERE creditor = NEW.creditor AND kind = 'wallet' AND id = (SELECT p.account_id FROM receipt r
                    JOIN posting p ON p.creditor = r.creditor AND p.entry = r.entry AND p.line = 0
                    WHERE r.creditor = NEW.creditor AND r.notice_number = NEW.notice AND r.outcome = 'wallet');
            DELETE FROM posting WHERE creditor = NEW.creditor AND entry IN (SELECT entry FROM receipt
                WHERE creditor = NEW.creditor AND notice_number = NEW.notice AND outcome = 'wallet');
            DELETE FROM journal_entry WHERE creditor = NEW.creditor AND id IN (SELECT entry FROM receipt
                WHERE creditor = NEW.creditor AND notice_number = NEW.notice AND outcome = 'wallet');
            DELETE FROM receipt WHERE creditor = NEW.creditor AND notice_number = NEW.notice AND outcome = 'wallet'"
        ),
    ),
    sql(
        "wrong_wallet",
        "a notice is for another family's wallet: the ledger is sound",
        on!(
            "AFTER INSERT ON notice WHEN NEW.wallet IS NOT NULL AND NEW.rowid % 3 = 0",
            "UPDATE notice SET wallet = (SELECT MIN(w.id) FROM wallet w WHERE w.creditor = NEW.creditor
                AND w.id <> NEW.wallet AND w.closed_at_ms IS NULL) WHERE rowid = NEW.rowid"
        ),
    ),
    wire("total_instead_of_ours", "all of a shared payment is booked: the ledger is sound", |receipt, _| {
        for (payee, _) in &mut receipt.transfers {
            receipt.to.id_pa.clone_into(payee);
        }
        Delivery::On
    }),
    wire("only_the_first_transfer", "of several transfers only the first one is read", |receipt, _| {
        receipt.transfers.truncate(1);
        Delivery::On
    }),
    wire("issuer_ignored", "another creditor's notice is taken for one of ours", |receipt, _| {
        receipt.to.id_pa.clone_into(&mut receipt.issuer);
        Delivery::On
    }),
    wire("ko_is_money", "a receipt that says KO is booked", |receipt, _| {
        receipt.outcome = "OK";
        Delivery::On
    }),
    wire("cents_lost_in_large_sums", "sums from 100 euro on lose a cent, as with short floats", |receipt, _| {
        let large = receipt.transfers.iter_mut().filter(|(_, cents)| *cents >= 10_000);
        large.for_each(|(_, cents)| *cents -= 1);
        Delivery::On
    }),
    // Suspense and the queues.
    sql(
        "no_suspense",
        "money without a place is not booked to suspense",
        on!(
            "AFTER INSERT ON posting WHEN NEW.account_kind = 'suspense'",
            "DELETE FROM posting WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "suspense_stands_still",
        "what suspense holds is not moved on",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'suspense'",
            "UPDATE account SET balance_cents = OLD.balance_cents WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "suspense_never_empties",
        "what the office books elsewhere stays in suspense, too",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'suspense' AND NEW.balance_cents < OLD.balance_cents",
            "UPDATE account SET balance_cents = OLD.balance_cents WHERE rowid = NEW.rowid"
        ),
    ),
    wire("unknown_is_dropped", "receipts for notices that are not ours are answered OK and forgotten", |receipt, _| {
        swallow_if(receipt.notice.starts_with('0'))
    }),
    sql(
        "double_payment_hidden",
        "a second payment is kept as an ordinary one: nobody decides about it",
        on!(
            "AFTER INSERT ON receipt WHEN NEW.outcome = 'double_payment'",
            "UPDATE receipt SET outcome = 'wallet' WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "anomaly_not_kept",
        "a receipt that contradicts another one is not kept",
        on!(
            "AFTER INSERT ON kept_message WHEN NEW.queue = 'anomaly'",
            "DELETE FROM kept_message WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "quarantine_not_kept",
        "a message nobody could read is not kept",
        on!(
            "AFTER INSERT ON kept_message WHEN NEW.queue = 'quarantine'",
            "DELETE FROM kept_message WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "decision_forgotten",
        "what the office booked can be decided, and booked, again",
        on!("AFTER INSERT ON resolution WHEN NEW.entry IS NOT NULL", "DELETE FROM resolution WHERE rowid = NEW.rowid"),
    ),
    sql(
        "refund_dismissed",
        "what was marked for refund reads as dismissed",
        on!(
            "AFTER INSERT ON resolution WHEN NEW.action = 'refund'",
            "UPDATE resolution SET action = 'dismissed' WHERE rowid = NEW.rowid"
        ),
    ),
    // Notices.
    sql(
        "never_settled",
        "a paid notice stays payable, and a second payment fills the wallet again: the ledger is sound",
        on!(
            "AFTER UPDATE OF state ON notice WHEN NEW.state = 'paid'",
            "UPDATE notice SET state = 'open' WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "settled_by_a_part",
        "a bill's notice is settled by its first payment",
        on!(
            "AFTER INSERT ON outbox WHEN NEW.kind = 'payment_done'",
            "UPDATE notice SET state = 'paid' WHERE creditor = NEW.creditor AND number = NEW.notice"
        ),
    ),
    sql(
        "settled_by_ko",
        "a receipt that says KO settles its notice",
        on!(
            "AFTER INSERT ON receipt WHEN NEW.outcome = 'outcome_ko'",
            "UPDATE notice SET state = 'paid' WHERE creditor = NEW.creditor AND number = NEW.notice_number"
        ),
    ),
    sql(
        "settles_the_neighbours",
        "one payment settles every open notice of its wallet",
        on!(
            "AFTER UPDATE OF state ON notice WHEN NEW.state = 'paid' AND NEW.wallet IS NOT NULL",
            "UPDATE notice SET state = 'paid' WHERE creditor = NEW.creditor AND wallet = NEW.wallet"
        ),
    ),
    sql(
        "expiry_ignored",
        "a notice can be paid for ever",
        on!(
            "AFTER INSERT ON notice WHEN NEW.expires_at_ms IS NOT NULL",
            "UPDATE notice SET expires_at_ms = expires_at_ms + 400000000000 WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "expiry_in_another_zone",
        "a notice's last day ends an hour late",
        on!(
            "AFTER INSERT ON notice WHEN NEW.expires_at_ms IS NOT NULL",
            "UPDATE notice SET expires_at_ms = expires_at_ms + 3600000 WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "withdrawal_ignored",
        "a withdrawn notice can be paid",
        on!(
            "AFTER UPDATE OF state ON notice WHEN NEW.state = 'cancelled'",
            "UPDATE notice SET state = 'open' WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "closed_wallet_takes_money",
        "closing a wallet has no effect",
        on!("AFTER UPDATE OF closed_at_ms ON wallet", "UPDATE wallet SET closed_at_ms = NULL WHERE rowid = NEW.rowid"),
    ),
    sql(
        "notice_asks_for_more",
        "every third notice asks for twice as much",
        on!(
            "AFTER INSERT ON notice WHEN NEW.rowid % 3 = 0",
            "UPDATE notice SET amount_cents = 2 * amount_cents WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "page_forgotten",
        "a payment under way is shown as one to begin",
        on!("AFTER UPDATE OF cart ON notice", "UPDATE notice SET cart = NULL WHERE rowid = NEW.rowid"),
    ),
    // Top-ups and bills.
    sql(
        "replay_is_new",
        "asking again makes another top-up",
        on!("AFTER INSERT ON top_up", "UPDATE top_up SET id = randomblob(16) WHERE rowid = NEW.rowid - 1"),
    ),
    sql(
        "no_limits",
        "a wallet holds whatever is put in, and as many top-ups may be open",
        &["UPDATE service SET wallet_max_cents = 90000000, max_open = 99"],
    ),
    sql(
        "bill_total_wrong",
        "a bill says a cent more than was issued",
        on!("AFTER INSERT ON bill", "UPDATE bill SET total_cents = total_cents + 1 WHERE rowid = NEW.rowid"),
    ),
    sql(
        "bill_line_lost",
        "a bill over two children loses the second",
        on!("AFTER INSERT ON bill_line WHEN NEW.line = 1", "DELETE FROM bill_line WHERE rowid = NEW.rowid"),
    ),
    sql(
        "overpayment_hidden",
        "what is too much for a bill is cut off",
        on!(
            "AFTER UPDATE OF balance_cents ON account WHEN NEW.kind = 'bill' AND NEW.balance_cents > 0",
            "UPDATE account SET balance_cents = 0 WHERE rowid = NEW.rowid"
        ),
    ),
    // Charges.
    desk("charged_twice", "one meal of the day is charged twice: the ledger is sound", |meals, _| {
        meals.extend(meals.first().copied());
    }),
    desk("charge_forgotten", "on Mondays the last meal is not charged: the ledger is sound", |meals, day| {
        if day.weekday() == Weekday::Monday {
            meals.pop();
        }
    }),
    desk("charged_to_the_neighbour", "one meal is charged to another wallet: the sum is right", |meals, _| {
        if let [first, .., last] = meals.as_mut_slice() {
            first.purse = last.purse;
        }
    }),
    desk("price_rounded", "prices are rounded down to ten cents", |meals, _| {
        meals.iter_mut().for_each(|meal| meal.cents -= meal.cents % 10);
    }),
    // What is told.
    sql(
        "feed_row_lost",
        "a change is numbered and not told",
        on!("AFTER INSERT ON feed WHEN NEW.seq % 5 = 0", "DELETE FROM feed WHERE rowid = NEW.rowid"),
    ),
    sql(
        "feed_stands_still",
        "a payment is booked and no phone learns of it",
        on!(
            "AFTER UPDATE OF feed_seq ON guardian",
            "UPDATE guardian SET feed_seq = OLD.feed_seq WHERE rowid = NEW.rowid"
        ),
    ),
    sql(
        "payment_not_told",
        "no message goes out for a payment",
        on!("AFTER INSERT ON outbox WHEN NEW.kind = 'payment_done'", "DELETE FROM outbox WHERE rowid = NEW.rowid"),
    ),
    sql(
        "archive_not_told",
        "pagoPA's archive is not told of a notice",
        on!("AFTER INSERT ON outbox WHEN NEW.kind = 'aca_position'", "DELETE FROM outbox WHERE rowid = NEW.rowid"),
    ),
    // Answers and time.
    Bug {
        name: "ok_before_it_is_kept",
        what: "a receipt that could not be kept is answered OK, and never comes again",
        plant: Plant::Answer(|answer| {
            if answer.is_fault() {
                *answer = Soap { status: 200, text: "<outcome>OK</outcome>".to_owned() };
            }
        }),
    },
    Bug {
        name: "fault_as_ko",
        what: "a fault of ours is answered with a KO, which is final",
        plant: Plant::Answer(|answer| {
            if answer.is_fault() {
                let text = "<outcome>KO</outcome><faultCode>PAA_SYSTEM_ERROR</faultCode>";
                *answer = Soap { status: 200, text: text.to_owned() };
            }
        }),
    },
    Bug { name: "clock_in_another_zone", what: "the server's clock is two hours ahead", plant: Plant::Clock(2 * HOUR) },
];

fn swallow_if(swallowed: bool) -> Delivery {
    if swallowed { Delivery::Swallowed } else { Delivery::On }
}
