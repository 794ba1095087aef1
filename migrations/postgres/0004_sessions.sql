-- Who is signed in, what changed for whom, and what has to be told outside.

CREATE TABLE session (
    creditor TEXT NOT NULL,
    id UUID NOT NULL,
    guardian UUID NOT NULL,
    device_name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    last_used_at_ms BIGINT NOT NULL,
    -- Digests: the newest refresh token, and the one before it until the newest is first used.
    refresh_digest BYTEA NOT NULL,
    previous_digest BYTEA,
    ended_at_ms BIGINT,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);
CREATE INDEX session_by_guardian ON session (creditor, guardian);

-- Failed sign-ins, per account and per network address (digests: neither stands here in clear).
CREATE TABLE sign_in_failure (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    who BYTEA NOT NULL,
    failures BIGINT NOT NULL,
    last_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, who)
);

CREATE TABLE feed (
    creditor TEXT NOT NULL,
    guardian UUID NOT NULL,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- What changed: a wallet, or a bill, and the notice that did it.
    wallet UUID,
    bill UUID,
    notice TEXT,
    PRIMARY KEY (creditor, guardian, seq),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);

CREATE TABLE outbox (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    -- The notice it is about; the sender reads the rest when it sends.
    notice TEXT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, id)
);
CREATE INDEX outbox_by_due ON outbox (creditor, due_at_ms);
