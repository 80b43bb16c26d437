-- +goose Up
-- The tablet under management. All of this is written by package enroll only.

CREATE TABLE links (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant_id   TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    code_hash   TEXT   NOT NULL UNIQUE,          -- hex SHA-256 of the code in the address
    code_sealed BYTEA  NOT NULL,                 -- to print the address again
    group_id    TEXT   REFERENCES device_groups (id),
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    max_uses    BIGINT NOT NULL DEFAULT 0,       -- enrollments, not fetches; 0 is any number
    uses        BIGINT NOT NULL DEFAULT 0,
    revoked_at  BIGINT
);

CREATE TABLE enrollments (
    id            TEXT    NOT NULL PRIMARY KEY,
    device_id     TEXT    NOT NULL REFERENCES devices (id),
    udid          TEXT    NOT NULL,
    generation    BIGINT  NOT NULL,              -- rises with each new life: erase, new enrollment
    state         TEXT    NOT NULL CHECK (state IN ('enrolling', 'enrolled', 'held', 'erased', 'unenrolled')),
    topic         TEXT    NOT NULL DEFAULT '',
    placeholder   BOOLEAN NOT NULL DEFAULT FALSE,-- enrolled before there was a push certificate: must enroll again
    link_id       TEXT,
    os_version    TEXT    NOT NULL DEFAULT '',
    build_version TEXT    NOT NULL DEFAULT '',
    model         TEXT    NOT NULL DEFAULT '',   -- "iPad13,18"
    supervised    BOOLEAN,                       -- NULL: not known yet
    lost_mode     BOOLEAN NOT NULL DEFAULT FALSE,-- as last observed or acknowledged
    lost_at       BIGINT,                        -- ordered lost, until it is found; outlives an erase
    lost_order    BYTEA,                         -- sealed: message and phone number for its screen
    lost_acknowledged_at BIGINT,                 -- the tablet said it did the last order
    lost_observed_at     BIGINT,                 -- the tablet told whether it is in Lost Mode
    awaiting      BOOLEAN NOT NULL DEFAULT FALSE,-- AwaitingConfiguration
    ade_profile_id  TEXT   NOT NULL DEFAULT '',  -- came by Automated Device Enrollment, with this profile
    release_by      TEXT   NOT NULL DEFAULT '',  -- who let it go before its baseline was there
    release_at      BIGINT,                      -- DeviceConfigured was ordered in this life
    released_at     BIGINT,                      -- and acknowledged
    unlock_token    BYTEA,                       -- sealed; a later TokenUpdate without it keeps it
    bootstrap_token BYTEA,                       -- sealed
    bypass_code     BYTEA,                       -- sealed
    return_wifi     BYTEA,                       -- sealed: the Wi-Fi profile of an ordered Return to Service
    renewal_at    BIGINT,                        -- a new identity was last offered
    inventory_at  BIGINT,                        -- it was last asked about itself
    unmanage_at   BIGINT,                        -- an administrator ordered the end: next contact is answered 403
    created_at    BIGINT  NOT NULL,
    enrolled_at   BIGINT,                        -- first TokenUpdate of this generation
    ended_at      BIGINT,
    updated_at    BIGINT  NOT NULL
);
CREATE INDEX enrollments_device ON enrollments (device_id);
CREATE INDEX enrollments_udid ON enrollments (udid);
CREATE UNIQUE INDEX enrollments_live_udid ON enrollments (udid) WHERE state IN ('enrolling', 'enrolled');
-- Those that wait in Setup Assistant.
CREATE INDEX enrollments_awaiting ON enrollments (id) WHERE awaiting AND state = 'enrolled';
-- One tablet, one live enrollment: a serial number is not managed twice.
CREATE UNIQUE INDEX enrollments_live ON enrollments (device_id) WHERE state IN ('enrolling', 'enrolled');
CREATE INDEX enrollments_inventory ON enrollments (inventory_at) WHERE state = 'enrolled';
CREATE INDEX enrollments_state ON enrollments (state, id);

-- Last contact, written in batches; may be late by a second.
CREATE TABLE contacts (
    enrollment_id TEXT   NOT NULL PRIMARY KEY,
    last_seen     BIGINT NOT NULL
);
CREATE INDEX contacts_seen ON contacts (last_seen);

-- What the tablet told us of itself, one row a kind of question.
CREATE TABLE inventory (
    enrollment_id TEXT   NOT NULL REFERENCES enrollments (id),
    kind          TEXT   NOT NULL,               -- "device.information", "device.security", "device.certificates"
    generation    BIGINT NOT NULL,
    body          TEXT   NOT NULL,               -- JSON
    observed_at   BIGINT NOT NULL,
    PRIMARY KEY (enrollment_id, kind)
);
CREATE INDEX inventory_age ON inventory (kind, observed_at);

-- Where a lost tablet was. Sealed; removed after 7 days.
CREATE TABLE locations (
    enrollment_id TEXT   NOT NULL REFERENCES enrollments (id),
    generation    BIGINT NOT NULL,
    body_sealed   BYTEA  NOT NULL,
    observed_at   BIGINT NOT NULL,
    PRIMARY KEY (enrollment_id)
);

-- +goose Down
DROP TABLE locations;
DROP TABLE inventory;
DROP TABLE contacts;
DROP TABLE enrollments;
DROP TABLE links;
