-- How a creditor's pages look: the colour of their head and buttons (#rrggbb, dark enough for white letters); and a mark of the logo that
-- they show, by which browsers know it again. Null where none is shown: there is none, or it weighs more than a page may.
ALTER TABLE letterhead ADD COLUMN colour TEXT;
ALTER TABLE letterhead ADD COLUMN logo_mark TEXT;
UPDATE letterhead SET logo_mark = 'first' WHERE logo IS NOT NULL AND LENGTH(logo) <= 65536;
