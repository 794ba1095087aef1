//! Seals: what makes a tail that was cut off show, and lets anybody check that one entry is in the ledger.
//!
//! From time to time the entries that are in no seal yet are gathered into the next [`Seal`] of their creditor. It holds
//! the root of a Merkle tree over the digests of these entries in the order of their ids, a digest over where the chained
//! accounts they touched stood after them ([`heads`]), how many entries have been sealed so far, and the hash of the
//! seal before it. Whoever keeps one seal's hash outside of the database knows if anything up to it is altered since.
//! A [`Proof`] is an entry with its path to the root of its seal: it needs no other entry to be checked.
//!
//! The tree is that of RFC 6962 (certificate transparency), section 2.1: a leaf is hashed with a 0 byte before it, a
//! node with a 1 byte, so that no node can pass for a leaf; a level's last node without a neighbour moves up as it is.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use crate::creditor::CreditorCode;
use crate::ledger::{Account, Entry, Fields, Hash};
use crate::time::Millis;

/// The first byte of what a leaf hashes.
const LEAF: [u8; 1] = [0];

/// The first byte of what a node hashes.
const NODE: [u8; 1] = [1];

fn leaf(digest: Hash) -> Hash {
    Hash(Sha256::new().chain_update(LEAF).chain_update(digest.0).finalize().into())
}

fn node(left: Hash, right: Hash) -> Hash {
    Hash(Sha256::new().chain_update(NODE).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The next level of a tree.
fn above(level: &[Hash]) -> Vec<Hash> {
    let pair = |pair: &[Hash]| match pair {
        [left, right] => Some(node(*left, *right)),
        [last] => Some(*last),
        _ => None,
    };
    level.chunks(2).filter_map(pair).collect()
}

/// The root of the tree over `digests`; that of none is the hash of nothing.
pub fn root(digests: &[Hash]) -> Hash {
    let mut level: Vec<Hash> = digests.iter().copied().map(leaf).collect();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied().unwrap_or_else(|| Hash::of(&[]))
}

/// The neighbours on the way from the digest at `position` (from 0) up to the root; `None` where there is none.
pub fn path(digests: &[Hash], position: usize) -> Option<Vec<Hash>> {
    digests.get(position)?;
    let mut level: Vec<Hash> = digests.iter().copied().map(leaf).collect();
    let (mut at, mut path) = (position, Vec::new());
    while level.len() > 1 {
        path.extend(level.get(at ^ 1));
        level = above(&level);
        at >>= 1;
    }
    Some(path)
}

/// The root that `path` leads to from `digest` at `position` of `count`; `None` where no tree of that size has such a
/// path.
pub fn root_of_path(digest: Hash, position: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    if position >= count {
        return None;
    }
    let (mut hash, mut at, mut last) = (leaf(digest), position, count.checked_sub(1)?);
    let mut path = path.iter();
    while last > 0 {
        if at & 1 == 1 {
            hash = node(*path.next()?, hash);
        } else if at < last {
            hash = node(hash, *path.next()?);
        }
        at >>= 1;
        last >>= 1;
    }
    path.next().is_none().then_some(hash)
}

/// Where a chained account stood after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountHead {
    /// Whose chain.
    pub account: Account,
    /// The number of the entry's posting.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
}

/// The digest over where the accounts stand after all of `postings`, each with the last of its own, in the order of the
/// kinds' names and the ids.
pub fn heads(postings: impl IntoIterator<Item = AccountHead>) -> Hash {
    let mut last: BTreeMap<(&'static str, Uuid), (i64, Hash)> = BTreeMap::new();
    for AccountHead { account, seq, hash } in postings {
        let head = last.entry((account.kind.code(), account.id)).or_insert((seq, hash));
        if head.0 < seq {
            *head = (seq, hash);
        }
    }
    let mut fields = Fields::new("borsellino.heads.v1");
    for ((kind, id), (seq, hash)) in last {
        fields.text(kind);
        fields.bytes(id.as_bytes());
        fields.number(seq);
        fields.bytes(&hash.0);
    }
    fields.finish()
}

/// What a creditor's ledger has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whose ledger.
    pub creditor: CreditorCode,
    /// 1 for a creditor's first seal.
    pub number: u64,
    /// When it was made, by the clock of the server that made it.
    pub at: Millis,
    /// How many entries it seals.
    pub count: u64,
    /// How many entries all seals up to this one seal.
    pub entries: u64,
    /// The root of the tree over the digests of its entries, in the order of their ids.
    pub root: Hash,
    /// [`heads`] after its entries.
    pub heads: Hash,
    /// The hash of the seal before, or [`Seal::genesis`].
    pub previous: Hash,
}

impl Seal {
    /// What stands in place of the seal before the first. It depends on the creditor, so that no chain of seals can
    /// stand in for another's.
    pub fn genesis(creditor: &CreditorCode) -> Hash {
        let mut fields = Fields::new("borsellino.seals.v1");
        fields.text(creditor.as_str());
        fields.finish()
    }

    /// The hash over everything it says; this is what is signed.
    pub fn hash(&self) -> Hash {
        let mut fields = Fields::new("borsellino.seal.v1");
        fields.text(self.creditor.as_str());
        fields.bytes(&self.number.to_be_bytes());
        fields.number(self.at.get());
        fields.bytes(&self.count.to_be_bytes());
        fields.bytes(&self.entries.to_be_bytes());
        fields.bytes(&self.root.0);
        fields.bytes(&self.heads.0);
        fields.bytes(&self.previous.0);
        fields.finish()
    }
}

/// An entry and its way into a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The entry.
    pub entry: Entry,
    /// Its place among the entries of the seal, from 0.
    pub position: u64,
    /// The neighbours on its way to the root.
    pub path: Vec<Hash>,
    /// The seal.
    pub seal: Seal,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The seal is another creditor's.
    #[error("the entry is one creditor's and the seal another's")]
    OtherCreditor,
    /// The entry is not in the seal.
    #[error("the entry is not in the seal: its path does not lead to the seal's root")]
    NotInSeal,
}

