-- Seals over the ledger: each names the entries it seals, where their accounts stood after them, and the seal before it.

CREATE TABLE seal (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- 1, 2, 3, ...: of two servers that seal at once one gets the number, the other tries again later.
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    -- How many entries it seals, and how many all seals up to it do.
    count BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    -- Of the tree over the digests of its entries, in the order of their ids.
    root BYTEA NOT NULL,
    -- Over where the chained accounts stand after its entries.
    heads BYTEA NOT NULL,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    -- Ed25519 over the hash, and the public key it is made with.
    signature BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    PRIMARY KEY (creditor, number)
);

-- Which seal an entry is in, with the digest that was sealed. No foreign key to the entry: it must outlive one that is
-- removed. An entry is in one seal at most.
CREATE TABLE sealed_entry (
    creditor TEXT NOT NULL,
    entry UUID NOT NULL,
    seal BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (creditor, entry),
    FOREIGN KEY (creditor, seal) REFERENCES seal (creditor, number)
);
CREATE INDEX sealed_entry_by_seal ON sealed_entry (creditor, seal, entry);
