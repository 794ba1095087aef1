-- What the kitchen is told of a child, as the office wrote it; null where nothing was said.
ALTER TABLE child ADD COLUMN diet TEXT;

-- Who made a pay link, so that they see and revoke it. What its token is made of, with the server's key: the letter's id, or drawn. Null for
-- links older than this.
ALTER TABLE pay_link ADD COLUMN id UUID;
ALTER TABLE pay_link ADD COLUMN guardian UUID;
-- letter, page
ALTER TABLE pay_link ADD COLUMN made_by TEXT;
CREATE INDEX pay_link_by_notice ON pay_link (creditor, notice, guardian);
