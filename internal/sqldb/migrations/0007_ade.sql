-- +goose Up
-- Automated Device Enrollment.

-- Our key pairs for Apple School Manager, and the server tokens it encrypted to
-- them. One row is one MDM server there. Written by package certs only.
CREATE TABLE ade_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant_id    TEXT   NOT NULL REFERENCES tenants (id),
    name         TEXT   NOT NULL,             -- ours
    cert_der     BYTEA  NOT NULL,             -- to be uploaded there
    key_sealed   BYTEA  NOT NULL,
    token_sealed BYTEA,                       -- NULL: not imported yet
    version      BIGINT NOT NULL DEFAULT 0,   -- rises with each import
    server_uuid  TEXT   NOT NULL DEFAULT '',  -- pinned by the first import, as is the organization
    server_name  TEXT   NOT NULL DEFAULT '',
    org_id       TEXT   NOT NULL DEFAULT '',
    org_name     TEXT   NOT NULL DEFAULT '',
    expires_at   BIGINT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    removed_at   BIGINT,
    UNIQUE (tenant_id, name)
);
-- One server there is one row here, whoever's it is.
CREATE UNIQUE INDEX ade_tokens_server ON ade_tokens (server_uuid) WHERE server_uuid <> '' AND removed_at IS NULL;

-- The rest is written by package enroll only.

-- How far the list of a token is read.
CREATE TABLE ade_sync (
    token_id   TEXT   NOT NULL PRIMARY KEY REFERENCES ade_tokens (id),
    phase      TEXT   NOT NULL CHECK (phase IN ('fetch', 'sync')),
    cursor     TEXT   NOT NULL DEFAULT '',
    run        BIGINT NOT NULL DEFAULT 0,     -- counts full fetches that were begun
    run_at     BIGINT,                        -- the running full fetch began
    full_run   BIGINT NOT NULL DEFAULT 0,     -- the last full fetch that was complete
    full_at    BIGINT,                        -- when it was
    ok_at      BIGINT,                        -- Apple last answered well
    due_at     BIGINT NOT NULL,               -- next turn
    assign_at  BIGINT,                        -- no profile is defined or assigned before
    attempts   BIGINT NOT NULL DEFAULT 0,     -- turns that failed, one after the other
    problem    TEXT   NOT NULL DEFAULT '',    -- code of what is wrong: "ade.terms"
    problem_at BIGINT,                        -- since when
    missing    BIGINT NOT NULL DEFAULT 0      -- so many were not in the last full list: a person is asked
);

-- What Apple says of a serial number.
CREATE TABLE ade_devices (
    token_id      TEXT   NOT NULL REFERENCES ade_tokens (id),
    serial        TEXT   NOT NULL,
    tenant_id     TEXT   NOT NULL REFERENCES tenants (id),
    run           BIGINT NOT NULL,            -- the full fetch that last saw it
    model         TEXT   NOT NULL DEFAULT '',
    description   TEXT   NOT NULL DEFAULT '',
    color         TEXT   NOT NULL DEFAULT '',
    family        TEXT   NOT NULL DEFAULT '',
    order_no      TEXT   NOT NULL DEFAULT '',
    assigned_at   BIGINT,                     -- to our server, at Apple
    profile_uuid  TEXT   NOT NULL DEFAULT '', -- Apple's word
    profile_state TEXT   NOT NULL DEFAULT '', -- Apple's word: "empty", "assigned", "pushed", "removed"
    profile_at    BIGINT,                     -- since when, Apple's word
    op_at         BIGINT NOT NULL DEFAULT 0,  -- newest event of the serial that we know
    replacement   BOOLEAN NOT NULL DEFAULT FALSE, -- Apple says that it was exchanged for another, which is to be asked
    replaces      TEXT   NOT NULL DEFAULT '', -- serial number it was exchanged for, as far as Apple says
    wanted_uuid   TEXT   NOT NULL DEFAULT '', -- what we last asked Apple to assign
    result        TEXT   NOT NULL DEFAULT '', -- Apple's answer to that: "SUCCESS", "NOT_ACCESSIBLE", "FAILED", "THROTTLED"
    asked_at      BIGINT,
    retry_at      BIGINT,
    attempts      BIGINT NOT NULL DEFAULT 0,
    first_at      BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL,
    removed_at    BIGINT,                     -- Apple said deleted, or a person believed that it is missing
    PRIMARY KEY (token_id, serial)
);
CREATE INDEX ade_devices_serial ON ade_devices (serial);
CREATE INDEX ade_devices_tenant ON ade_devices (tenant_id, serial);

