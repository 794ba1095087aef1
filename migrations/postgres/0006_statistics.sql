-- PostgreSQL counts its rows by itself (autovacuum); what SQLite is told here, it needs not be told.

-- A change is written for guardians whose row the same transaction has just moved: checking that they exist would lock each
-- of these rows a second time. Guardians are never deleted.
ALTER TABLE feed DROP CONSTRAINT feed_creditor_guardian_fkey;
