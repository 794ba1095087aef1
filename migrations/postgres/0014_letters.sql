-- Letters by e-mail: one message to one guardian, or to one address that they typed; links to pay; who wants what.

-- The language of the phone that somebody signed in with last: it, en, de.
ALTER TABLE guardian ADD COLUMN language TEXT NOT NULL DEFAULT 'it';
-- Since when letters go to the address on file, and since when nobody is there.
ALTER TABLE guardian ADD COLUMN email_at_ms BIGINT;
ALTER TABLE guardian ADD COLUMN email_bounced_at_ms BIGINT;

-- With its outcome it is the log. It holds no name, no amount, and no address in clear.
CREATE TABLE letter (
    creditor TEXT NOT NULL,
    -- Made from what caused it and the guardian: the same cause is one letter.
    id UUID NOT NULL,
    guardian UUID NOT NULL,
    -- notice, payment_done, low_balance, account
    kind TEXT NOT NULL,
    -- The notice's number, the wallet's id, or what happened to the account.
    about TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    -- When that happened.
    at_ms BIGINT NOT NULL,
    -- 1: to another address than the one on file, which is sealed here until the letter is settled.
    elsewhere BIGINT NOT NULL,
    key_id TEXT,
    sealed BYTEA,
    created_at_ms BIGINT NOT NULL,
    -- When it may be tried; while it is being tried, when somebody else may.
    due_at_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- What was answered last; without an address.
    last_code TEXT,
    -- sent, refused, no_address, unreadable, moot, expired; null while it is to be sent.
    outcome TEXT,
    done_at_ms BIGINT,
    -- When it came back.
    bounced_at_ms BIGINT,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);
CREATE INDEX letter_by_due ON letter (creditor, due_at_ms) WHERE outcome IS NULL;

-- Every notice that somebody had sent, which stays: to the address on file, or (then with its keyed digest) to another one.
CREATE TABLE mailed_notice (
    creditor TEXT NOT NULL,
    -- The letter's.
    id UUID NOT NULL,
    guardian UUID NOT NULL,
    notice TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    address_digest BYTEA,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
);
CREATE INDEX mailed_notice_by_guardian ON mailed_notice (creditor, guardian, at_ms);

-- Links under which a notice is paid without signing in; of each the digest of its token alone.
CREATE TABLE pay_link (
    creditor TEXT NOT NULL,
    digest BYTEA NOT NULL,
    notice TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- With the notice; null where that has no end.
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    PRIMARY KEY (creditor, digest),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
);

-- Which kinds of letters a guardian does not want, or wants again.
CREATE TABLE mail_choice (
    creditor TEXT NOT NULL,
    guardian UUID NOT NULL,
    kind TEXT NOT NULL,
    -- 1: not wanted.
    off BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, guardian, kind),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
);

-- The wallets that were said to run low since they last were not.
CREATE TABLE low_told (
    creditor TEXT NOT NULL,
    wallet UUID NOT NULL,
    told_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, wallet),
    FOREIGN KEY (creditor, wallet) REFERENCES wallet (creditor, id)
);

-- How a creditor wants documents to go out by e-mail, with a reason and a name: the last one counts, none is ever changed.
CREATE TABLE document_choice (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    -- attachment, link
    documents TEXT NOT NULL,
    reason TEXT NOT NULL,
    operator TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, id)
);

-- The receipt that a letter is about.
CREATE INDEX receipt_of_notice ON receipt (creditor, notice_number, received_at_ms);