-- Enrollment profiles as people want them. Apple's are immutable: each change is
-- a new one there.
CREATE TABLE ade_profiles (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant_id     TEXT   NOT NULL DEFAULT '',
    name          TEXT   NOT NULL,
    definition    TEXT   NOT NULL,            -- JSON, Apple's keys
    hash          TEXT   NOT NULL,            -- hex SHA-256 of what is sent
    baseline      TEXT   NOT NULL DEFAULT '[]',-- JSON: names of profiles and apps that must be observed before release
    min_os        TEXT   NOT NULL DEFAULT '', -- older iPads update themselves first
    release_after BIGINT NOT NULL DEFAULT 1800,-- seconds after which a person may release without the baseline
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    removed_at    BIGINT,
    UNIQUE (tenant_id, name)
);
CREATE TABLE ade_profile_uuids (
    profile_id TEXT   NOT NULL REFERENCES ade_profiles (id),
    token_id   TEXT   NOT NULL REFERENCES ade_tokens (id),
    hash       TEXT   NOT NULL,
    uuid       TEXT   NOT NULL DEFAULT '',    -- Apple's; '': not defined, or forgotten there
    defined_at BIGINT,
    problem    TEXT   NOT NULL DEFAULT '',    -- Apple's word why it cannot be defined: "FLAGS_INVALID"
    attempts   BIGINT NOT NULL DEFAULT 0,
    retry_at   BIGINT,
    PRIMARY KEY (profile_id, token_id, hash)
);
CREATE INDEX ade_profile_uuids_uuid ON ade_profile_uuids (uuid);
-- Which profile a device gets: its delivery's, else its site's, else its tenant's.
CREATE TABLE ade_wishes (
    scope_kind TEXT   NOT NULL CHECK (scope_kind IN ('tenant', 'site', 'delivery')),
    scope_id   TEXT   NOT NULL,
    profile_id TEXT   NOT NULL REFERENCES ade_profiles (id),
    by_actor   TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id)
);

-- iPads that asked for their enrollment profile. The row binds the identity that
-- is given out to the serial number it was given out for.
CREATE TABLE ade_visits (
    enrollment_id TEXT    NOT NULL PRIMARY KEY,
    device_id     TEXT    NOT NULL REFERENCES devices (id),
    profile_id    TEXT    NOT NULL REFERENCES ade_profiles (id),
    serial        TEXT    NOT NULL,
    udid          TEXT    NOT NULL,
    info_hash     TEXT    NOT NULL,           -- hex SHA-256 of the signed machine info
    product       TEXT    NOT NULL DEFAULT '',
    os_version    TEXT    NOT NULL DEFAULT '',
    asked_at      BIGINT  NOT NULL,
    arrived_at    BIGINT                      -- its Authenticate came
);
CREATE INDEX ade_visits_info ON ade_visits (info_hash);
CREATE INDEX ade_visits_device ON ade_visits (device_id, asked_at);

-- A second enrollment of a serial number that is alive elsewhere: a person decides.
CREATE TABLE holds (
    enrollment_id TEXT   NOT NULL PRIMARY KEY REFERENCES enrollments (id),
    other_id      TEXT   NOT NULL,            -- the enrollment that was there first
    device_id     TEXT   NOT NULL REFERENCES devices (id),
    reason        TEXT   NOT NULL,            -- "spoke-after", "seen-lately"
    opened_at     BIGINT NOT NULL,
    decision      TEXT   NOT NULL DEFAULT '' CHECK (decision IN ('', 'admitted', 'rejected')),
    decided_by    TEXT   NOT NULL DEFAULT '',
    decided_at    BIGINT
);
CREATE INDEX holds_open ON holds (opened_at) WHERE decided_at IS NULL;

-- +goose Down
DROP TABLE holds;
DROP TABLE ade_visits;
DROP TABLE ade_wishes;
DROP TABLE ade_profile_uuids;
DROP TABLE ade_profiles;
DROP TABLE ade_devices;
DROP TABLE ade_sync;
DROP TABLE ade_tokens;
