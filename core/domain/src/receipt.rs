//! What a receipt does. The receipt is the only proof of payment, and money that moved is always booked: to the wallet
//! or the bill where that is sure, to suspense where it is not (ARCHITECTURE.md, rules of money, 1, 3 and 4).

use crate::creditor::CreditorCode;
use crate::id::{BillId, WalletId};
use crate::ledger::{Account, EntryKind, coded};
use crate::money::{Amount, Cents, CentsOverflow};
use crate::top_up::NoticeState;

/// What the Node says, as far as booking is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// `idPA`: the creditor of ours it is addressed to.
    pub addressed_to: CreditorCode,
    /// `receipt/fiscalCode`: who issued the notice; differs for a payment shared with another creditor.
    pub issuer: CreditorCode,
    /// Whether `outcome` is OK; a receipt with KO moves no money.
    pub outcome_ok: bool,
    /// Whether `creditorReferenceId` is the reference (IUV) inside the notice's number.
    pub reference_fits: bool,
    /// `paymentAmount`: what was paid in all.
    pub total: Cents,
    /// The transfers: who is paid, and how many cents.
    pub transfers: Vec<(CreditorCode, Cents)>,
}

impl ReceiptFacts {
    /// What was paid to the creditor it is addressed to: the sum of its own transfers.
    ///
    /// # Errors
    /// [`CentsOverflow`] where the sum does not fit.
    pub fn ours(&self) -> Result<Cents, CentsOverflow> {
        let own = self.transfers.iter().filter(|(payee, _)| *payee == self.addressed_to);
        own.into_iter().try_fold(Cents::ZERO, |sum, (_, cents)| sum.plus(*cents))
    }

    /// Whether the transfers, everybody's, make up what was paid.
    fn adds_up(&self) -> bool {
        let sum = self.transfers.iter().try_fold(Cents::ZERO, |sum, (_, cents)| sum.plus(*cents));
        sum == Ok(self.total)
    }
}

/// What the notice was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticePurpose {
    /// To fill a wallet.
    TopUp {
        /// Which one.
        wallet: WalletId,
        /// Whether it takes money.
        wallet_open: bool,
    },
    /// To pay a bill.
    Bill {
        /// Which one.
        bill: BillId,
        /// Whether other instalments of it, each with a notice of its own, are open.
        others_open: bool,
        /// What lies in suspense for it, in cents.
        held: Cents,
    },
}

/// What we know of the notice a receipt names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeFacts {
    /// How it stands now, expiry included.
    pub state: NoticeState,
    /// What it asked for.
    pub amount: Amount,
    /// What it was made for.
    pub purpose: NoticePurpose,
    /// What the account of its wallet or bill holds.
    pub balance: Cents,
}

coded! {
    /// Why money waits in suspense for the office.
    SuspenseReason, "suspense reason" {
        /// We never issued this notice.
        UnknownNotice = "unknown_notice",
        /// The notice is another creditor's: our share of a shared payment.
        SharedPayment = "shared_payment",
        /// The notice was settled by an earlier receipt: a real second payment.
        DoublePayment = "double_payment",
        /// The wallet no longer takes money.
        WalletClosed = "wallet_closed",
        /// The bill was withdrawn.
        BillCancelled = "bill_cancelled",
        /// Its transfers do not make up what it says was paid.
        TransfersDiffer = "transfers_differ",
        /// Its reference (IUV) is another notice's.
        ReferenceDiffers = "reference_differs",
        /// The account it belongs to can hold no more.
        AccountFull = "account_full",
    }
}

coded! {
    /// Why a receipt books nothing.
    NothingReason, "reason to book nothing" {
        /// Its outcome is KO: no money moved.
        OutcomeKo = "outcome_ko",
        /// None of its transfers is ours.
        NothingOurs = "nothing_ours",
        /// Its sums fit no ledger: a person must look.
        Overflow = "overflow",
    }
}