impl Proof {
    /// Whether the entry is in the seal. Who made the seal is for its signature to say.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self) -> Result<(), ProofError> {
        if *self.entry.creditor() != self.seal.creditor {
            return Err(ProofError::OtherCreditor);
        }
        let root = root_of_path(self.entry.digest(), self.position, self.seal.count, &self.path);
        if root == Some(self.seal.root) { Ok(()) } else { Err(ProofError::NotInSeal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntryId;
    use crate::ledger::{AccountKind, EntryKind};
    use crate::money::Cents;
    use proptest::prelude::*;

    fn digests(count: usize) -> Vec<Hash> {
        (0..count).map(|n| Hash::of(&n.to_be_bytes())).collect()
    }

    #[test]
    fn the_tree_is_that_of_rfc_6962() {
        // d0, d1, d2: the third moves up by itself.
        let all = digests(3);
        let pair = node(leaf(all[0]), leaf(all[1]));
        assert_eq!(root(&all), node(pair, leaf(all[2])));
        assert_eq!(root(&all[..1]), leaf(all[0]));
        assert_eq!(path(&all, 2), Some(vec![pair]));
        assert_eq!(path(&all, 3), None);
        assert_eq!(root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        // Seven leaves as the RFC draws them (2.1.3): the path of d6 is i (d4, d5) and k (d0 to d3).
        let seven = digests(7);
        let way = path(&seven, 6).unwrap();
        assert_eq!(way, vec![root(&seven[4..6]), root(&seven[..4])]);
    }

    #[test]
    fn a_node_is_no_leaf() {
        let all = digests(4);
        let [left, right] = [node(leaf(all[0]), leaf(all[1])), node(leaf(all[2]), leaf(all[3]))];
        assert_ne!(root(&[left, right]), root(&all));
    }

    #[test]
    fn heads_are_the_last_ones_in_any_order() {
        let head = |account: u128, seq: i64| AccountHead {
            account: Account { kind: AccountKind::Wallet, id: Uuid::from_u128(account) },
            seq,
            hash: Hash::of(&seq.to_be_bytes()),
        };
        let all = heads([head(1, 4), head(2, 1), head(1, 5)]);
        assert_eq!(all, heads([head(2, 1), head(1, 5), head(1, 4)]));
        assert_eq!(all, heads([head(1, 5), head(2, 1)]));
        assert_ne!(all, heads([head(1, 4), head(2, 1)]));
        assert_ne!(all, heads([head(1, 5)]));
    }

    fn seal() -> Seal {
        let creditor = CreditorCode::parse("99900010010").unwrap();
        Seal {
            creditor,
            number: 2,
            at: Millis::new(3),
            count: 4,
            entries: 5,
            root: Hash([6; 32]),
            heads: Hash([7; 32]),
            previous: Hash([8; 32]),
        }
    }

    #[test]
    fn the_hash_sees_every_field() {
        let one = seal();
        let other = CreditorCode::parse("99900040017").unwrap();
        let altered = [
            Seal { creditor: other, ..one },
            Seal { number: 1, ..one },
            Seal { at: Millis::new(4), ..one },
            Seal { count: 5, ..one },
            Seal { entries: 4, ..one },
            Seal { root: Hash([0; 32]), ..one },
            Seal { heads: Hash([0; 32]), ..one },
            Seal { previous: Hash([0; 32]), ..one },
        ];
        for seal in altered {
            assert_ne!(seal.hash(), one.hash(), "{seal:?}");
        }
        assert_ne!(Seal::genesis(&other), Seal::genesis(&one.creditor));
    }

    #[test]
    fn a_proof_holds_for_its_entry_only() {
        let creditor = seal().creditor;
        let entry = |n: u128, cents: i64| {
            let sides = (Account { kind: AccountKind::Wallet, id: Uuid::from_u128(1) }, Account::CLEARING);
            let sides = (sides.0, sides.1, Cents::new(cents));
            let id = EntryId::from(Uuid::from_u128(n));
            Entry::transfer(creditor, id, EntryKind::TopUp, Millis::new(1), None, sides).unwrap()
        };
        let entries: Vec<Entry> = (0..5).map(|n| entry(n, 100)).collect();
        let digests: Vec<Hash> = entries.iter().map(Entry::digest).collect();
        let seal = Seal { count: 5, root: root(&digests), ..seal() };
        let proof = Proof { entry: entries[3].clone(), position: 3, path: path(&digests, 3).unwrap(), seal };
        assert_eq!(proof.check(), Ok(()));
        let forged = Proof { entry: entry(3, 200), ..proof.clone() };
        assert_eq!(forged.check(), Err(ProofError::NotInSeal));
        let other = CreditorCode::parse("99900040017").unwrap();
        let moved = Proof { seal: Seal { creditor: other, ..seal }, ..proof };
        assert_eq!(moved.check(), Err(ProofError::OtherCreditor));
    }

    proptest! {
        #[test]
        fn every_digest_of_any_count_is_proven(count in 1..300usize, at in any::<prop::sample::Index>()) {
            let all = digests(count);
            let position = at.index(count);
            let path = path(&all, position).unwrap();
            prop_assert_eq!(root_of_path(all[position], position as u64, count as u64, &path), Some(root(&all)));
        }

        #[test]
        fn whatever_is_altered_proves_nothing(
            count in 1..300usize, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
            bit in 0..256usize, how in 0..7,
        ) {
            let all = digests(count);
            let position = at.index(count);
            let (mut digest, mut index, mut size) = (all[position], position as u64, count as u64);
            let mut way = path(&all, position).unwrap();
            match how {
                0 => digest.0[bit / 8] ^= 1 << (bit % 8),
                1 => index = (index + 1 + other.index(count) as u64) % (size + 1),
                2 => way.push(digest),
                3 if !way.is_empty() => { way.pop(); }
                4 if !way.is_empty() => { let at = other.index(way.len()); way[at].0[bit / 8] ^= 1 << (bit % 8); }
                5 if way.len() > 1 => { let at = other.index(way.len() - 1); way.swap(at, at + 1); }
                // A tree of another height; one of the same may share the path, which is why a seal's hash has its count.
                _ => size = size * 2 + 1,
            }
            if how == 1 && index == position as u64 {
                return Ok(());
            }
            prop_assert_ne!(root_of_path(digest, index, size, &way), Some(root(&all)));
        }
    }
}
