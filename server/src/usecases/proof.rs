//! The proof of a payment: finding the entry that books it, and its way into a seal.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::{BillId, EntryId, TopUpId};
use borsellino_domain::ledger::{Account, Hash};
use borsellino_domain::money::Cents;
use borsellino_domain::seal::{Proof, path};
use borsellino_domain::time::Millis;
use borsellino_store::{Store, StoreError};
use thiserror::Error;
use uuid::Uuid;

use super::ledger_verify::made_anew;
use super::proof_file::{Checked, write};
use super::seals::stored;
use super::sessions::{SessionRefusal, standing};
use super::{App, Fault, Stop};
use crate::auth::token::Identity;

/// What a parent paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// A top-up of theirs.
    TopUp(TopUpId),
    /// A bill of a child of theirs.
    Bill(BillId),
}

/// Why a parent gets no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofRefusal {
    /// The session does not go on.
    Session(SessionRefusal),
    /// No such top-up, or another guardian's.
    UnknownTopUp,
    /// No such bill, or another family's.
    UnknownBill,
    /// Nothing was booked for it.
    NotPaid,
    /// It is booked, and in no seal yet.
    NotSealed,
}

/// A proof for a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// When it was booked.
    pub at: Millis,
    /// How much.
    pub amount: Cents,
    /// What to keep.
    pub file: Vec<u8>,
}

/// The proofs of what was paid for a top-up or a bill, oldest first.
///
/// # Errors
/// [`ProofRefusal`], or a [`Fault`].
pub async fn of_payment(app: &App, who: Identity, payment: Payment) -> Result<Vec<Given>, Stop<ProofRefusal>> {
    let (now, creditor) = (app.now(), who.creditor);
    let found = app.store.read(move |tx| {
        Box::pin(async move {
            let session = tx.session(&creditor, who.session).await?;
            if let Err(refusal) = standing(session.as_ref(), now) {
                return Ok(Err(ProofRefusal::Session(refusal)));
            }
            let (account, mut numbers) = match payment {
                Payment::TopUp(id) => {
                    let row = tx.top_up(&creditor, id).await?.filter(|row| row.guardian == who.guardian);
                    let Some(row) = row else { return Ok(Err(ProofRefusal::UnknownTopUp)) };
                    (Account::wallet(row.wallet), vec![row.number])
                }
                Payment::Bill(id) => {
                    let rows = tx.bill_due(&creditor, who.guardian, id.uuid()).await?;
                    if rows.is_empty() {
                        return Ok(Err(ProofRefusal::UnknownBill));
                    }
                    (Account::bill(id), rows.iter().map(|row| row.number).collect())
                }
            };
            // A row per line of the bill.
            numbers.dedup();
            let mut booked = Vec::new();
            for number in numbers {
                booked.extend(tx.booked_on(&creditor, account, number.as_str()).await?);
            }
            Ok(Ok((account, booked)))
        })
    });
    let (account, booked) = found.await?.map_err(Stop::Refused)?;
    let mut given = Vec::with_capacity(booked.len());
    for row in booked {
        let (proof, file) = make(&app.store, creditor, EntryId::from(row.entry)).await.map_err(|stop| match stop {
            Stop::Refused(Unproven::NotSealed) => Stop::Refused(ProofRefusal::NotSealed),
            Stop::Refused(_) => Stop::Fault(Fault::BadData("an entry just read is gone")),
            Stop::Fault(fault) => Stop::Fault(fault),
        })?;
        let side = proof.entry.sides().iter().find(|side| side.account == account);
        let amount = side.map_or(Cents::ZERO, |side| side.cents);
        given.push(Given { at: proof.entry.at(), amount, file });
    }
    if given.is_empty() { Err(Stop::Refused(ProofRefusal::NotPaid)) } else { Ok(given) }
}

