-- What the office decides about money whose place is not sure and messages nobody could read.

CREATE TABLE resolution (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- r-ISSUER-RECEIPTID or m-QUEUE-DIGEST.
    item TEXT NOT NULL,
    -- booked_to_wallet, booked_to_bill, refund, dismissed
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- Who decided, as they named themselves.
    operator TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- What books it, where it is booked.
    entry UUID,
    PRIMARY KEY (creditor, item)
);

-- Ordinary receipts are not in it.
CREATE INDEX receipt_for_office ON receipt (creditor, received_at_ms) WHERE outcome NOT IN ('wallet', 'bill');
