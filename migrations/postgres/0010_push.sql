-- Which devices want to be told by push, and every message that was or is to be sent to one.

-- A phone's registration token, one per session: sealed, found again by a keyed digest. The same token is one phone's.
CREATE TABLE push_token (
    creditor TEXT NOT NULL,
    session UUID NOT NULL,
    -- android, ios
    platform TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    digest BYTEA NOT NULL,
    key_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    registered_at_ms BIGINT NOT NULL,
    PRIMARY KEY (creditor, session),
    UNIQUE (creditor, digest),
    FOREIGN KEY (creditor, session) REFERENCES session (creditor, id)
);

-- One message to one device; with its outcome it is the log. It holds no token, no name, no amount.
CREATE TABLE delivery (
    creditor TEXT NOT NULL,
    -- Made from the outbox row and the session: goes out with the message and is the same whenever it is sent again.
    id UUID NOT NULL,
    -- push
    channel TEXT NOT NULL,
    session UUID NOT NULL,
    -- payment_done, changed
    message TEXT NOT NULL,
    -- The number of the guardian's feed that it is about.
    feed_seq BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    -- When it may be tried; while it is being tried, when somebody else may.
    due_at_ms BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- What was answered last: an HTTP status and the error's name, or why there was no answer.
    last_code TEXT,
    -- sent, unregistered, refused, no_device, unreadable, expired; null while it is to be sent.
    outcome TEXT,
    done_at_ms BIGINT,
    PRIMARY KEY (creditor, id)
);
CREATE INDEX delivery_by_due ON delivery (creditor, channel, due_at_ms) WHERE outcome IS NULL;

-- What is to be told. Rows of other kinds are not in it.
CREATE INDEX outbox_to_tell ON outbox (creditor, due_at_ms) WHERE kind = 'payment_done';
