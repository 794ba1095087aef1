-- Seals over the ledger: each names the entries it seals, where their accounts stood after them, and the seal before it.

CREATE TABLE seal (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- 1, 2, 3, ...: of two servers that seal at once one gets the number, the other tries again later.
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    -- How many entries it seals, and how many all seals up to it do.
    count INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    -- Of the tree over the digests of its entries, in the order of their ids.
    root BLOB NOT NULL,
    -- Over where the chained accounts stand after its entries.
    heads BLOB NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL,
    -- Ed25519 over the hash, and the public key it is made with.
    signature BLOB NOT NULL,
    public_key BLOB NOT NULL,
    PRIMARY KEY (creditor, number)
) STRICT;

-- Which seal an entry is in, with the digest that was sealed. No foreign key to the entry: it must outlive one that is
-- removed. An entry is in one seal at most.
CREATE TABLE sealed_entry (
    creditor TEXT NOT NULL,
    entry BLOB NOT NULL,
    seal INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (creditor, entry),
    FOREIGN KEY (creditor, seal) REFERENCES seal (creditor, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX sealed_entry_by_seal ON sealed_entry (creditor, seal, entry);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('seal', 'sqlite_autoindex_seal_1', '100000 50000 1'),
    ('sealed_entry', 'sealed_entry', '1000000 500000 1'),
    ('sealed_entry', 'sealed_entry_by_seal', '1000000 500000 10 1');
ANALYZE sqlite_schema;
