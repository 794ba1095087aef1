-- What is to pay and what was paid: bills, notices, top-ups, pagoPA pages, receipts.

CREATE TABLE bill (
    creditor TEXT NOT NULL,
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    number TEXT NOT NULL,
    period TEXT NOT NULL,
    due_date TEXT NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    total_cents INTEGER NOT NULL,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, number),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;
CREATE INDEX bill_by_guardian ON bill (creditor, guardian);

CREATE TABLE bill_line (
    creditor TEXT NOT NULL,
    bill BLOB NOT NULL,
    line INTEGER NOT NULL,
    child BLOB NOT NULL,
    service BLOB NOT NULL,
    cents INTEGER NOT NULL,
    PRIMARY KEY (creditor, bill, line),
    FOREIGN KEY (creditor, bill) REFERENCES bill (creditor, id),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
) STRICT;
CREATE INDEX bill_line_by_child ON bill_line (creditor, child, bill);

-- One visit to a pagoPA Checkout page.
CREATE TABLE cart (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    url TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

CREATE TABLE notice (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    number TEXT NOT NULL,
    -- Exactly one of the two says what it is for.
    wallet BLOB,
    bill BLOB,
    amount_cents INTEGER NOT NULL,
    -- Never a name: it is printed, shown by any PSP and sent to the platform.
    reason TEXT NOT NULL,
    taxonomy TEXT NOT NULL,
    debtor_code TEXT NOT NULL,
    debtor_name TEXT NOT NULL,
    due_date TEXT NOT NULL,
    -- open, paid, cancelled; expiry follows from expires_at_ms.
    state TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    settled_at_ms INTEGER,
    -- The last page opened for it.
    cart BLOB,
    PRIMARY KEY (creditor, number),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id),
    FOREIGN KEY (creditor, bill) REFERENCES bill (creditor, id),
    FOREIGN KEY (creditor, cart) REFERENCES cart (creditor, id)
) STRICT;
CREATE INDEX notice_by_wallet ON notice (creditor, wallet, state);
CREATE INDEX notice_by_bill ON notice (creditor, bill);

CREATE TABLE top_up (
    creditor TEXT NOT NULL,
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    wallet BLOB NOT NULL,
    amount_cents INTEGER NOT NULL,
    pay_by TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    notice TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, notice),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
) STRICT;
CREATE INDEX top_up_by_guardian ON top_up (creditor, guardian, created_at_ms);

-- The proof of payment. Never updated, never deleted; what the Node sent is sealed with a key that is not in here.
CREATE TABLE receipt (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- receipt/fiscalCode: who issued the notice.
    issuer TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    notice_number TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL,
    -- What the payer paid, and what of it is this creditor's.
    total_cents INTEGER NOT NULL,
    ours_cents INTEGER NOT NULL,
    -- Where the money went: wallet, bill, or the name of the office's queue. The entry is written after the receipt, in
    -- the same transaction, so there is no foreign key; `ledger verify` holds the two against each other.
    outcome TEXT NOT NULL,
    entry BLOB,
    -- Of the receipt as it was meant (fields), to tell a redelivery from another receipt under the same key.
    content_digest BLOB NOT NULL,
    -- Of the message as it came (bytes).
    message_digest BLOB NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (creditor, issuer, receipt_id)
) STRICT;

-- Receipts that could not be booked as such, kept for the office: schema-invalid ones, and other content under a known key.
CREATE TABLE kept_message (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- quarantine, anomaly
    queue TEXT NOT NULL,
    message_digest BLOB NOT NULL,
    why TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (creditor, queue, message_digest)
) STRICT;
