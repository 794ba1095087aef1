-- What the kitchen is told of a child, as the office wrote it; null where nothing was said.
ALTER TABLE child ADD COLUMN diet TEXT;
