-- +goose Up
-- When a tablet was found to have undone an item, ms, the latest five within a
-- day, joined by commas: who undoes the same too often is left alone.
ALTER TABLE device_items ADD COLUMN undone TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE device_items DROP COLUMN undone;
