-- Letters by e-mail: one message to one guardian, or to one address that they typed; links to pay; who wants what.

-- The language of the phone that somebody signed in with last: it, en, de.
ALTER TABLE guardian ADD COLUMN language TEXT NOT NULL DEFAULT 'it';
-- Since when letters go to the address on file, and since when nobody is there.
ALTER TABLE guardian ADD COLUMN email_at_ms INTEGER;
ALTER TABLE guardian ADD COLUMN email_bounced_at_ms INTEGER;

-- With its outcome it is the log. It holds no name, no amount, and no address in clear.
CREATE TABLE letter (
    creditor TEXT NOT NULL,
    -- Made from what caused it and the guardian: the same cause is one letter.
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    -- notice, payment_done, low_balance, account
    kind TEXT NOT NULL,
    -- The notice's number, the wallet's id, or what happened to the account.
    about TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    -- When that happened.
    at_ms INTEGER NOT NULL,
    -- 1: to another address than the one on file, which is sealed here until the letter is settled.
    elsewhere INTEGER NOT NULL,
    key_id TEXT,
    sealed BLOB,
    created_at_ms INTEGER NOT NULL,
    -- When it may be tried; while it is being tried, when somebody else may.
    due_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    -- What was answered last; without an address.
    last_code TEXT,
    -- sent, refused, no_address, unreadable, moot, expired; null while it is to be sent.
    outcome TEXT,
    done_at_ms INTEGER,
    -- When it came back.
    bounced_at_ms INTEGER,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;
CREATE INDEX letter_by_due ON letter (creditor, due_at_ms) WHERE outcome IS NULL;

-- Every notice that somebody had sent, which stays: to the address on file, or (then with its keyed digest) to another one.
CREATE TABLE mailed_notice (
    creditor TEXT NOT NULL,
    -- The letter's.
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    notice TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    address_digest BLOB,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
) STRICT;
CREATE INDEX mailed_notice_by_guardian ON mailed_notice (creditor, guardian, at_ms);

-- Links under which a notice is paid without signing in; of each the digest of its token alone.
CREATE TABLE pay_link (
    creditor TEXT NOT NULL,
    digest BLOB NOT NULL,
    notice TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    -- With the notice; null where that has no end.
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    PRIMARY KEY (creditor, digest),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
) STRICT;

-- Which kinds of letters a guardian does not want, or wants again.
CREATE TABLE mail_choice (
    creditor TEXT NOT NULL,
    guardian BLOB NOT NULL,
    kind TEXT NOT NULL,
    -- 1: not wanted.
    off INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, guardian, kind),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;

-- The wallets that were said to run low since they last were not.
CREATE TABLE low_told (
    creditor TEXT NOT NULL,
    wallet BLOB NOT NULL,
    told_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, wallet),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id)
) STRICT;

-- How a creditor wants documents to go out by e-mail, with a reason and a name: the last one counts, none is ever changed.
CREATE TABLE document_choice (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    -- attachment, link
    documents TEXT NOT NULL,
    reason TEXT NOT NULL,
    operator TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

-- The receipt that a letter is about.
CREATE INDEX receipt_of_notice ON receipt (creditor, notice_number, received_at_ms);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('letter', 'sqlite_autoindex_letter_1', '50000 25000 1'),
    ('letter', 'letter_by_due', '1000 500 1'),
    ('mailed_notice', 'sqlite_autoindex_mailed_notice_1', '10000 5000 1'),
    ('mailed_notice', 'mailed_notice_by_guardian', '10000 5000 3 1'),
    ('pay_link', 'sqlite_autoindex_pay_link_1', '5000 2500 1'),
    ('mail_choice', 'sqlite_autoindex_mail_choice_1', '500 250 1 1'),
    ('low_told', 'sqlite_autoindex_low_told_1', '2000 1000 1'),
    ('document_choice', 'sqlite_autoindex_document_choice_1', '10 5 1'),
    ('receipt', 'receipt_of_notice', '150000 75000 1 1');
ANALYZE sqlite_schema;
