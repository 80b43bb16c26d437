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
ALTER TABLE device_groups ADD COLUMN rule TEXT NOT NULL DEFAULT '';             -- who is in it; '': who was put in
ALTER TABLE device_items ADD COLUMN desired_render TEXT NOT NULL DEFAULT '';    -- which values stand in it on this tablet; '': no variables
ALTER TABLE device_items ADD COLUMN sent_render TEXT NOT NULL DEFAULT '';
ALTER TABLE device_items ADD COLUMN observed_render TEXT NOT NULL DEFAULT '';

-- What people define to stand in profiles.
CREATE TABLE variables (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',       -- '': the provider's, for tenants that define none
    name       TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    updated_by TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- Certificates for networks: challenges of a third purpose.
CREATE TABLE challenges_new (
    hash          TEXT   NOT NULL PRIMARY KEY,   -- hex SHA-256
    purpose       TEXT   NOT NULL CHECK (purpose IN ('enroll', 'renew', 'network')),
    enrollment_id TEXT   NOT NULL,
    generation    BIGINT NOT NULL,
    link_id       TEXT,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    used_at       BIGINT,
    key_hash      TEXT,                          -- hex SHA-256 of the first CSR's public key: only it may ask again
    cert_hash     TEXT,                          -- what it yielded, and yields again
    voided_at     BIGINT
);
INSERT INTO challenges_new SELECT hash, purpose, enrollment_id, generation, link_id, created_at, expires_at, used_at, key_hash, cert_hash, voided_at FROM challenges;
DROP TABLE challenges;
ALTER TABLE challenges_new RENAME TO challenges;
CREATE INDEX challenges_enrollment ON challenges (enrollment_id);
CREATE INDEX challenges_expires ON challenges (expires_at);

-- Devices of which nobody knows whether a rule takes them in: they stay as they are.
CREATE TABLE group_unknown (
    group_id  TEXT NOT NULL REFERENCES device_groups (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    missing   TEXT NOT NULL,                     -- the fact that is missing
    PRIMARY KEY (group_id, device_id)
);

-- Secrets that files refer to by name.
CREATE TABLE secrets (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',
    name       TEXT   NOT NULL,
    sealed     BYTEA  NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- A change of wishes on its way through the fleet, ring by ring.
CREATE TABLE rollouts (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',       -- of who began it; '': the provider's
    title      TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('running', 'paused', 'halted', 'done', 'aborted')),
    ring       BIGINT NOT NULL,                  -- the open one: 0 canaries, 1 a tenth, 2 the rest
    soak       BIGINT NOT NULL,                  -- ms that a ring must have been good
    opened_at  BIGINT NOT NULL,
    checked_at BIGINT,                           -- when its tablets were asked to prove that they still speak
    reason     TEXT   NOT NULL DEFAULT '',       -- why it halted
    undo       TEXT   NOT NULL DEFAULT '[]',     -- JSON: what takes the change back
    sizes      TEXT   NOT NULL DEFAULT '[]',     -- JSON: tablets of each ring
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX rollouts_state ON rollouts (state);

-- Tablets of rollouts that have not ended: what was wished before, as long as
-- their ring is closed.
CREATE TABLE rollout_devices (
    rollout_id    TEXT    NOT NULL REFERENCES rollouts (id),
    enrollment_id TEXT    NOT NULL,
    item_kind     TEXT    NOT NULL,
    item_id       TEXT    NOT NULL,
    ring          BIGINT  NOT NULL,
    before        BIGINT,                        -- version; NULL: not wished
    target        BIGINT,
    accepted      BOOLEAN NOT NULL DEFAULT FALSE,-- a person went on in spite of it
    PRIMARY KEY (enrollment_id, item_kind, item_id)
);
CREATE INDEX rollout_devices_rollout ON rollout_devices (rollout_id, ring);
CREATE INDEX rollout_devices_item ON rollout_devices (item_kind, item_id);

-- +goose Down
DROP TABLE rollout_devices;
DROP TABLE rollouts;
DROP TABLE secrets;
DROP TABLE group_unknown;
DROP TABLE variables;
ALTER TABLE device_items DROP COLUMN observed_render;
ALTER TABLE device_items DROP COLUMN sent_render;
ALTER TABLE device_items DROP COLUMN desired_render;
ALTER TABLE device_groups DROP COLUMN rule;
ALTER TABLE device_items DROP COLUMN remove_by;
ALTER TABLE device_items DROP COLUMN remove_after;
ALTER TABLE assignments DROP COLUMN exclude;
ALTER TABLE apps DROP COLUMN holds_data;
ALTER TABLE profiles DROP COLUMN draft;
ALTER TABLE profile_versions DROP COLUMN published_by;
ALTER TABLE profile_versions DROP COLUMN published_at;
ALTER TABLE profile_versions DROP COLUMN traits;
