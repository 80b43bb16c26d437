-- +goose Up
-- Desired state that is looked at before it is made.

ALTER TABLE profile_versions ADD COLUMN traits TEXT NOT NULL DEFAULT '{}';      -- JSON: what planning must know of the content, no secret
ALTER TABLE profile_versions ADD COLUMN published_at BIGINT;                    -- when tablets were last to have it; NULL: never
ALTER TABLE profile_versions ADD COLUMN published_by TEXT NOT NULL DEFAULT '';
UPDATE profile_versions SET published_at = created_at, published_by = created_by;
ALTER TABLE profiles ADD COLUMN draft BIGINT NOT NULL DEFAULT 0;                -- version that waits to be published; version is 0 until one is
ALTER TABLE apps ADD COLUMN holds_data BOOLEAN NOT NULL DEFAULT FALSE;          -- removing it loses what a child made with it
ALTER TABLE assignments ADD COLUMN exclude BOOLEAN NOT NULL DEFAULT FALSE;      -- not for this scope, whatever else wishes it
ALTER TABLE device_items ADD COLUMN remove_after BIGINT;                        -- nobody wishes it, and a person confirmed that it goes with its data, then
ALTER TABLE device_items ADD COLUMN remove_by TEXT NOT NULL DEFAULT '';

-- Secrets that files refer to by name.
CREATE TABLE secrets (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',
    name       TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- +goose Down
DROP TABLE secrets;
ALTER TABLE device_items DROP COLUMN remove_by;
ALTER TABLE device_items DROP COLUMN remove_after;
ALTER TABLE assignments DROP COLUMN exclude;
ALTER TABLE apps DROP COLUMN holds_data;
ALTER TABLE profiles DROP COLUMN draft;
ALTER TABLE profile_versions DROP COLUMN published_by;
ALTER TABLE profile_versions DROP COLUMN published_at;
ALTER TABLE profile_versions DROP COLUMN traits;
