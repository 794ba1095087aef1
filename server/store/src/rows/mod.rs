//! What the statements take and answer. Columns that the rules constrain come out as the domain's types: a row that
//! breaks them is an error, never a wrong value.

mod accounts;
mod content;
mod documents;
mod families;
mod identities;
mod ledger;
mod office;
mod overview;
mod payments;
mod phone;
mod post;
mod push;
mod queue;
mod seal;
mod sessions;

pub use accounts::*;
pub use content::*;
pub use documents::*;
pub use families::*;
pub use identities::*;
pub use ledger::*;
pub use office::*;
pub use overview::*;
pub use payments::*;
pub use phone::*;
pub use post::*;
pub use push::*;
pub use queue::*;
pub use seal::*;
pub use sessions::*;
