-- +goose Up
-- All of this is written by package certs only. Keys are sealed with a key that
-- is outside the database.

-- root, intermediate, scep (RSA envelope pair), signer (profiles).
CREATE TABLE ca_keys (
    name       TEXT   NOT NULL PRIMARY KEY,
    cert_der   BYTEA  NOT NULL,
    key_sealed BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- Every certificate the CA issued. hash names it on the device path.
CREATE TABLE certificates (
    hash          TEXT    NOT NULL PRIMARY KEY,  -- hex SHA-256 of the DER
    serial        TEXT    NOT NULL UNIQUE,       -- decimal, as in the certificate
    kind          TEXT    NOT NULL,              -- "identity", "tls", "signer"
    enrollment_id TEXT,                          -- identity: whom the challenge was made for
    generation    BIGINT  NOT NULL DEFAULT 0,    -- the enrollment's life it belongs to, 0 before Authenticate
    purpose       TEXT    NOT NULL DEFAULT '',   -- "enroll", "renew": of the challenge
    link_id       TEXT,
    state         TEXT    NOT NULL CHECK (state IN ('issued', 'pinned', 'retired', 'revoked')),
    not_after     BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    pinned_at     BIGINT,
    ended_at      BIGINT,                        -- retired or revoked
    reason        TEXT    NOT NULL DEFAULT '',
    reason_code   BIGINT  NOT NULL DEFAULT 0,    -- RFC 5280, CRLReason
    der           BYTEA   NOT NULL
);
CREATE INDEX certificates_enrollment ON certificates (enrollment_id, state);
-- One identity at a time is the enrollment's.
CREATE UNIQUE INDEX certificates_pinned ON certificates (enrollment_id) WHERE state = 'pinned';
CREATE INDEX certificates_due ON certificates (not_after) WHERE state = 'pinned';
CREATE INDEX certificates_revoked ON certificates (ended_at) WHERE state = 'revoked';

-- One-time SCEP challenges, kept as hashes.
CREATE TABLE challenges (
    hash          TEXT   NOT NULL PRIMARY KEY,   -- hex SHA-256
    purpose       TEXT   NOT NULL CHECK (purpose IN ('enroll', 'renew')),
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
CREATE INDEX challenges_enrollment ON challenges (enrollment_id);
CREATE INDEX challenges_expires ON challenges (expires_at);

CREATE TABLE crl (
    id         TEXT   NOT NULL PRIMARY KEY,      -- "current"
    number     BIGINT NOT NULL,
    der        BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Certificates that were shown to us and refused, so that a tablet at the door
-- is seen by people.
CREATE TABLE refusals (
    reason        TEXT   NOT NULL,
    hash          TEXT   NOT NULL,               -- of the certificate, "" if there was none
    enrollment_id TEXT   NOT NULL DEFAULT '',
    count         BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    PRIMARY KEY (reason, hash)
);
CREATE INDEX refusals_last ON refusals (last_at);

-- The MDM push certificate, the placeholder topic before it, and a pending request.
CREATE TABLE push_certificates (
    id         TEXT   NOT NULL PRIMARY KEY,      -- "topic", "request", "current"
    topic      TEXT   NOT NULL DEFAULT '',
    version    BIGINT NOT NULL DEFAULT 0,        -- rises with each import
    cert_pem   BYTEA,
    key_sealed BYTEA,
    not_after  BIGINT,
    updated_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE push_certificates;
DROP TABLE refusals;
DROP TABLE crl;
DROP TABLE challenges;
DROP TABLE certificates;
DROP TABLE ca_keys;
