-- What a receipt writes, cut to what is needed.

-- Its updates of a notice, an account and the guardians' counters: without `state` in an index and with room left on the
-- page, none of them writes to an index. What asks for open notices also asks for those not yet expired, which are the
-- few newest ones.
DROP INDEX notice_by_wallet;
CREATE INDEX notice_by_wallet ON notice (creditor, wallet, expires_at_ms);
ALTER TABLE notice SET (fillfactor = 85);
ALTER TABLE account SET (fillfactor = 85);
ALTER TABLE guardian SET (fillfactor = 85);

-- Every receipt of a creditor would share-lock that creditor's row three times. Creditors are never deleted, and a receipt
-- reaches its own through the account it moves and the notice it settles.
ALTER TABLE receipt DROP CONSTRAINT receipt_creditor_fkey;
ALTER TABLE journal_entry DROP CONSTRAINT journal_entry_creditor_fkey;
ALTER TABLE outbox DROP CONSTRAINT outbox_creditor_fkey;

-- Only accounts with a running balance are read by number.
ALTER TABLE posting DROP CONSTRAINT posting_creditor_account_kind_account_id_seq_key;
CREATE UNIQUE INDEX posting_by_account ON posting (creditor, account_kind, account_id, seq) WHERE seq IS NOT NULL;

-- Nobody reads it: what waits is little, and its ids are in the order of their making.
DROP INDEX outbox_by_due;

-- What is sealed cannot be compressed; PostgreSQL need not try.
ALTER TABLE receipt ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE kept_message ALTER COLUMN sealed SET STORAGE EXTERNAL;
