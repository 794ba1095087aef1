-- How an adult whom the office knows gets an account, and gets back into it.

-- Who has not registered yet has no password (the empty text) and a user name that nobody can type: (id).
CREATE INDEX guardian_by_fiscal_code ON guardian (creditor, fiscal_code);

-- The code that the office gave to an adult last: it opens a new account, or is one of two proofs of whose an account is.
CREATE TABLE office_code (
    creditor TEXT NOT NULL,
    guardian UUID NOT NULL,
    digest BYTEA NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    -- Wrong ones.
    tries BIGINT NOT NULL,
    used_at_ms BIGINT,
    PRIMARY KEY (creditor, guardian),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);

-- A password that somebody says they forgot.
CREATE TABLE recovery (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    -- Null where there is no such account: whoever asks goes the same way and does not learn it.
    guardian UUID,
    -- Of the token that whoever asks holds.
    digest BYTEA NOT NULL,
    -- What they call their device.
    device_name TEXT NOT NULL,
    -- The two digits that it shows.
    number TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    asked_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    -- Wrong ones.
    tries BIGINT NOT NULL,
    -- When each was proved.
    office_at_ms BIGINT,
    email_at_ms BIGINT,
    device_at_ms BIGINT,
    -- Denied, or overtaken by another one.
    ended_at_ms BIGINT,
    finished_at_ms BIGINT,
    -- Of the code in the letter that was sent last.
    email_digest BYTEA,
    -- When the letter may be tried; null once it was sent, or where there is none to send.
    mail_due_at_ms BIGINT,
    mail_attempts BIGINT NOT NULL,
    -- What was answered last; without an address.
    mail_code TEXT,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);
CREATE INDEX recovery_by_guardian ON recovery (creditor, guardian);
CREATE INDEX recovery_by_mail ON recovery (creditor, mail_due_at_ms) WHERE mail_due_at_ms IS NOT NULL;
