-- What a receipt writes, cut to what is needed.

-- Its update of the notice: without `state` in the index, that writes to no index. What asks for open notices also asks
-- for those not yet expired, which are the few newest ones.
DROP INDEX notice_by_wallet;
CREATE INDEX notice_by_wallet ON notice (creditor, wallet, expires_at_ms);

-- Nobody reads it: what waits is little, and its ids are in the order of their making.
DROP INDEX outbox_by_due;