/// Where the money of a receipt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// To its wallet.
    Wallet {
        /// Which.
        wallet: WalletId,
        /// How much.
        amount: Amount,
    },
    /// To its bill.
    Bill {
        /// Which.
        bill: BillId,
        /// How much.
        amount: Amount,
        /// Whether other instalments of it are open.
        others_open: bool,
        /// What lies in suspense for it, in cents.
        held: Cents,
    },
    /// To suspense, for the office.
    Suspense {
        /// Why.
        reason: SuspenseReason,
        /// How much.
        amount: Amount,
    },
    /// Nowhere: no money moved, or none of it is ours.
    Nothing(NothingReason),
}

impl SuspenseReason {
    /// Whether somebody paid a notice of ours that could be paid, so that nobody must be asked for it again though its
    /// money lies in suspense. Of the other reasons the notice is unknown, not ours, or settled.
    pub const fn holds_notice(self) -> bool {
        !matches!(self, Self::UnknownNotice | Self::SharedPayment | Self::DoublePayment)
    }
}

impl Booking {
    /// The name of the outcome in storage.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Wallet { .. } => "wallet",
            Self::Bill { .. } => "bill",
            Self::Suspense { reason, .. } => reason.code(),
            Self::Nothing(reason) => reason.code(),
        }
    }

    /// The account that gets the money, the kind of the entry and the amount; `None` where nothing is booked.
    pub const fn entry(self) -> Option<(Account, EntryKind, Amount)> {
        match self {
            Self::Wallet { wallet, amount } => Some((Account::wallet(wallet), EntryKind::TopUp, amount)),
            Self::Bill { bill, amount, .. } => Some((Account::bill(bill), EntryKind::BillPayment, amount)),
            Self::Suspense { amount, .. } => Some((Account::SUSPENSE, EntryKind::Suspense, amount)),
            Self::Nothing(_) => None,
        }
    }

    /// Whether the notice is settled by it, given what the account that got the money holds after it. A bill's notice
    /// stays payable while something is left of the bill: what it costs is asked anew each time (SANP 3.12.0,
    /// paVerifyPaymentNotice). An instalment that was paid, if only in part, is done while others are open: the last
    /// of them asks for all that is left.
    pub const fn settles_notice(self, balance_after: Cents) -> bool {
        match self {
            Self::Wallet { .. } => true,
            Self::Bill { others_open, held, .. } => others_open || balance_after.get().saturating_add(held.get()) >= 0,
            Self::Suspense { reason, .. } => reason.holds_notice(),
            Self::Nothing(_) => false,
        }
    }
}

