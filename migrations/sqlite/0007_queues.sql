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
    at_ms INTEGER NOT NULL,
    -- What books it, where it is booked.
    entry BLOB,
    PRIMARY KEY (creditor, item)
) STRICT;

-- Ordinary receipts are not in it.
CREATE INDEX receipt_for_office ON receipt (creditor, received_at_ms) WHERE outcome NOT IN ('wallet', 'bill');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resolution', 'sqlite_autoindex_resolution_1', '100 50 1'),
    ('receipt', 'receipt_for_office', '100 50 1');
ANALYZE sqlite_schema;
