-- Documents that were fetched, for when there is no network. Sealed as the rest; `what` names ids and days, and nothing that is
-- paid under. With a row id: rows are large, and what is not sealed has to be read without passing over it.
CREATE TABLE document (
    account TEXT NOT NULL,
    what TEXT NOT NULL,
    -- Grows with each use, over all accounts: what was used least recently goes first. No time: a phone's clock may be set.
    used INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account, what)
) STRICT;