/// Decides where a receipt's money goes. What counts is what was paid to us, not what the notice asked for.
pub fn decide(receipt: &ReceiptFacts, notice: Option<&NoticeFacts>) -> Booking {
    if !receipt.outcome_ok {
        return Booking::Nothing(NothingReason::OutcomeKo);
    }
    let amount = match receipt.ours() {
        Ok(Cents::ZERO) => return Booking::Nothing(NothingReason::NothingOurs),
        Ok(cents) => match Amount::from_cents(cents.get()) {
            Ok(amount) => amount,
            Err(_) => return Booking::Nothing(NothingReason::Overflow),
        },
        Err(CentsOverflow) => return Booking::Nothing(NothingReason::Overflow),
    };
    let suspense = |reason| Booking::Suspense { reason, amount };
    if receipt.issuer != receipt.addressed_to {
        return suspense(SuspenseReason::SharedPayment);
    }
    let Some(notice) = notice else {
        return suspense(SuspenseReason::UnknownNotice);
    };
    let cancelled = match notice.state {
        NoticeState::Paid => return suspense(SuspenseReason::DoublePayment),
        NoticeState::Cancelled => true,
        NoticeState::Open | NoticeState::Expired => false,
    };
    // A receipt that contradicts itself is proof that money moved, and no proof of what for.
    if !receipt.reference_fits {
        return suspense(SuspenseReason::ReferenceDiffers);
    }
    if !receipt.adds_up() {
        return suspense(SuspenseReason::TransfersDiffer);
    }
    if notice.balance.plus(amount.as_cents()).is_err() {
        return suspense(SuspenseReason::AccountFull);
    }
    match notice.purpose {
        NoticePurpose::TopUp { wallet_open: false, .. } => suspense(SuspenseReason::WalletClosed),
        // Cancelled or expired, the money is here and the wallet is sure.
        NoticePurpose::TopUp { wallet, .. } => Booking::Wallet { wallet, amount },
        NoticePurpose::Bill { .. } if cancelled => suspense(SuspenseReason::BillCancelled),
        // Nothing is left of it: real money, paid once too often.
        NoticePurpose::Bill { .. } if notice.balance >= Cents::ZERO => suspense(SuspenseReason::DoublePayment),
        NoticePurpose::Bill { bill, others_open, held } => Booking::Bill { bill, amount, others_open, held },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn code(text: &str) -> CreditorCode {
        CreditorCode::parse(text).unwrap()
    }

    fn cents(value: i64) -> Amount {
        Amount::from_cents(value).unwrap()
    }

    fn receipt(transfers: &[(&str, i64)]) -> ReceiptFacts {
        let total = Cents::new(transfers.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount)));
        let transfers = transfers.iter().map(|(payee, amount)| (code(payee), Cents::new(*amount))).collect();
        let (addressed_to, issuer) = (code(OURS), code(OURS));
        ReceiptFacts { addressed_to, issuer, outcome_ok: true, reference_fits: true, total, transfers }
    }

    const OURS: &str = "99900010010";
    const OTHER: &str = "99900040017";

    fn wallet_notice(state: NoticeState) -> NoticeFacts {
        let purpose = NoticePurpose::TopUp { wallet: WalletId::from(Uuid::from_u128(1)), wallet_open: true };
        NoticeFacts { state, amount: cents(2_000), purpose, balance: Cents::ZERO }
    }

    #[test]
    fn only_our_transfers_are_booked() {
        let shared = receipt(&[(OURS, 15_000), (OTHER, 3_000)]);
        let notice = wallet_notice(NoticeState::Open);
        let wallet = WalletId::from(Uuid::from_u128(1));
        assert_eq!(decide(&shared, Some(&notice)), Booking::Wallet { wallet, amount: cents(15_000) });
        let copy = ReceiptFacts { addressed_to: code(OTHER), ..shared };
        let reason = SuspenseReason::SharedPayment;
        assert_eq!(decide(&copy, None), Booking::Suspense { reason, amount: cents(3_000) });
    }

    #[test]
    fn money_that_moved_is_never_refused() {
        let paid = receipt(&[(OURS, 2_000)]);
        let amount = cents(2_000);
        let wallet = WalletId::from(Uuid::from_u128(1));
        let suspense = |reason| Booking::Suspense { reason, amount };
        assert_eq!(decide(&paid, None), suspense(SuspenseReason::UnknownNotice));
        let decide_at = |state| decide(&paid, Some(&wallet_notice(state)));
        assert_eq!(decide_at(NoticeState::Paid), suspense(SuspenseReason::DoublePayment));
        assert_eq!(decide_at(NoticeState::Expired), Booking::Wallet { wallet, amount });
        assert_eq!(decide_at(NoticeState::Cancelled), Booking::Wallet { wallet, amount });
        let closed = NoticePurpose::TopUp { wallet, wallet_open: false };
        let closed = NoticeFacts { purpose: closed, ..wallet_notice(NoticeState::Open) };
        assert_eq!(decide(&paid, Some(&closed)), suspense(SuspenseReason::WalletClosed));
        let bill = BillId::from(Uuid::from_u128(3));
        let withdrawn = NoticePurpose::Bill { bill, others_open: false, held: Cents::ZERO };
        let balance = Cents::new(-2_000);
        let bill_notice = |state| NoticeFacts { state, amount, purpose: withdrawn, balance };
        let at = |state| decide(&paid, Some(&bill_notice(state)));
        let to_bill = Booking::Bill { bill, amount, others_open: false, held: Cents::ZERO };
        assert_eq!(at(NoticeState::Open), to_bill);
        assert_eq!(at(NoticeState::Expired), to_bill);
        assert_eq!(at(NoticeState::Cancelled), suspense(SuspenseReason::BillCancelled));
        let settled = NoticeFacts { balance: Cents::ZERO, ..bill_notice(NoticeState::Open) };
        assert_eq!(decide(&paid, Some(&settled)), suspense(SuspenseReason::DoublePayment), "nothing is left of it");
    }

    #[test]
    fn a_bill_stays_payable_until_nothing_is_left_of_it() {
        let id = BillId::from(Uuid::from_u128(3));
        let of =
            |others_open, held| Booking::Bill { bill: id, amount: cents(100), others_open, held: Cents::new(held) };
        let (bill, instalment) = (of(false, 0), of(true, 0));
        assert!(of(false, 7).settles_notice(Cents::new(-7)), "the rest lies in suspense");
        assert!(!of(false, 6).settles_notice(Cents::new(-7)));
        assert!(!bill.settles_notice(Cents::new(-1)));
        assert!(instalment.settles_notice(Cents::new(-1)), "the last open one asks for what is left");
        assert!(bill.settles_notice(Cents::ZERO));
        assert!(bill.settles_notice(Cents::new(1)));
        let top_up = Booking::Wallet { wallet: WalletId::from(Uuid::from_u128(1)), amount: cents(100) };
        assert!(top_up.settles_notice(Cents::new(-500)), "a wallet may stay below zero");
    }

    #[test]
    fn what_contradicts_itself_is_nobodys_until_the_office_says_so() {
        let notice = wallet_notice(NoticeState::Open);
        let paid = receipt(&[(OURS, 2_000)]);
        let reason = |receipt: &ReceiptFacts, notice: &NoticeFacts| match decide(receipt, Some(notice)) {
            Booking::Suspense { reason, amount } => {
                assert_eq!(amount, cents(2_000));
                Some(reason)
            }
            _ => None,
        };
        assert_eq!(reason(&paid, &notice), None);
        let other = ReceiptFacts { reference_fits: false, ..paid.clone() };
        assert_eq!(reason(&other, &notice), Some(SuspenseReason::ReferenceDiffers));
        for total in [0, 1_999, 2_001, i64::MAX] {
            let odd = ReceiptFacts { total: Cents::new(total), ..paid.clone() };
            assert_eq!(reason(&odd, &notice), Some(SuspenseReason::TransfersDiffer), "{total}");
        }
        let full = NoticeFacts { balance: Cents::new(i64::MAX - 1_999), ..notice };
        assert_eq!(reason(&paid, &full), Some(SuspenseReason::AccountFull));
        let settled = wallet_notice(NoticeState::Paid);
        assert_eq!(reason(&other, &settled), Some(SuspenseReason::DoublePayment));
        for reason in [SuspenseReason::ReferenceDiffers, SuspenseReason::TransfersDiffer, SuspenseReason::AccountFull] {
            let booking = Booking::Suspense { reason, amount: cents(2_000) };
            assert!(booking.settles_notice(Cents::ZERO), "nobody is asked to pay again: {reason:?}");
        }
    }

    #[test]
    fn nothing_is_booked_where_nothing_moved() {
        let ko = ReceiptFacts { outcome_ok: false, ..receipt(&[(OURS, 2_000)]) };
        assert_eq!(decide(&ko, None), Booking::Nothing(NothingReason::OutcomeKo));
        assert_eq!(decide(&receipt(&[(OURS, 0)]), None), Booking::Nothing(NothingReason::NothingOurs));
        assert_eq!(decide(&receipt(&[(OTHER, 5)]), None), Booking::Nothing(NothingReason::NothingOurs));
        let huge = receipt(&[(OURS, i64::MAX), (OURS, 1)]);
        assert_eq!(decide(&huge, None), Booking::Nothing(NothingReason::Overflow));
    }
}
