//! Which accounts this phone holds. They live in the secure store, so that a rebuilt cache signs nobody out.

use borsellino_proto::v1;
use prost::Message;

use crate::error::Result;
use crate::models::{AccountView, CreditorInfo};
use crate::session::{AccountKey, Vault};

const ITEM: &str = "borsellino-accounts";

/// One account.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Account {
    #[prost(message, optional, tag = "1")]
    pub(crate) creditor: Option<v1::Creditor>,
    #[prost(message, optional, tag = "2")]
    pub(crate) guardian: Option<v1::Guardian>,
}

impl Account {
    pub(crate) fn key(&self) -> AccountKey {
        let creditor = self.creditor.as_ref().map_or("", |creditor| creditor.fiscal_code.as_str());
        AccountKey::new(creditor, self.guardian.as_ref().map_or("", |guardian| guardian.id.as_str()))
    }

    pub(crate) fn creditor_info(&self) -> CreditorInfo {
        self.creditor.clone().map(CreditorInfo::from).unwrap_or_default()
    }
}

/// All of them, in the order they signed in.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Accounts {
    #[prost(message, repeated, tag = "1")]
    accounts: Vec<Account>,
    #[prost(string, tag = "2")]
    active: String,
}

impl Accounts {
    /// Reads them; a value no version of this app wrote is none.
    pub(crate) async fn load(vault: &Vault) -> Result<Self> {
        let bytes = vault.get(ITEM).await?.unwrap_or_default();
        Ok(Self::decode(bytes.as_slice()).unwrap_or_default())
    }

    pub(crate) async fn store(&self, vault: &Vault) -> Result<()> {
        vault.set(ITEM, self.encode_to_vec()).await
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    pub(crate) fn get(&self, key: &AccountKey) -> Option<&Account> {
        self.accounts.iter().find(|account| account.key() == *key)
    }

    pub(crate) fn active(&self) -> Option<&Account> {
        self.accounts.iter().find(|account| account.key().as_str() == self.active)
    }

    /// Adds or renews an account, which becomes the active one.
    pub(crate) fn put(&mut self, account: Account) {
        let key = account.key();
        self.active = key.as_str().to_owned();
        match self.accounts.iter_mut().find(|known| known.key() == key) {
            Some(known) => *known = account,
            None => self.accounts.push(account),
        }
    }

    /// Answers `false` where there is no such account.
    pub(crate) fn activate(&mut self, key: &AccountKey) -> bool {
        let known = self.get(key).is_some();
        if known {
            self.active = key.as_str().to_owned();
        }
        known
    }

    /// Removes one; the first of the others becomes active in its place.
    pub(crate) fn remove(&mut self, key: &AccountKey) {
        self.accounts.retain(|account| account.key() != *key);
        if self.active == key.as_str() {
            self.active = self.accounts.first().map(|next| next.key().as_str().to_owned()).unwrap_or_default();
        }
    }

    pub(crate) fn views(&self) -> Vec<AccountView> {
        let view = |account: &Account| AccountView {
            key: account.key(),
            guardian_name: account.guardian.as_ref().map(|it| it.display_name.clone()).unwrap_or_default(),
            creditor: account.creditor_info(),
            active: account.key().as_str() == self.active,
        };
        self.accounts.iter().map(view).collect()
    }
}
