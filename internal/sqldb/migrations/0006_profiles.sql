-- +goose Up
-- What tablets should have. All of this is written by package profiles only.
CREATE TABLE profiles (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',       -- '': the provider's, for all tenants
    name       TEXT   NOT NULL,
    identifier TEXT   NOT NULL,                  -- top-level PayloadIdentifier; the same one replaces on the tablet
    version    BIGINT NOT NULL,                  -- the one tablets should have
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE UNIQUE INDEX profiles_name ON profiles (tenant_id, name) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX profiles_identifier ON profiles (tenant_id, identifier) WHERE removed_at IS NULL;

CREATE TABLE profile_versions (
    profile_id   TEXT   NOT NULL REFERENCES profiles (id),
    version      BIGINT NOT NULL,
    payload_uuid TEXT   NOT NULL,                -- top-level PayloadUUID, new for each version: how a tablet's list tells versions apart
    summary      TEXT   NOT NULL,                -- JSON: payload types and display names, no secret
    content      BYTEA  NOT NULL,                -- sealed: may hold passwords
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (profile_id, version)
);
CREATE INDEX profile_versions_uuid ON profile_versions (payload_uuid);

CREATE TABLE apps (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',
    name       TEXT   NOT NULL,
    adam_id    TEXT   NOT NULL,                  -- App Store id
    bundle_id  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE UNIQUE INDEX apps_name ON apps (tenant_id, name) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX apps_bundle ON apps (tenant_id, bundle_id) WHERE removed_at IS NULL;

CREATE TABLE assignments (
    id         TEXT   NOT NULL PRIMARY KEY,
    item_kind  TEXT   NOT NULL CHECK (item_kind IN ('profile', 'app')),
    item_id    TEXT   NOT NULL,
    scope_kind TEXT   NOT NULL CHECK (scope_kind IN ('all', 'tenant', 'school', 'site', 'class', 'cart', 'group', 'device')),
    scope_id   TEXT   NOT NULL DEFAULT '',
    tenant_id  TEXT   NOT NULL DEFAULT '',       -- whose wish it is; '': the provider's
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX assignments_once ON assignments (item_kind, item_id, scope_kind, scope_id, tenant_id);
CREATE INDEX assignments_scope ON assignments (scope_kind, scope_id);

-- Tablets whose wish or state may have changed since they were last planned.
CREATE TABLE marks (
    enrollment_id TEXT   NOT NULL PRIMARY KEY,
    marked_at     BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    lease_until   BIGINT
);
CREATE INDEX marks_due ON marks (due_at);

-- One item on one tablet: desired, sent, acknowledged, observed.
CREATE TABLE device_items (
    enrollment_id    TEXT   NOT NULL,
    item_kind        TEXT   NOT NULL,
    item_id          TEXT   NOT NULL,
    generation       BIGINT NOT NULL,
    desired          BIGINT,                     -- version wished; NULL: shall go
    sent             BIGINT,                     -- version last handed over
    sent_at          BIGINT,
    acknowledged_at  BIGINT,
    observed         BIGINT,                     -- version seen in the tablet's own list; NULL: not there; 0: there, version unknown
    observed_at      BIGINT,                     -- when a list last told
    state            TEXT   NOT NULL,
    reason           TEXT   NOT NULL DEFAULT '',
    failures         BIGINT NOT NULL DEFAULT 0,
    retry_at         BIGINT,
    updated_at       BIGINT NOT NULL,
    PRIMARY KEY (enrollment_id, item_kind, item_id)
);
CREATE INDEX device_items_item ON device_items (item_kind, item_id, state);

-- The lists as the tablet gave them.
CREATE TABLE observations (
    enrollment_id TEXT   NOT NULL,
    kind          TEXT   NOT NULL,               -- "profile.list", "app.managed", "app.installed"
    generation    BIGINT NOT NULL,
    body          TEXT   NOT NULL,               -- JSON
    observed_at   BIGINT NOT NULL,
    PRIMARY KEY (enrollment_id, kind)
);
CREATE INDEX observations_age ON observations (kind, observed_at);

-- +goose Down
DROP TABLE observations;
DROP TABLE device_items;
DROP TABLE marks;
DROP TABLE assignments;
DROP TABLE apps;
DROP TABLE profile_versions;
DROP TABLE profiles;
