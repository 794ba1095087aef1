-- Who is signed in, what changed for whom, and what has to be told outside.

CREATE TABLE session (
    creditor TEXT NOT NULL,
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    device_name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER NOT NULL,
    -- Digests: the newest refresh token, and the one before it until the newest is first used.
    refresh_digest BLOB NOT NULL,
    previous_digest BLOB,
    ended_at_ms INTEGER,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;
CREATE INDEX session_by_guardian ON session (creditor, guardian);

-- Failed sign-ins, per account and per network address (digests: neither stands here in clear).
CREATE TABLE sign_in_failure (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    who BLOB NOT NULL,
    failures INTEGER NOT NULL,
    last_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, who)
) STRICT;

CREATE TABLE feed (
    creditor TEXT NOT NULL,
    guardian BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    -- What changed: a wallet, or a bill, and the notice that did it.
    wallet BLOB,
    bill BLOB,
    notice TEXT,
    PRIMARY KEY (creditor, guardian, seq),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;

CREATE TABLE outbox (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    -- The notice it is about; the sender reads the rest when it sends.
    notice TEXT NOT NULL,
    due_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;
CREATE INDEX outbox_by_due ON outbox (creditor, due_at_ms);
