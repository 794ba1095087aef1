//! What the office does by hand about notices and bills. Each act carries a reason and a name, and is kept for good.

use crate::ledger::coded;

coded! {
    /// An act of the office.
    OfficeAction, "act of the office" {
        /// A notice can no longer be paid.
        NoticeCancelled = "notice_cancelled",
        /// A notice was paid at the office's own counter, outside pagoPA.
        NoticeSettled = "notice_settled",
        /// A bill was issued.
        BillIssued = "bill_issued",
        /// What was left of a bill is no longer owed.
        BillWithdrawn = "bill_withdrawn",
        /// Every phone of a guardian was signed out and told to keep nothing.
        PhonesWiped = "phones_wiped",
    }
}
