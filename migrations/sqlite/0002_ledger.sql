-- The ledger: append-only journal, postings chained per account, running balances beside them.

-- Accounts with a running balance: wallets, bills, suspense. Clearing and revenue have none (they would be hot rows).
CREATE TABLE account (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    balance_cents INTEGER NOT NULL,
    -- The hash of the last posting, or the account's genesis.
    head BLOB NOT NULL,
    PRIMARY KEY (creditor, kind, id)
) STRICT;

CREATE TABLE wallet (
    creditor TEXT NOT NULL,
    id BLOB NOT NULL,
    child BLOB NOT NULL,
    service BLOB NOT NULL,
    closed_at_ms INTEGER,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, child, service),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
) STRICT;

CREATE TABLE journal_entry (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- The receipt it rests on, if any.
    receipt_issuer TEXT,
    receipt_id TEXT,
    receipt_digest BLOB,
    -- For a charge: the day of the meal or ride, and the tariff that applied.
    day TEXT,
    tariff TEXT,
    digest BLOB NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

CREATE TABLE posting (
    creditor TEXT NOT NULL,
    entry BLOB NOT NULL,
    line INTEGER NOT NULL,
    account_kind TEXT NOT NULL,
    account_id BLOB NOT NULL,
    cents INTEGER NOT NULL,
    -- Only for accounts with a running balance: number, balance after, hash.
    seq INTEGER,
    balance_after_cents INTEGER,
    hash BLOB,
    PRIMARY KEY (creditor, entry, line),
    UNIQUE (creditor, account_kind, account_id, seq),
    FOREIGN KEY (creditor, entry) REFERENCES journal_entry (creditor, id)
) STRICT;
