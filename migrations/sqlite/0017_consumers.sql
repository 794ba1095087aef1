-- What the kitchen is told of a child, as the office wrote it; null where nothing was said.
ALTER TABLE child ADD COLUMN diet TEXT;

-- Who made a pay link, so that they see and revoke it. What its token is made of, with the server's key: the letter's id, or drawn. Null for
-- links older than this.
ALTER TABLE pay_link ADD COLUMN id BLOB;
ALTER TABLE pay_link ADD COLUMN guardian BLOB;
-- letter, page
ALTER TABLE pay_link ADD COLUMN made_by TEXT;
CREATE INDEX pay_link_by_notice ON pay_link (creditor, notice, guardian);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('pay_link', 'pay_link_by_notice', '1000 500 2 2');
ANALYZE sqlite_schema;
