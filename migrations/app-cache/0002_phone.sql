-- A queue of anything a parent may do, in its own order; what the server signed and when the phone heard it; pages kept for
-- counters without coverage.

-- What a row of the queue is: its payload is that kind's. A phone's clock may be set back, so ids do not say the order.
ALTER TABLE intent ADD COLUMN kind TEXT NOT NULL DEFAULT 'top_up';
ALTER TABLE intent ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE intent SET seq = (SELECT COUNT(*) FROM intent AS earlier WHERE earlier.id <= intent.id);
DROP INDEX intent_account;
CREATE INDEX intent_account ON intent (account, seq);

-- When the server's time in it was heard, by a clock that nobody sets and that begins anew with each start of the phone, and
-- during which of these starts. An empty start is never this one.
ALTER TABLE snapshot ADD COLUMN heard_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE snapshot ADD COLUMN boot TEXT NOT NULL DEFAULT '';
-- When the server read the last whole home screen; later changes are worked into it.
ALTER TABLE snapshot ADD COLUMN home_at_ms INTEGER NOT NULL DEFAULT 0;

-- Single answers worth having without the network: the first page of receipts, the table of fees.
CREATE TABLE kept (
    account TEXT NOT NULL,
    what TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account, what)
) STRICT, WITHOUT ROWID;

-- From here on `movement_page.stored_at_ms` is when the server read the page, by the server's clock; 0 where nobody knows.
UPDATE movement_page SET stored_at_ms = 0;
