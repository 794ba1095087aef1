//! Identifiers: UUIDv7 made by the program from a time and random bytes that the caller brings.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::time::Millis;

/// Makes a UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits. Sorts by time, tells nothing else.
pub fn uuid_v7(at: Millis, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.get()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id for the instant `at`, from 10 secure random bytes.
            pub fn new(at: Millis, random: [u8; 10]) -> Self {
                Self(uuid_v7(at, random))
            }

            /// The bare UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::from_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )*};
}

ids! {
    /// An adult who signs in to one creditor.
    GuardianId;
    /// A child of one creditor.
    ChildId;
    /// A service of one creditor.
    ServiceId;
    /// A child in a service for a school year.
    EnrolmentId;
    /// The prepaid balance of one child for one service.
    WalletId;
    /// An amount issued for a period.
    BillId;
    /// Money on its way into a wallet. Made by whoever asks for it: it is the idempotency key.
    TopUpId;
    /// One visit to pagoPA Checkout. Made by whoever opens it.
    CartId;
    /// One entry of the journal.
    EntryId;
    /// A sign-in on one device.
    SessionId;
    /// A row of the outbox.
    OutboxId;
    /// A message of the Node, kept as it came.
    RawMessageId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_version_7() {
        let early = WalletId::new(Millis::new(1_000), [255; 10]);
        let late = WalletId::new(Millis::new(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 7);
        assert_eq!(early.to_string().parse(), Ok(early));
    }
}
