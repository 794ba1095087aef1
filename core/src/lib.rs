//! The app core: what runs on the phone. An offline-first cache, top-ups that survive a kill, the session, the live
//! stream, and models that are ready to show.
//!
//! Open it once with [`App::open`], paint from [`App::cached_home`], then call [`App::resume`] and [`App::watch`].
//! Rules it keeps (ARCHITECTURE.md, rules of money): the id of a top-up is made and saved here before it is sent; a receipt, told by the
//! server, is the only proof of payment; the phone never computes a balance, it says how old its figures are.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod access;
mod accounts;
mod app;
mod bills;
mod cache;
mod clock;
mod config;
mod devices;
mod documents;
mod error;
mod fees;
mod guard;
mod inner;
mod intents;
mod models;
mod push;
mod qr;
mod receipts;
mod remote;
mod seal;
mod secure_store;
mod session;
mod sync;
mod tend;
mod together;
mod words;

pub use access::{Proof, Proofs, Recovered, RecoveryRequest, RecoveryView};
pub use app::{App, Resumed, WatchHandle};
pub use bills::{BillLineView, BillState, BillView, InstalmentView, PayBillView};
pub use cache::{CacheStart, RebuildReason};
pub use clock::{Clock, SystemClock};
pub use config::{Config, Step};
pub use devices::DeviceView;
pub use documents::{Document, DocumentFile, DocumentLink, NoticeOf, NoticeSent, PaymentOf, ReceiptFormat, SentNotice};
pub use error::{CacheError, Error, InProgress, Invalid, Reason, Refusal, Result};
pub use fees::{CartAdvice, FeeAdvice, FeeRange};
pub use models::{
    AccountView, BalanceChange, ChildView, Connection, CreditorInfo, Event, HomeView, Listener, Money, MovementKind,
    MovementView, MovementsView, NoticeView, QueuedWhy, ServiceKind, TopUpState, TopUpView, WalletView,
};
pub use push::{Platform, PushNews};
pub use qr::QrMatrix;
pub use receipts::{ReceiptView, ReceiptsView};
pub use remote::Pace;
pub use secure_store::{InsecureFileStore, MemoryStore, SecureStore, SecureStoreError};
pub use session::AccountKey;
pub use together::{CartPageView, PayItem, TogetherState, TogetherView};

/// The domain's types that appear in this crate's signatures.
pub use borsellino_domain::{
    account::PasswordRule,
    id::{BillId, CartId, ChildId, SessionId, TopUpId, WalletId},
    language::Language,
    money::Amount,
    time::Millis,
    top_up::PayBy,
};
