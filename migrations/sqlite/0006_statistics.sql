-- How many rows a municipality has, in all and for each part of a key. Where nobody has counted them, SQLite takes every
-- part of a key to narrow a search alike, though all rows of a table may be one creditor's: it then looks for a guardian's
-- last movements by reading the whole journal. `ANALYZE` would count what is there, which at first is nothing; here it
-- only makes the table. Whoever adds an index adds its row.

ANALYZE activation_code;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('station', 'sqlite_autoindex_station_1', '2 1'),
    ('creditor', 'sqlite_autoindex_creditor_1', '2 1'),
    ('activation_code', 'sqlite_autoindex_activation_code_1', '2 1'),
    ('guardian', 'sqlite_autoindex_guardian_1', '4000 2000 1'),
    ('guardian', 'sqlite_autoindex_guardian_2', '4000 2000 1'),
    ('child', 'sqlite_autoindex_child_1', '5000 2500 1'),
    ('guardian_child', 'sqlite_autoindex_guardian_child_1', '8000 4000 2 1'),
    ('guardian_child', 'guardian_child_by_child', '8000 4000 2 1'),
    ('service', 'sqlite_autoindex_service_1', '20 10 1'),
    ('enrolment', 'sqlite_autoindex_enrolment_1', '20000 10000 1'),
    ('enrolment', 'sqlite_autoindex_enrolment_2', '20000 10000 4 2 1'),
    ('account', 'sqlite_autoindex_account_1', '60000 30000 15000 1'),
    ('wallet', 'sqlite_autoindex_wallet_1', '10000 5000 1'),
    ('wallet', 'sqlite_autoindex_wallet_2', '10000 5000 2 1'),
    ('journal_entry', 'sqlite_autoindex_journal_entry_1', '1000000 500000 1'),
    ('posting', 'sqlite_autoindex_posting_1', '2000000 1000000 2 1'),
    ('posting', 'sqlite_autoindex_posting_2', '2000000 1000000 500000 100 1'),
    ('bill', 'sqlite_autoindex_bill_1', '50000 25000 1'),
    ('bill', 'sqlite_autoindex_bill_2', '50000 25000 1'),
    ('bill', 'bill_by_guardian', '50000 25000 12'),
    ('bill_line', 'sqlite_autoindex_bill_line_1', '75000 37500 2 1'),
    ('bill_line', 'bill_line_by_child', '75000 37500 15 1'),
    ('cart', 'sqlite_autoindex_cart_1', '100000 50000 1'),
    ('notice', 'sqlite_autoindex_notice_1', '150000 75000 1'),
    ('notice', 'notice_by_wallet', '150000 75000 10 1'),
    ('notice', 'notice_by_bill', '150000 75000 2'),
    ('top_up', 'sqlite_autoindex_top_up_1', '100000 50000 1'),
    ('top_up', 'sqlite_autoindex_top_up_2', '100000 50000 1'),
    ('top_up', 'top_up_by_guardian', '100000 50000 25 1'),
    ('receipt', 'sqlite_autoindex_receipt_1', '150000 75000 75000 1'),
    ('kept_message', 'sqlite_autoindex_kept_message_1', '100 50 25 1'),
    ('session', 'sqlite_autoindex_session_1', '8000 4000 1'),
    ('session', 'session_by_guardian', '8000 4000 2'),
    ('sign_in_failure', 'sqlite_autoindex_sign_in_failure_1', '1000 500 1'),
    ('feed', 'sqlite_autoindex_feed_1', '400000 200000 100 1'),
    ('outbox', 'sqlite_autoindex_outbox_1', '1000 500 1');
ANALYZE sqlite_schema;
