-- The ledger: append-only journal, postings chained per account, running balances beside them.

-- Accounts with a running balance: wallets, bills, suspense. Clearing and revenue have none (they would be hot rows).
CREATE TABLE account (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    kind TEXT NOT NULL,
    id UUID NOT NULL,
    seq BIGINT NOT NULL,
    balance_cents BIGINT NOT NULL,
    -- The hash of the last posting, or the account's genesis.
    head BYTEA NOT NULL,
    PRIMARY KEY (creditor, kind, id)
);

CREATE TABLE wallet (
    creditor TEXT NOT NULL,
    id UUID NOT NULL,
    child UUID NOT NULL,
    service UUID NOT NULL,
    closed_at_ms BIGINT,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, child, service),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
);

CREATE TABLE journal_entry (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- The receipt it rests on, if any.
    receipt_issuer TEXT,
    receipt_id TEXT,
    receipt_digest BYTEA,
    -- For a charge: the day of the meal or ride, and the tariff that applied.
    day TEXT,
    tariff TEXT,
    digest BYTEA NOT NULL,
    PRIMARY KEY (creditor, id)
);

CREATE TABLE posting (
    creditor TEXT NOT NULL,
    entry UUID NOT NULL,
    line BIGINT NOT NULL,
    account_kind TEXT NOT NULL,
    account_id UUID NOT NULL,
    cents BIGINT NOT NULL,
    -- Only for accounts with a running balance: number, balance after, hash.
    seq BIGINT,
    balance_after_cents BIGINT,
    hash BYTEA,
    PRIMARY KEY (creditor, entry, line),
    UNIQUE (creditor, account_kind, account_id, seq),
    FOREIGN KEY (creditor, entry) REFERENCES journal_entry (creditor, id)
);
