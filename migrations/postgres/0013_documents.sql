-- Documents: what is printed on them beyond what payments need, and the certificates that were issued.

-- As printed on the creditor's documents (payment notice guide 3.3); a creditor without a row has its name alone.
CREATE TABLE letterhead (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    name_german TEXT,
    sector TEXT NOT NULL,
    -- Parts separated by a middle dot.
    contacts TEXT NOT NULL,
    -- Where else than through pagoPA's channels one can pay.
    own_counter TEXT,
    -- In whose name the postal account stands, and Poste's authorisation to print its bill.
    postal_holder TEXT,
    postal_authorisation TEXT,
    -- it, it-de, de, en
    wording TEXT NOT NULL,
    -- PNG, JPEG or SVG, checked when it came in.
    logo BYTEA,
    PRIMARY KEY (creditor)
);

-- Where a guardian lives, in one line, as printed on their notices; null where nobody said.
ALTER TABLE guardian ADD COLUMN address TEXT;

-- A fiscal certificate as it was issued: whoever holds the paper has it confirmed by the code on it.
CREATE TABLE certificate (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- Of the code.
    digest BYTEA NOT NULL,
    -- Keyed, of payer, child and year: which others it replaces, or is replaced by.
    subject BYTEA NOT NULL,
    issued_at_ms BIGINT NOT NULL,
    -- What stands on it, sealed with a key that is not in here.
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (creditor, digest)
);
CREATE INDEX certificate_by_subject ON certificate (creditor, subject);

-- What was given back of a receipt, and which act booked an entry.
CREATE INDEX office_action_by_subject ON office_action (creditor, subject);
CREATE INDEX office_action_by_entry ON office_action (creditor, entry) WHERE entry IS NOT NULL;
