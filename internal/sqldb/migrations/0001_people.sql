-- +goose Up
-- Times are milliseconds since 1970 UTC everywhere. Every text runs unchanged on
-- SQLite and PostgreSQL: TEXT, BIGINT, BOOLEAN and text identifiers mean the
-- same to both; BYTEA has numeric affinity on SQLite, so only []byte is bound.

-- Who did what: append-only. Written by package internal/audit only. seq and
-- hash are NULL until the chaining loop has come by, seconds after the commit.
CREATE TABLE audit_events (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,              -- "user:NAME", "device:ID", "link:ID", "system"
    action  TEXT   NOT NULL,              -- "profile.assign"
    subject TEXT   NOT NULL,              -- "device:ID", "profile:ID", …
    detail  TEXT   NOT NULL,              -- JSON object, no secret and no person's name
    seq     BIGINT UNIQUE,
    hash    BYTEA
);
CREATE INDEX audit_events_subject ON audit_events (subject, id);
-- What still has to be chained.
CREATE INDEX audit_events_unchained ON audit_events (id) WHERE seq IS NULL;
-- The end of the chain, one row: or the last events could vanish unnoticed.
CREATE TABLE audit_head (
    name TEXT   NOT NULL PRIMARY KEY,     -- "head"
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL                  -- hex
);

-- Written by package internal/auth only.
CREATE TABLE users (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    role       TEXT   NOT NULL CHECK (role IN ('admin', 'viewer')),
    tenant_id  TEXT   NOT NULL DEFAULT '',  -- '': the provider's, who sees all tenants
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE TABLE tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    name       TEXT   NOT NULL,
    hash       TEXT   NOT NULL UNIQUE,    -- hex SHA-256 of the token; the token itself is kept nowhere
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at    BIGINT,                    -- last use, late by a minute
    revoked_at BIGINT
);

-- Answers to writes that carried an Idempotency-Key. Written by package server only.
CREATE TABLE idempotency (
    user_id    TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    request    TEXT   NOT NULL,           -- hex SHA-256 of method, path and body
    status     BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
-- One process at a time does a job that must not run twice. Written by package server only.
CREATE TABLE leases (
    name       TEXT   NOT NULL PRIMARY KEY,
    holder     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE idempotency;
DROP TABLE tokens;
DROP TABLE users;
DROP TABLE audit_head;
DROP TABLE audit_events;
