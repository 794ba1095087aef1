-- How an adult whom the office knows gets an account, and gets back into it.

-- Who has not registered yet has no password (the empty text) and a user name that nobody can type: (id).
CREATE INDEX guardian_by_fiscal_code ON guardian (creditor, fiscal_code);

-- The code that the office gave to an adult last: it opens a new account, or is one of two proofs of whose an account is.
CREATE TABLE office_code (
    creditor TEXT NOT NULL,
    guardian BLOB NOT NULL,
    digest BLOB NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    -- Wrong ones.
    tries INTEGER NOT NULL,
    used_at_ms INTEGER,
    PRIMARY KEY (creditor, guardian),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;

-- A password that somebody says they forgot.
CREATE TABLE recovery (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    -- Null where there is no such account: whoever asks goes the same way and does not learn it.
    guardian BLOB,
    -- Of the token that whoever asks holds.
    digest BLOB NOT NULL,
    -- What they call their device.
    device_name TEXT NOT NULL,
    -- The two digits that it shows.
    number TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    asked_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    -- Wrong ones.
    tries INTEGER NOT NULL,
    -- When each was proved.
    office_at_ms INTEGER,
    email_at_ms INTEGER,
    device_at_ms INTEGER,
    -- Denied, or overtaken by another one.
    ended_at_ms INTEGER,
    finished_at_ms INTEGER,
    -- Of the code in the letter that was sent last.
    email_digest BLOB,
    -- When the letter may be tried; null once it was sent, or where there is none to send.
    mail_due_at_ms INTEGER,
    mail_attempts INTEGER NOT NULL,
    -- What was answered last; without an address.
    mail_code TEXT,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;
CREATE INDEX recovery_by_guardian ON recovery (creditor, guardian);
CREATE INDEX recovery_by_mail ON recovery (creditor, mail_due_at_ms) WHERE mail_due_at_ms IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('guardian', 'guardian_by_fiscal_code', '4000 2000 1'),
    ('office_code', 'sqlite_autoindex_office_code_1', '1000 500 1'),
    ('recovery', 'sqlite_autoindex_recovery_1', '200 100 1'),
    ('recovery', 'recovery_by_guardian', '200 100 2'),
    ('recovery', 'recovery_by_mail', '10 5 1');
ANALYZE sqlite_schema;
