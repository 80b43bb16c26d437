-- +goose Up
-- Desired state with versions, rings and gates.

ALTER TABLE profiles ADD COLUMN draft BIGINT;                                   -- a version that waits to be published; profiles.version is 0 until one was
ALTER TABLE profile_versions ADD COLUMN published_at BIGINT;                    -- NULL: a draft
ALTER TABLE profile_versions ADD COLUMN identifier TEXT NOT NULL DEFAULT '';    -- top-level PayloadIdentifier of this version; '': the profile's
ALTER TABLE profile_versions ADD COLUMN traits TEXT NOT NULL DEFAULT '{}';       -- JSON: what planning must know of the content, no secret

ALTER TABLE apps ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE apps ADD COLUMN holds_data BOOLEAN NOT NULL DEFAULT FALSE;          -- removing it loses what a child made with it

ALTER TABLE assignments ADD COLUMN exclude BOOLEAN NOT NULL DEFAULT FALSE;      -- not for this scope, whatever else wishes it

-- Which values of variables a version is filled with; '' where it has none.
ALTER TABLE device_items ADD COLUMN desired_render TEXT NOT NULL DEFAULT '';
ALTER TABLE device_items ADD COLUMN sent_render TEXT NOT NULL DEFAULT '';
ALTER TABLE device_items ADD COLUMN observed_render TEXT NOT NULL DEFAULT '';
ALTER TABLE device_items ADD COLUMN beside BIGINT;                              -- an older version that stands beside under another identifier

-- A change that goes to some tablets before it goes to all.
CREATE TABLE rollouts (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',       -- who asked: '' the provider
    title      TEXT   NOT NULL,                  -- "wlan: version 3"
    state      TEXT   NOT NULL CHECK (state IN ('running', 'paused', 'halted', 'done', 'aborted')),
    reason     TEXT   NOT NULL DEFAULT '',       -- why it halted, in words
    ring       BIGINT NOT NULL,                  -- the one that is open: 0 canaries, 1 a tenth, 2 the rest
    ring_at    BIGINT NOT NULL,                  -- since when
    good_at    BIGINT,                           -- since when all of it is observed good; then it soaks
    soak       BIGINT NOT NULL,                  -- seconds
    undo       TEXT   NOT NULL DEFAULT '[]',     -- JSON: what takes it back, first to last
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX rollouts_open ON rollouts (state) WHERE state IN ('running', 'paused', 'halted');
CREATE TABLE rollout_devices (
    rollout_id    TEXT   NOT NULL REFERENCES rollouts (id),
    enrollment_id TEXT   NOT NULL,
    item_kind     TEXT   NOT NULL,
    item_id       TEXT   NOT NULL,
    ring          BIGINT NOT NULL,
    before        BIGINT,                        -- what is wished until its ring opens; NULL: nothing
    PRIMARY KEY (enrollment_id, item_kind, item_id, rollout_id)
);
CREATE INDEX rollout_devices_ring ON rollout_devices (rollout_id, ring, enrollment_id);

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
DROP TABLE rollout_devices;
DROP TABLE rollouts;
ALTER TABLE device_items DROP COLUMN beside;
ALTER TABLE device_items DROP COLUMN observed_render;
ALTER TABLE device_items DROP COLUMN sent_render;
ALTER TABLE device_items DROP COLUMN desired_render;
ALTER TABLE assignments DROP COLUMN exclude;
ALTER TABLE apps DROP COLUMN holds_data;
ALTER TABLE apps DROP COLUMN version;
ALTER TABLE profile_versions DROP COLUMN traits;
ALTER TABLE profile_versions DROP COLUMN identifier;
ALTER TABLE profile_versions DROP COLUMN published_at;
ALTER TABLE profiles DROP COLUMN draft;
