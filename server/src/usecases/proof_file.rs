//! The file a parent keeps as the proof of a payment: JSON, version 1 (docs/app-developers.md, "The proof of a payment").
//!
//! It holds all that is needed to check it, and nothing that tells who anybody is: the entry as it is hashed, its path
//! to the root of its seal, the seal with its signature. [`check`] takes any bytes, from anywhere.

use borsellino_domain::creditor::CreditorCode;
use borsellino_domain::id::EntryId;
use borsellino_domain::ledger::{Account, AccountKind, Entry, EntryError, EntryKind, Hash, Memo, ReceiptProof, Side};
use borsellino_domain::money::Cents;
use borsellino_domain::seal::{Proof, ProofError, Seal};
use borsellino_domain::time::Millis;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::seals::Stored;
use crate::auth::signature::{PublicKey, Signature};

/// How a file says what it is.
const FORMAT: &str = "borsellino-proof";

/// The version that is written and read.
const VERSION: u64 = 1;

/// The most bytes a file may have; a proof has about two thousand.
pub const LARGEST: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u64,
    entry: EntryPart,
    path: PathPart,
    seal: SealPart,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryPart {
    creditor: String,
    id: String,
    kind: String,
    at_ms: i64,
    receipt: Option<ReceiptPart>,
    day: Option<String>,
    tariff: Option<String>,
    sides: Vec<SidePart>,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptPart {
    issuer: String,
    id: String,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SidePart {
    account: String,
    id: String,
    cents: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathPart {
    position: u64,
    count: u64,
    hashes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealPart {
    number: u64,
    at_ms: i64,
    entries: u64,
    root: String,
    heads: String,
    previous: String,
    hash: String,
    key_id: String,
    public_key: String,
    signature: String,
}

/// What a file says about itself before anything else is read of it.
#[derive(Deserialize)]
struct Label {
    format: Option<serde_json::Value>,
    version: Option<serde_json::Value>,
}

/// Writes the file of a proof whose seal was stored with hash, key and signature. The same proof gives the same bytes.
///
/// # Errors
/// What `serde_json` finds wrong, which is nothing for these types.
pub fn write(proof: &Proof, stored: &Stored) -> Result<Vec<u8>, serde_json::Error> {
    let entry = &proof.entry;
    let sides = entry.sides().iter().map(|side| SidePart {
        account: side.account.kind.code().to_owned(),
        id: side.account.id.to_string(),
        cents: side.cents.get(),
    });
    let file = File {
        format: FORMAT.to_owned(),
        version: VERSION,
        entry: EntryPart {
            creditor: entry.creditor().to_string(),
            id: entry.id().to_string(),
            kind: entry.kind().code().to_owned(),
            at_ms: entry.at().get(),
            receipt: entry.receipt().map(|receipt| ReceiptPart {
                issuer: receipt.issuer.to_string(),
                id: receipt.receipt_id.clone(),
                digest: receipt.digest.to_string(),
            }),
            day: entry.memo().day.clone(),
            tariff: entry.memo().tariff.clone(),
            sides: sides.collect(),
            digest: entry.digest().to_string(),
        },
        path: PathPart {
            position: proof.position,
            count: proof.seal.count,
            hashes: proof.path.iter().map(ToString::to_string).collect(),
        },
        seal: SealPart {
            number: proof.seal.number,
            at_ms: proof.seal.at.get(),
            entries: proof.seal.entries,
            root: proof.seal.root.to_string(),
            heads: proof.seal.heads.to_string(),
            previous: proof.seal.previous.to_string(),
            hash: stored.hash.to_string(),
            key_id: stored.public_key.id(),
            public_key: stored.public_key.to_string(),
            signature: stored.signature.to_string(),
        },
    };
    let mut bytes = serde_json::to_vec_pretty(&file)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Why a file proves nothing.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is too large to be one.
    #[error("this is no proof of a payment: it is larger than one can be")]
    TooLarge,
    /// It is not JSON.
    #[error("this is no proof of a payment: it is not JSON ({0})")]
    NotJson(serde_json::Error),
    /// It is JSON, and something else.
    #[error("this is no proof of a payment: it does not say \"format\": \"borsellino-proof\"")]
    NotAProof,
    /// It is of another version.
    #[error("this proof is of version {0}, and this program reads version 1: use a newer program")]
    OtherVersion(String),
    /// It lacks something, or has something that no proof has.
    #[error("the proof is damaged: {0}")]
    Malformed(serde_json::Error),
    /// A field is not of its form.
    #[error("the proof is damaged: {0} can't be read")]
    Field(&'static str),
    /// The amounts were altered.
    #[error("the proof was altered: {0}")]
    Entry(EntryError),
    /// What it says about the payment was altered.
    #[error(
        "the proof was altered: what it says about the payment (creditor, amount, accounts, time, receipt) is not what its \
         digest was made of"
    )]
    Digest,
    /// The entry is not in the seal.
    #[error("the proof does not hold: {0}")]
    Proof(ProofError),
    /// What it says about the seal was altered.
    #[error("the proof was altered: what it says about the seal is not what the seal's hash was made of")]
    SealHash,
    /// The name is another key's.
    #[error("the proof was altered: its key_id is not that of its public_key")]
    KeyId,
    /// Nobody signed it.
    #[error("the proof does not hold: its signature is not that of the key it names")]
    Signature,
    /// Somebody else signed it.
    #[error("the proof is signed by another key: it names {named} and the creditor's is {given}")]
    OtherKey {
        /// In the file.
        named: PublicKey,
        /// The one to compare with.
        given: PublicKey,
    },
}

/// A proof that holds, if its key is the creditor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What is proven.
    pub proof: Proof,
    /// The hash of its seal.
    pub hash: Hash,
    /// Who signed the seal.
    pub public_key: PublicKey,
}

impl Checked {
    /// Whether the creditor's published key is the one.
    ///
    /// # Errors
    /// [`FileError::OtherKey`].
    pub fn signed_by(&self, given: PublicKey) -> Result<(), FileError> {
        let named = self.public_key;
        if named == given { Ok(()) } else { Err(FileError::OtherKey { named, given }) }
    }
}

/// Checks a file: digest, path, seal, signature. Whether the key is the creditor's is for the reader to compare
/// ([`Checked::signed_by`]): a forger has keys too.
///
/// # Errors
/// The first [`FileError`], in this order.
pub fn check(bytes: &[u8]) -> Result<Checked, FileError> {
    if bytes.len() > LARGEST {
        return Err(FileError::TooLarge);
    }
    // First as any JSON, so that what is none, and what is another's, are told apart.
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(FileError::NotJson)?;
    let label: Label = serde_json::from_slice(bytes).map_err(|_| FileError::NotAProof)?;
    if label.format.as_ref().and_then(|format| format.as_str()) != Some(FORMAT) {
        return Err(FileError::NotAProof);
    }
    match label.version {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        other => return Err(FileError::OtherVersion(other.unwrap_or_default().to_string())),
    }
    let File { entry, path, seal, .. } = serde_json::from_slice(bytes).map_err(FileError::Malformed)?;

    let (entry, digest) = read_entry(entry)?;
    if entry.digest() != digest {
        return Err(FileError::Digest);
    }
    let hashes = path.hashes.iter().map(|text| hash(text, "a hash of the path")).collect::<Result<_, _>>()?;
    let (hash, key_id) = (hash(&seal.hash, "the seal's hash")?, seal.key_id.clone());
    let public_key = seal.public_key.parse::<PublicKey>().map_err(|_| FileError::Field("the seal's public_key"))?;
    let signature = HEXLOWER.decode(seal.signature.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let signature = signature.map(Signature).ok_or(FileError::Field("the seal's signature"))?;
    let seal = read_seal(*entry.creditor(), path.count, &seal)?;
    let proof = Proof { entry, position: path.position, path: hashes, seal };
    proof.check().map_err(FileError::Proof)?;
    if seal.hash() != hash {
        return Err(FileError::SealHash);
    }
    if public_key.id() != key_id {
        return Err(FileError::KeyId);
    }
    if !public_key.signed(&hash, &signature) {
        return Err(FileError::Signature);
    }
    Ok(Checked { proof, hash, public_key })
}

fn hash(text: &str, what: &'static str) -> Result<Hash, FileError> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Hash).ok_or(FileError::Field(what))
}

/// The entry, and the digest that the file names.
fn read_entry(part: EntryPart) -> Result<(Entry, Hash), FileError> {
    let creditor = CreditorCode::from_digits(&part.creditor).map_err(|_| FileError::Field("the entry's creditor"))?;
    let kind = EntryKind::try_from(part.kind).map_err(|_| FileError::Field("the entry's kind"))?;
    let receipt = part.receipt.map(|receipt| {
        let issuer =
            CreditorCode::from_digits(&receipt.issuer).map_err(|_| FileError::Field("the receipt's issuer"))?;
        let digest = hash(&receipt.digest, "the receipt's digest")?;
        Ok(ReceiptProof { issuer, receipt_id: receipt.id, digest })
    });
    let sides = part.sides.into_iter().map(|side| {
        let kind = AccountKind::try_from(side.account).map_err(|_| FileError::Field("an account of the entry"))?;
        let id = Uuid::parse_str(&side.id).map_err(|_| FileError::Field("an account of the entry"))?;
        Ok(Side { account: Account { kind, id }, cents: Cents::new(side.cents) })
    });
    let (receipt, sides) = (receipt.transpose()?, sides.collect::<Result<Vec<_>, FileError>>()?);
    let digest = hash(&part.digest, "the entry's digest")?;
    let id: EntryId = part.id.parse().map_err(|_| FileError::Field("the entry's id"))?;
    let entry = Entry::new(creditor, id, kind, Millis::new(part.at_ms), receipt, sides);
    let entry = entry.map_err(FileError::Entry)?.with_memo(Memo { day: part.day, tariff: part.tariff });
    Ok((entry, digest))
}

fn read_seal(creditor: CreditorCode, count: u64, part: &SealPart) -> Result<Seal, FileError> {
    Ok(Seal {
        creditor,
        number: part.number,
        at: Millis::new(part.at_ms),
        count,
        entries: part.entries,
        root: hash(&part.root, "the seal's root")?,
        heads: hash(&part.heads, "the seal's heads")?,
        previous: hash(&part.previous, "the seal's previous")?,
    })
}
