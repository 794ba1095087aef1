-- What the office tells everybody (news, events, documents, questions, help), and what parents write to it.

CREATE TABLE content (
    creditor TEXT NOT NULL REFERENCES creditor (fiscal_code),
    -- Its maker's: lower-case letters, digits, hyphens. The same id again takes its place.
    id TEXT NOT NULL,
    -- news, event, file, question, help
    kind TEXT NOT NULL,
    -- Of news the day it appears, of an event its day; ISO date.
    day TEXT,
    -- The last day that news is shown.
    until_day TEXT,
    -- Of an event: 17:30
    hour TEXT,
    -- Of a document: the year it begins in.
    school_year INTEGER,
    -- Where it stands among others of its kind.
    place INTEGER NOT NULL,
    -- Of all that it says: whether the same came again.
    digest BLOB NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, id)
) STRICT;
CREATE INDEX content_by_day ON content (creditor, kind, day, id);

-- In Italian always, in other languages where somebody wrote it.
CREATE TABLE content_text (
    creditor TEXT NOT NULL,
    content TEXT NOT NULL,
    -- it, en, de
    language TEXT NOT NULL,
    title TEXT NOT NULL,
    -- Plain; how it is shown, the reader decides.
    body TEXT NOT NULL,
    -- Of an event where it is, of a question its group.
    extra TEXT NOT NULL,
    PRIMARY KEY (creditor, content, language),
    FOREIGN KEY (creditor, content) REFERENCES content (creditor, id)
) STRICT;

CREATE TABLE content_file (
    creditor TEXT NOT NULL,
    content TEXT NOT NULL,
    -- What it is called where it is downloaded.
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (creditor, content),
    FOREIGN KEY (creditor, content) REFERENCES content (creditor, id)
) STRICT;

-- What a guardian wrote. What it says, and what it is about, is sealed: it may tell of a child's health.
CREATE TABLE message (
    creditor TEXT NOT NULL,
    -- Made with the form: the same form is one message.
    id BLOB NOT NULL,
    guardian BLOB NOT NULL,
    -- Whom it is about.
    child BLOB,
    -- sent, read, in_progress, answered, closed
    state TEXT NOT NULL,
    -- Keyed, of what it says.
    digest BLOB NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    -- The last answer, and when the guardian last saw the answers.
    answered_at_ms INTEGER,
    seen_at_ms INTEGER,
    PRIMARY KEY (creditor, id),
    FOREIGN KEY (creditor, guardian) REFERENCES guardian (creditor, id),
    FOREIGN KEY (creditor, child) REFERENCES child (creditor, id)
) STRICT;
CREATE INDEX message_by_guardian ON message (creditor, guardian, sent_at_ms, id);

-- What the office answered; none is ever changed.
CREATE TABLE message_answer (
    creditor TEXT NOT NULL,
    message BLOB NOT NULL,
    -- The office's act.
    id BLOB NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (creditor, message, id),
    FOREIGN KEY (creditor, message) REFERENCES message (creditor, id)
) STRICT;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('content', 'sqlite_autoindex_content_1', '400 200 1'),
    ('content', 'content_by_day', '400 200 50 2 1'),
    ('content_text', 'sqlite_autoindex_content_text_1', '800 400 2 1'),
    ('content_file', 'sqlite_autoindex_content_file_1', '100 50 1'),
    ('message', 'sqlite_autoindex_message_1', '10000 5000 1'),
    ('message', 'message_by_guardian', '10000 5000 5 1 1'),
    ('message_answer', 'sqlite_autoindex_message_answer_1', '10000 5000 2 1');
ANALYZE sqlite_schema;
