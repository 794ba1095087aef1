-- Instalments, top-ups asked for at a PSP without a notice, and what the office does about notices and bills.

-- Which instalment of its bill a notice asks for, from 1; null for a notice that asks for all that is left.
ALTER TABLE notice ADD COLUMN instalment BIGINT;

-- What was paid under it and lies in suspense, for the office: nobody is asked for it again.
ALTER TABLE notice ADD COLUMN held_cents BIGINT NOT NULL DEFAULT 0;

-- What the office no longer asks for, and what the bill was issued from, to tell the same order from another.
ALTER TABLE bill ADD COLUMN withdrawn_cents BIGINT NOT NULL DEFAULT 0;
ALTER TABLE bill ADD COLUMN order_digest BYTEA;

-- How many notices the page is for.
ALTER TABLE cart ADD COLUMN notices BIGINT NOT NULL DEFAULT 1;

-- The catalogue of services that can be paid at a PSP without a notice (idServizio, idSoggettoServizio), and ours for it.
CREATE TABLE spontaneous (
    creditor TEXT NOT NULL,
    catalogue_service TEXT NOT NULL,
    catalogue_subject TEXT NOT NULL,
    service UUID NOT NULL,
    PRIMARY KEY (creditor, catalogue_service, catalogue_subject),
    FOREIGN KEY (creditor, service) REFERENCES service (creditor, id)
);

-- The last notice made for a demand: the same demand again, shortly after, is the same payment asked for twice.
CREATE TABLE demand (
    creditor TEXT NOT NULL,
    -- Of service, child and amount.
    digest BYTEA NOT NULL,
    notice TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, digest),
    FOREIGN KEY (creditor, notice) REFERENCES notice (creditor, number)
);

-- By codice fiscale, as somebody at a PSP and the office's files name them.
CREATE INDEX child_by_code ON child (creditor, fiscal_code);

-- What the office did by hand, with a reason and a name; never changed, never deleted.
CREATE TABLE office_action (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id UUID NOT NULL,
    -- notice_cancelled, notice_settled, bill_issued, bill_withdrawn
    action TEXT NOT NULL,
    -- The notice's number or the bill's id.
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    operator TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- What was taken, or is no longer owed.
    cents BIGINT,
    -- What books it, where it moves money.
    entry UUID,
    PRIMARY KEY (creditor, id)
);
