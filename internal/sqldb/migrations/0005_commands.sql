-- +goose Up
-- One row is one command for one tablet. All of this is written by package
-- internal/commands only.
CREATE TABLE commands (
    id            TEXT    NOT NULL PRIMARY KEY,  -- CommandUUID on the wire
    enrollment_id TEXT    NOT NULL,
    generation    BIGINT  NOT NULL,              -- never reaches a later life of the tablet
    kind          TEXT    NOT NULL,              -- ours: "profile.install"
    request_type  TEXT    NOT NULL,              -- Apple's: "InstallProfile"
    dedupe_key    TEXT    NOT NULL,              -- same key, same effect
    lane          BIGINT  NOT NULL,              -- 0 urgent, 1 normal
    once          BOOLEAN NOT NULL,              -- handed out at most once: erase
    origin        TEXT    NOT NULL,              -- who asked
    item          TEXT    NOT NULL DEFAULT '',   -- what it is about: "profile:ID:VERSION"
    args          BYTEA,
    state         TEXT    NOT NULL CHECK (state IN ('queued', 'sent', 'deferred', 'done', 'failed', 'dropped', 'superseded', 'expired', 'uncertain', 'unreadable')),
    attempts      BIGINT  NOT NULL DEFAULT 0,
    not_before    BIGINT  NOT NULL,
    deadline      BIGINT,
    created_at    BIGINT  NOT NULL,
    sent_at       BIGINT,
    answered_at   BIGINT,
    finished_at   BIGINT,
    status        TEXT    NOT NULL DEFAULT '',   -- the tablet's last word
    reason        TEXT    NOT NULL DEFAULT '',   -- why it waits, failed or was taken back
    errors        TEXT    NOT NULL DEFAULT ''    -- JSON, Apple's error chain
);
-- At most one open command a tablet and key: a stuck reconciler cannot pile up
-- two thousand copies of the same profile.
CREATE UNIQUE INDEX commands_open_key ON commands (enrollment_id, dedupe_key) WHERE state IN ('queued', 'sent', 'deferred');
-- The next command of a tablet; finished ones are not in it.
CREATE INDEX commands_open ON commands (enrollment_id, lane, not_before, id) WHERE state IN ('queued', 'sent', 'deferred');
CREATE INDEX commands_history ON commands (enrollment_id, id);
CREATE INDEX commands_deadline ON commands (deadline) WHERE state IN ('queued', 'sent', 'deferred') AND deadline IS NOT NULL;
CREATE INDEX commands_uncertain ON commands (sent_at) WHERE state = 'sent' AND once;
CREATE INDEX commands_finished ON commands (finished_at) WHERE finished_at IS NOT NULL;

-- What tablets answered, as it came. command_id may name no command of ours.
CREATE TABLE answers (
    id            TEXT   NOT NULL PRIMARY KEY,
    enrollment_id TEXT   NOT NULL,
    generation    BIGINT NOT NULL,
    command_id    TEXT   NOT NULL,
    status        TEXT   NOT NULL,
    note          TEXT   NOT NULL DEFAULT '',    -- "unknown", "repeated", "late", "early", "unreadable"
    body          BYTEA  NOT NULL,
    at            BIGINT NOT NULL
);
CREATE INDEX answers_command ON answers (command_id);
CREATE INDEX answers_at ON answers (at);
-- How much one tablet has said already.
CREATE INDEX answers_enrollment ON answers (enrollment_id);

-- Where a tablet is woken, and when next.
CREATE TABLE push_targets (
    enrollment_id TEXT   NOT NULL PRIMARY KEY,
    token         BYTEA  NOT NULL,
    magic_sealed  BYTEA  NOT NULL,
    topic         TEXT   NOT NULL,
    due_at        BIGINT,                        -- NULL: nothing to say
    lease_until   BIGINT,
    attempts      BIGINT NOT NULL DEFAULT 0,
    pushed_at     BIGINT,
    last_error    TEXT   NOT NULL DEFAULT '',
    refused_at    BIGINT,                        -- APNs said for good: gone, bad token
    updated_at    BIGINT NOT NULL
);
CREATE INDEX push_targets_due ON push_targets (due_at) WHERE due_at IS NOT NULL AND refused_at IS NULL;
CREATE INDEX push_targets_token ON push_targets (token);

-- +goose Down
DROP TABLE push_targets;
DROP TABLE answers;
DROP TABLE commands;