/// How an operator names a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// By the notice it was made under.
    Notice(String),
    /// By its receipt.
    Receipt {
        /// `receipt/fiscalCode`.
        issuer: CreditorCode,
        /// `receipt/receiptId`.
        receipt_id: String,
    },
}

/// Why an operator gets no proof.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unproven {
    /// Nothing was booked under it.
    #[error("no receipt of this creditor is booked under that name")]
    Unknown,
    /// More than one receipt.
    #[error("several receipts were paid under this notice; name one of them with --receipt: {}", .0.join(", "))]
    Several(Vec<String>),
    /// In no seal yet.
    #[error("the payment is booked and not sealed yet: a running server seals it within a minute")]
    NotSealed,
}

/// The proof that an operator asks for.
///
/// # Errors
/// [`Unproven`], or a [`Fault`].
pub async fn of_receipt(store: &Store, creditor: CreditorCode, sought: Sought) -> Result<Vec<u8>, Stop<Unproven>> {
    let entry = match sought {
        Sought::Notice(number) => {
            let rows = store.read(move |tx| Box::pin(async move { tx.booked_under(&creditor, &number).await })).await?;
            match rows.as_slice() {
                [] => None,
                [row] => Some(row.entry),
                _ => {
                    let ids = rows.into_iter().map(|row| row.receipt_id);
                    return Err(Stop::Refused(Unproven::Several(ids.collect())));
                }
            }
        }
        Sought::Receipt { issuer, receipt_id } => {
            let read = store
                .read(move |tx| Box::pin(async move { tx.receipt(&creditor, issuer.as_str(), &receipt_id).await }));
            read.await?.and_then(|row| row.entry)
        }
    };
    let entry = entry.ok_or(Stop::Refused(Unproven::Unknown))?;
    Ok(make(store, creditor, EntryId::from(entry)).await?.1)
}

/// Which receipt an operator means.
///
/// # Errors
/// [`Unproven`], or a [`Fault`].
pub async fn named(
    store: &Store,
    creditor: CreditorCode,
    sought: Sought,
) -> Result<(CreditorCode, String), Stop<Unproven>> {
    let number = match sought {
        Sought::Receipt { issuer, receipt_id } => return Ok((issuer, receipt_id)),
        Sought::Notice(number) => number,
    };
    let rows = store.read(move |tx| Box::pin(async move { tx.booked_under(&creditor, &number).await })).await?;
    let mut ids: Vec<String> = rows.into_iter().map(|row| row.receipt_id).collect();
    match (ids.pop(), ids.is_empty()) {
        (Some(only), true) => Ok((creditor, only)),
        (None, _) => Err(Stop::Refused(Unproven::Unknown)),
        (Some(last), false) => {
            ids.push(last);
            Err(Stop::Refused(Unproven::Several(ids)))
        }
    }
}

/// Where a payment is in the sealed ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The entry that books it.
    pub entry: EntryId,
    /// The seal that it is in.
    pub seal: u64,
    /// The seal's hash.
    pub hash: Hash,
    /// The proof file.
    pub file: Vec<u8>,
}

