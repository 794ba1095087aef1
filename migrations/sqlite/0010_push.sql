-- Which devices want to be told by push, and every message that was or is to be sent to one.

-- A phone's registration token, one per session: sealed, found again by a keyed digest. The same token is one phone's.
CREATE TABLE push_token (
    creditor TEXT NOT NULL,
    session BLOB NOT NULL,
    -- android, ios
    platform TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    digest BLOB NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    registered_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, session),
    UNIQUE (creditor, digest),
    FOREIGN KEY (creditor, session) REFERENCES session (creditor, id)
) STRICT;

-- One message to one device; with its outcome it is the log. It holds no token, no name, no amount.
CREATE TABLE delivery (
    creditor TEXT NOT NULL,
    -- Made from the outbox row and the session: goes out with the message and is the same whenever it is sent again.
    id BLOB NOT NULL,
    -- push
    channel TEXT NOT NULL,
    session BLOB NOT NULL,
    -- payment_done, changed
    message TEXT NOT NULL,
    -- The number of the guardian's feed that it is about.
    feed_seq INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    -- When it may be tried; while it is being tried, when somebody else may.
    due_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    -- What was answered last: an HTTP status and the error's name, or why there was no answer.
    last_code TEXT,
    -- sent, unregistered, refused, no_device, unreadable, expired; null while it is to be sent.
    outcome TEXT,
    done_at_ms INTEGER,
    PRIMARY KEY (creditor, id)
) STRICT;
CREATE INDEX delivery_by_due ON delivery (creditor, channel, due_at_ms) WHERE outcome IS NULL;

-- What is to be told. Rows of other kinds are not in it.
CREATE INDEX outbox_to_tell ON outbox (creditor, due_at_ms) WHERE kind = 'payment_done';

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('push_token', 'sqlite_autoindex_push_token_1', '6000 3000 1'),
    ('push_token', 'sqlite_autoindex_push_token_2', '6000 3000 1'),
    ('delivery', 'sqlite_autoindex_delivery_1', '100000 50000 1'),
    ('delivery', 'delivery_by_due', '1000 500 500 1'),
    ('outbox', 'outbox_to_tell', '1000 500 1');
ANALYZE sqlite_schema;
