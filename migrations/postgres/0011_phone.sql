-- The phone: when a top-up was asked for, money paid twice, sessions ended from afar, what paying costs.

-- When the parent tapped, as far as the phone could prove it: known, unknown (the phone was started again in between),
-- forged, impossible; null where the phone said nothing.
ALTER TABLE top_up ADD COLUMN asked TEXT;
-- By the server's clock; null where it is not known.
ALTER TABLE top_up ADD COLUMN asked_at_ms BIGINT;
-- Not before this instant.
ALTER TABLE top_up ADD COLUMN asked_after_ms BIGINT;

-- When a second receipt came for it and its money was put aside for the payer; null again once the office booked it.
ALTER TABLE notice ADD COLUMN paid_twice_at_ms BIGINT;

-- 1: the phone that has it must keep nothing of it.
ALTER TABLE session ADD COLUMN wipe BIGINT NOT NULL DEFAULT 0;

-- What one visit to pagoPA costs, as the operator imported it: one table per creditor, replaced as a whole.
CREATE TABLE fee_table (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- The beginning of the digest of its bands.
    version TEXT NOT NULL,
    imported_at_ms BIGINT NOT NULL,
    -- As the domain writes it, a line per band.
    bands TEXT NOT NULL,
    PRIMARY KEY (creditor)
);