/// Where the entry that booked a receipt first is; `None` while it is in no seal, or where nothing was booked.
///
/// # Errors
/// A [`Fault`].
pub async fn evidence(store: &Store, creditor: CreditorCode, entry: Uuid) -> Result<Option<Place>, Fault> {
    match make(store, creditor, EntryId::from(entry)).await {
        Ok((proof, file)) => {
            let (seal, hash) = (proof.seal.number, proof.seal.hash());
            Ok(Some(Place { entry: proof.entry.id(), seal, hash, file }))
        }
        Err(Stop::Refused(_)) => Ok(None),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

/// The proof of an entry, and its file.
async fn make(store: &Store, creditor: CreditorCode, entry: EntryId) -> Result<(Proof, Vec<u8>), Stop<Unproven>> {
    let id = entry.uuid();
    let read = store.read(move |tx| {
        Box::pin(async move {
            let Some(number) = tx.seal_of_entry(&creditor, id).await? else { return Ok(None) };
            let sides = tx.entries(&creditor, id, 1).await?;
            let seal = tx.seal(&creditor, number).await?.ok_or(StoreError::Corrupt("a seal is gone"))?;
            Ok(Some((sides, seal, tx.sealed_digests(&creditor, number).await?)))
        })
    });
    let (sides, seal, listed) = read.await?.ok_or(Stop::Refused(Unproven::NotSealed))?;
    let spoilt = |what| Fault::BadData(what);
    let first = sides.first().filter(|row| row.id == id).ok_or(spoilt("a sealed entry is gone"))?;
    let entry = made_anew(creditor, first, &sides).map_err(|_| spoilt("an entry to be proven"))?;
    let seal = stored(creditor, &seal)?;
    let place = listed.iter().position(|(entry, _)| *entry == id).ok_or(spoilt("a seal's list"))?;
    let digests = listed.into_iter().map(|(_, digest)| Hash::try_from(digest)).collect::<Result<Vec<_>, _>>();
    let digests = digests.map_err(|_| spoilt("a sealed digest"))?;
    let path = path(&digests, place).ok_or(spoilt("a seal's list"))?;
    let position = u64::try_from(place).map_err(|_| spoilt("a seal's list"))?;
    let proof = Proof { entry, position, path, seal: seal.seal };
    // A proof that does not hold is never handed out: the ledger is not what was sealed.
    proof.check().map_err(|_| spoilt("an entry is not as it was sealed: run `borsellino ledger verify`"))?;
    let file = write(&proof, &seal).map_err(|_| spoilt("a proof can't be written"))?;
    Ok((proof, file))
}

/// What a ledger says about a proof that holds by itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotInLedger {
    /// Another creditor's.
    #[error("the proof is of {0}, which is no creditor of this database")]
    Creditor(CreditorCode),
    /// The seal is gone.
    #[error("this ledger has no seal {0}: its end was cut off, or it was restored from an older copy")]
    SealGone(u64),
    /// Another seal stands in its place.
    #[error("seal {0} of this ledger is another one than the proof's: the ledger was altered since the proof was made")]
    OtherSeal(u64),
    /// The entry is gone or another.
    #[error("entry {0} is not in this ledger as the proof says: the ledger was altered since the proof was made")]
    Entry(EntryId),
}

/// Looks a proof up in a ledger.
///
/// # Errors
/// [`NotInLedger`], or a [`Fault`].
pub async fn look_up(store: &Store, checked: &Checked) -> Result<(), Stop<NotInLedger>> {
    let (creditor, number, entry) = (checked.proof.seal.creditor, checked.proof.seal.number, checked.proof.entry.id());
    let stored_number = i64::try_from(number).map_err(|_| Stop::Refused(NotInLedger::SealGone(number)))?;
    let read = store.read(move |tx| {
        Box::pin(async move {
            let known = tx.creditors().await?.iter().any(|row| row.fiscal_code == creditor);
            Ok((known, tx.seal(&creditor, stored_number).await?, tx.entries(&creditor, entry.uuid(), 1).await?))
        })
    });
    let (known, seal, sides) = read.await?;
    if !known {
        return Err(Stop::Refused(NotInLedger::Creditor(creditor)));
    }
    let seal = seal.ok_or(Stop::Refused(NotInLedger::SealGone(number)))?;
    if seal.hash.as_slice() != checked.hash.0 {
        return Err(Stop::Refused(NotInLedger::OtherSeal(number)));
    }
    let first = sides.first().filter(|row| row.id == entry.uuid());
    let now = first.and_then(|first| made_anew(creditor, first, &sides).ok());
    if now.as_ref() == Some(&checked.proof.entry) { Ok(()) } else { Err(Stop::Refused(NotInLedger::Entry(entry))) }
}
