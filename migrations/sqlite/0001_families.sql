-- Who is who: creditors, guardians, children, services, enrolments.
-- Global tables (the only ones without `creditor` in front): creditor, station, activation_code.

CREATE TABLE station (
    id TEXT NOT NULL PRIMARY KEY,
    broker TEXT NOT NULL,
    -- 1: a receipt delivered again is answered PAA_RECEIPT_DUPLICATA; 0: with the stored OK.
    duplicate_is_ko INTEGER NOT NULL
) STRICT;

CREATE TABLE creditor (
    fiscal_code TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    office_name TEXT NOT NULL,
    station TEXT NOT NULL REFERENCES station (id),
    segregation_code TEXT NOT NULL,
    cbill TEXT NOT NULL,
    iban TEXT NOT NULL,
    postal_iban TEXT,
    help_phone TEXT NOT NULL,
    -- How many days an unpaid top-up's notice stays payable.
    top_up_days INTEGER NOT NULL
) STRICT;

CREATE TABLE activation_code (
    code TEXT NOT NULL PRIMARY KEY,
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code)
) STRICT;

CREATE TABLE guardian (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    username TEXT NOT NULL,
    full_name TEXT NOT NULL,
    fiscal_code TEXT NOT NULL,
    email TEXT,
    -- argon2id in PHC form.
    password_hash TEXT NOT NULL,
    -- The number of the last row of the guardian's feed; moved in the transaction that writes the row.
    feed_seq INTEGER NOT NULL,
    disabled_at_ms INTEGER,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, username)
) STRICT;

CREATE TABLE child (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    given_name TEXT NOT NULL,
    family_name TEXT NOT NULL,
    fiscal_code TEXT NOT NULL,
    school TEXT NOT NULL,
    class_name TEXT NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

CREATE TABLE guardian_child (
    creditor TEXT NOT NULL,
    guardian BLOB NOT NULL,
    child BLOB NOT NULL,
    PRIMARY KEY (creditor, guardian, child),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id)
) STRICT;
CREATE INDEX guardian_child_by_child ON guardian_child (creditor, child, guardian);

CREATE TABLE service (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    taxonomy TEXT NOT NULL,
    -- Preset top-ups in cents, comma-separated, ascending.
    presets TEXT NOT NULL,
    min_cents INTEGER NOT NULL,
    max_cents INTEGER NOT NULL,
    wallet_max_cents INTEGER NOT NULL,
    max_open INTEGER NOT NULL,
    -- A balance below it is said to run out.
    low_mark_cents INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

CREATE TABLE enrolment (
    creditor TEXT NOT NULL,
    id BLOB NOT NULL,
    child BLOB NOT NULL,
    service BLOB NOT NULL,
    -- The calendar year the school year begins in.
    school_year INTEGER NOT NULL,
    tariff TEXT NOT NULL,
    -- Of one meal, ride or day; 0 where the service has no unit price.
    unit_price_cents INTEGER NOT NULL,
    PRIMARY KEY (creditor, id),
    UNIQUE (creditor, child, service, school_year),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
) STRICT;
