-- PostgreSQL counts its rows by itself (autovacuum); this step is SQLite's.
SELECT 1;
