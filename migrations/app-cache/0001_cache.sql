-- What a phone keeps of one server. Names and amounts are sealed: a `sealed` column holds authenticated ciphertext
-- whose associated data are the table, the account and the row's key, so that a blob moved elsewhere does not open.

-- The home screen as the server last told it, and how far the feed has been read: one row, so that data and cursor
-- can't part.
CREATE TABLE snapshot (
    account TEXT NOT NULL PRIMARY KEY,
    feed_seq INTEGER NOT NULL,
    -- By this phone's clock, which may be wrong: only differences to it are used.
    stored_at_ms INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest movement seen of each wallet: an older balance never replaces a newer one.
CREATE TABLE wallet_seq (
    account TEXT NOT NULL,
    wallet TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (account, wallet)
) STRICT, WITHOUT ROWID;

-- The first page of movements, per wallet; the empty wallet is the whole family.
CREATE TABLE movement_page (
    account TEXT NOT NULL,
    wallet TEXT NOT NULL,
    stored_at_ms INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account, wallet)
) STRICT, WITHOUT ROWID;

-- Top-ups asked for on this phone. Stages: 0 queued, 1 sent, 2 accepted, 3 done, 4 refused; they only grow.
CREATE TABLE intent (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    stage INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 4),
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX intent_account ON intent (account, id);

-- Creditors found by an activation code, before anybody signs in.
CREATE TABLE creditor (
    fiscal_code TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One sealed constant: tells a wrong key from a damaged row.
CREATE TABLE key_check (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;
