-- +goose Up
-- In-house apps: their .ipa files are here.
ALTER TABLE apps ADD COLUMN version BIGINT NOT NULL DEFAULT 1;   -- the one tablets should have; of the App Store: always 1

CREATE TABLE app_versions (
    app_id         TEXT   NOT NULL REFERENCES apps (id),
    version        BIGINT NOT NULL,
    upload_id      TEXT   NOT NULL,              -- whose chunks are the file
    sha256         TEXT   NOT NULL,              -- hex, of the file
    size           BIGINT NOT NULL,              -- bytes
    short_version  TEXT   NOT NULL,              -- CFBundleShortVersionString
    bundle_version TEXT   NOT NULL,              -- CFBundleVersion; with short_version: how a tablet's list tells versions apart
    minimum_os     TEXT   NOT NULL DEFAULT '',
    title          TEXT   NOT NULL,
    traits         TEXT   NOT NULL,              -- JSON: what planning must know
    created_by     TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (app_id, version)
);

-- Chunks that no version holds: of an upload under way, or to be deleted.
CREATE TABLE app_uploads (
    id         TEXT    NOT NULL PRIMARY KEY,
    touched_at BIGINT  NOT NULL,
    dropped    BOOLEAN NOT NULL DEFAULT FALSE    -- its chunks are being deleted, and it takes no more
);

CREATE TABLE app_chunks (
    upload_id TEXT   NOT NULL,
    n         BIGINT NOT NULL,                   -- from 0; each but the last is 1 MiB
    sha256    TEXT   NOT NULL,                   -- hex, of the chunk: iPads check it by it
    content   BYTEA  NOT NULL,
    PRIMARY KEY (upload_id, n)
);

-- +goose Down
DROP TABLE app_chunks;
DROP TABLE app_uploads;
DROP TABLE app_versions;
ALTER TABLE apps DROP COLUMN version;
