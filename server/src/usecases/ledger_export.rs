//! The whole ledger as a journal of [hledger](https://hledger.org), page by page: plain text that another program adds
//! up. Every entry is made anew and held against its digest before it is written, so that nothing unsound is exported.
//!
//! Signs are the ledger's own: credits are positive. No name, no tax code of a person, no day or tariff of a meal.

use std::io::{self, Write};

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::EntryId;
use borsellino_domain::ledger::{Account, AccountKind, Entry};
use borsellino_store::rows::EntrySideRow;
use borsellino_store::{Store, StoreError};
use thiserror::Error;
use uuid::Uuid;

use super::ledger_verify::{WrongEntry, made_anew};

/// How many entries or accounts are held at a time.
const PAGE: i64 = 500;

/// Why an export ends early.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file, or whoever reads.
    #[error("the journal can't be written: {0}")]
    Io(#[from] io::Error),
    /// An entry that is not sound.
    #[error("entry {entry} is not sound ({wrong}): run `borsellino ledger verify`")]
    Unsound {
        /// Which.
        entry: EntryId,
        /// What is wrong.
        wrong: WrongEntry,
    },
    /// An entry outside of the calendar.
    #[error("entry {0} has no day: its time is outside of the calendar")]
    NoDay(EntryId),
}

/// Writes the ledgers of `creditors`, up to the last entry that each has now; answers how many entries that are. With
/// `prefixed`, accounts begin with their creditor's code.
///
/// # Errors
/// [`ExportError`]; what was written until then is not a whole ledger.
pub async fn hledger(
    store: &Store,
    creditors: &[CreditorCode],
    prefixed: bool,
    out: &mut impl Write,
) -> Result<u64, ExportError> {
    writeln!(
        out,
        "; A ledger of Borsellino. Credits are positive: a wallet's balance is what the family has, a bill's is"
    )?;
    writeln!(out, "; minus what is owed, clearing is minus what pagoPA holds or has paid out.")?;
    writeln!(out, "decimal-mark .\ncommodity 1000.00 EUR\n")?;
    let mut written = 0_u64;
    for creditor in creditors {
        let prefix = if prefixed { format!("{creditor}:") } else { String::new() };
        let page = Export { store, creditor: *creditor, prefix };
        written = written.saturating_add(page.all(out).await?);
    }
    Ok(written)
}

struct Export<'a> {
    store: &'a Store,
    creditor: CreditorCode,
    prefix: String,
}

impl Export<'_> {
    async fn all(&self, out: &mut impl Write) -> Result<u64, ExportError> {
        let creditor = self.creditor;
        let last = self.store.read(move |tx| Box::pin(async move { tx.last_entry(&creditor).await })).await?;
        writeln!(out, "; creditor {creditor}")?;
        self.accounts(out).await?;
        let Some(last) = last else { return Ok(0) };
        let (mut from, mut written) = (Uuid::nil(), 0_u64);
        loop {
            let rows =
                self.store.read(move |tx| Box::pin(async move { tx.entries(&creditor, from, PAGE).await })).await?;
            for sides in rows.chunk_by(|one, next| one.id == next.id) {
                let Some(first) = sides.first() else { continue };
                if first.id > last {
                    return Ok(written);
                }
                self.entry(&sound(creditor, first, sides)?, out)?;
                written = written.saturating_add(1);
            }
            let beyond = rows.last().and_then(|row| row.id.as_u128().checked_add(1));
            let Some(beyond) = beyond else { return Ok(written) };
            from = Uuid::from_u128(beyond);
        }
    }

    /// Declares the accounts, which `hledger check accounts` asks for.
    async fn accounts(&self, out: &mut impl Write) -> Result<(), ExportError> {
        let creditor = self.creditor;
        for account in [Account::CLEARING, Account::REVENUE, Account::COUNTER] {
            writeln!(out, "account {}", self.name(account))?;
        }
        let mut after = (String::new(), Uuid::nil());
        loop {
            let (kind, id) = after;
            let rows =
                self.store.read(move |tx| Box::pin(async move { tx.accounts(&creditor, (&kind, id), PAGE).await }));
            let rows = rows.await?;
            let Some(last) = rows.last() else { break };
            after = (last.kind.clone(), last.id);
            for row in rows {
                let kind = AccountKind::try_from(row.kind).map_err(|_| StoreError::Corrupt("an account's kind"))?;
                writeln!(out, "account {}", self.name(Account { kind, id: row.id }))?;
            }
        }
        Ok(writeln!(out)?)
    }

    fn entry(&self, entry: &Entry, out: &mut impl Write) -> Result<(), ExportError> {
        let day = entry.at().day_in_italy().filter(|day| day.year() > 0).ok_or(ExportError::NoDay(entry.id()))?;
        writeln!(out, "{day} {}", entry.kind().code())?;
        writeln!(out, "    ; entry:{}", entry.id())?;
        writeln!(out, "    ; at:{}", entry.at().iso())?;
        if let Some(receipt) = entry.receipt() {
            writeln!(out, "    ; receipt:{}", tag(&receipt.receipt_id))?;
            writeln!(out, "    ; issuer:{}", receipt.issuer)?;
        }
        for side in entry.sides() {
            writeln!(out, "    {}  {} EUR", self.name(side.account), side.cents)?;
        }
        Ok(writeln!(out)?)
    }

    /// `wallets:01a1f9fb-...`, `clearing`.
    fn name(&self, account: Account) -> String {
        let prefix = &self.prefix;
        match account.kind {
            AccountKind::Wallet => format!("{prefix}wallets:{}", account.id),
            AccountKind::Bill => format!("{prefix}bills:{}", account.id),
            kind => format!("{prefix}{}", kind.code()),
        }
    }
}

fn sound(creditor: CreditorCode, first: &EntrySideRow, sides: &[EntrySideRow]) -> Result<Entry, ExportError> {
    let id = EntryId::from(first.id);
    let unsound = |wrong| ExportError::Unsound { entry: id, wrong };
    let entry = made_anew(creditor, first, sides).map_err(unsound)?;
    if entry.digest().0.as_slice() == first.digest { Ok(entry) } else { Err(unsound(WrongEntry::Digest)) }
}

/// A text from outside as the value of a tag, which ends at a comma or at the end of the line: whatever is not a letter, a
/// digit or one of `-_./` is written as `%` and two hexadecimal digits for each of its bytes.
fn tag(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'_' | b'.' | b'/' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stays_one_tag() {
        assert_eq!(tag("a1b2-C/3.4_5"), "a1b2-C/3.4_5");
        assert_eq!(tag("a, b:c\n2026 x;é%"), "a%2C%20b%3Ac%0A2026%20x%3B%C3%A9%25");
    }
}
