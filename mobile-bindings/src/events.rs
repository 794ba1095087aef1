//! What happens while the app watches.

use std::sync::Arc;

use borsellino_core as core;
use core::{BalanceChange, BillView, TopUpView};
use thiserror::Error;
use uniffi::UnexpectedUniFFICallbackError;

use crate::errors::BorsellinoError;

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum Event {
    /// The live stream began, broke, or ended.
    ConnectionChanged {
        /// How it stands.
        connection: Connection,
    },
    /// A balance changed.
    BalanceChanged {
        /// From what to what.
        change: BalanceChange,
    },
    /// A top-up got somewhere.
    TopUpChanged {
        /// How it stands.
        top_up: TopUpView,
    },
    /// A bill changed.
    BillChanged {
        /// How it stands.
        bill: BillView,
    },
    /// The cached home screen is newer: read it again.
    HomeChanged,
}

/// How the live stream stands.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Connection {
    /// Changes arrive as they happen.
    Live,
    /// They don't, for this reason; the app core goes on trying.
    Lost {
        /// Why.
        why: BorsellinoError,
    },
    /// The session ended: sign in again. The watch is over.
    SignedOut,
}

/// What a listener may throw. It changes nothing: the next event is told all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, uniffi::Error)]
pub enum ListenerError {
    /// Anything.
    #[error("failed")]
    Failed,
}

impl From<UnexpectedUniFFICallbackError> for ListenerError {
    fn from(_: UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

/// Told of what happens, in order, on a thread of the app core: hop to the screen's own. Must be quick, and must not
/// wait for the app core before it returns.
#[uniffi::export(foreign)]
pub trait Listener: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: Event) -> Result<(), ListenerError>;
}

/// The host's listener, as the core wants it.
pub(crate) struct HostListener(pub(crate) Arc<dyn Listener>);

impl core::Listener for HostListener {
    fn on_event(&self, event: core::Event) {
        // It is the host's own trouble, and the next event may be one that it can show.
        let _ = self.0.on_event(event.into());
    }
}

impl From<core::Event> for Event {
    fn from(event: core::Event) -> Self {
        match event {
            core::Event::Connection(connection) => Self::ConnectionChanged { connection: connection.into() },
            core::Event::BalanceChanged(change) => Self::BalanceChanged { change },
            core::Event::TopUpChanged(top_up) => Self::TopUpChanged { top_up: *top_up },
            core::Event::BillChanged(bill) => Self::BillChanged { bill: *bill },
            core::Event::HomeChanged => Self::HomeChanged,
        }
    }
}

impl From<core::Connection> for Connection {
    fn from(connection: core::Connection) -> Self {
        match connection {
            core::Connection::Live => Self::Live,
            core::Connection::Lost(why) => Self::Lost { why: why.into() },
            core::Connection::SignedOut => Self::SignedOut,
        }
    }
}
