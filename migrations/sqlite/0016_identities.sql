-- Who somebody is: an e-mail address in place of the user name, an identity provider in place of the password; and the privacy
-- notice that they accept, once per version.

-- Whose account an address may mean. Addresses are kept as the office typed them; case does not matter.
CREATE INDEX guardian_by_email ON guardian (creditor, LOWER(email));

-- A creditor's privacy notice: the last row counts, none is ever changed. Who set it, and why, stands in office_action under
-- the same id.
CREATE TABLE privacy_notice (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    id BLOB NOT NULL,
    -- Null: nothing is asked any more.
    version TEXT,
    -- Where it is read; or its text.
    link TEXT,
    body TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;

-- That a guardian accepted a version: evidence, never changed.
CREATE TABLE privacy_acceptance (
    creditor TEXT NOT NULL,
    guardian BLOB NOT NULL,
    version TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, guardian, version),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id)
) STRICT;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('guardian', 'guardian_by_email', '4000 2000 1'),
    ('privacy_notice', 'sqlite_autoindex_privacy_notice_1', '10 5 1'),
    ('privacy_acceptance', 'sqlite_autoindex_privacy_acceptance_1', '8000 4000 2 1');
ANALYZE sqlite_schema;
