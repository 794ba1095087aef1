-- What is to pay and what was paid: bills, notices, top-ups, pagoPA pages, receipts.

CREATE TABLE bill (
    creditor TEXT NOT NULL,
    id UUID NOT NULL,
    guardian UUID NOT NULL,
    number TEXT NOT NULL,
    period TEXT NOT NULL,
    due_date TEXT NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    total_cents BIGINT NOT NULL,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, number),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);
CREATE INDEX bill_by_guardian ON bill (creditor, guardian);

CREATE TABLE bill_line (
    creditor TEXT NOT NULL,
    bill UUID NOT NULL,
    line BIGINT NOT NULL,
    child UUID NOT NULL,
    service UUID NOT NULL,
    cents BIGINT NOT NULL,
    PRIMARY KEY (creditor, bill, line),
    FOREIGN KEY (creditor, bill) REFERENCES bill (creditor, id),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
);
CREATE INDEX bill_line_by_child ON bill_line (creditor, child, bill);

-- One visit to a pagoPA Checkout page.
CREATE TABLE cart (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    url TEXT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, id)
);

CREATE TABLE notice (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    number TEXT NOT NULL,
    -- Exactly one of the two says what it is for.
    wallet UUID,
    bill UUID,
    amount_cents BIGINT NOT NULL,
    -- Never a name: it is printed, shown by any PSP and sent to the platform.
    reason TEXT NOT NULL,
    taxonomy TEXT NOT NULL,
    debtor_code TEXT NOT NULL,
    debtor_name TEXT NOT NULL,
    due_date TEXT NOT NULL,
    -- open, paid, cancelled; expiry follows from expires_at_ms.
    state TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    settled_at_ms BIGINT,
    -- The last page opened for it.
    cart UUID,
    PRIMARY KEY (creditor, number),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id),
    FOREIGN KEY (creditor, bill) REFERENCES bill (creditor, id),
    FOREIGN KEY (creditor, cart) REFERENCES cart (creditor, id)
);
CREATE INDEX notice_by_wallet ON notice (creditor, wallet, state);
CREATE INDEX notice_by_bill ON notice (creditor, bill);

CREATE TABLE top_up (
    creditor TEXT NOT NULL,
    id UUID NOT NULL,
    guardian UUID NOT NULL,
    wallet UUID NOT NULL,
    amount_cents BIGINT NOT NULL,
    pay_by TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    notice TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, notice),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
);
CREATE INDEX top_up_by_guardian ON top_up (creditor, guardian, created_at_ms);

-- The proof of payment. Never updated, never deleted; what the Node sent is sealed with a key that is not in here.
CREATE TABLE receipt (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- receipt/fiscalCode: who issued the notice.
    issuer TEXT NOT NULL,
    receipt_id TEXT NOT NULL,
    notice_number TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    -- What the payer paid, and what of it is this creditor's.
    total_cents BIGINT NOT NULL,
    ours_cents BIGINT NOT NULL,
    -- Where the money went: wallet, bill, or the name of the office's queue. The entry is written after the receipt, in
    -- the same transaction, so there is no foreign key; `ledger verify` holds the two against each other.
    outcome TEXT NOT NULL,
    entry UUID,
    -- Of the receipt as it was meant (fields), to tell a redelivery from another receipt under the same key.
    content_digest BYTEA NOT NULL,
    -- Of the message as it came (bytes).
    message_digest BYTEA NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (creditor, issuer, receipt_id)
);

-- Receipts that could not be booked as such, kept for the office: schema-invalid ones, and other content under a known key.
CREATE TABLE kept_message (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- quarantine, anomaly
    queue TEXT NOT NULL,
    message_digest BYTEA NOT NULL,
    why TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (creditor, queue, message_digest)
);
