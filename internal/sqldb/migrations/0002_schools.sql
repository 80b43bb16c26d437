-- +goose Up
-- The tablet as a thing: whose, where, what it is called. Whether it is managed
-- is told by enrollments. Written by package internal/schools only.
CREATE TABLE devices (
    id         TEXT   NOT NULL PRIMARY KEY,
    serial     TEXT   NOT NULL UNIQUE,
    asset_tag  TEXT   UNIQUE,
    name       TEXT   NOT NULL DEFAULT '',  -- the name we want it to have; never a person's
    model      TEXT   NOT NULL DEFAULT '',  -- Apple's identifier: "iPad13,18"
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX devices_name ON devices (name);

CREATE TABLE device_groups (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE device_group_members (
    group_id  TEXT   NOT NULL REFERENCES device_groups (id),
    device_id TEXT   NOT NULL REFERENCES devices (id),
    added_at  BIGINT NOT NULL,
    PRIMARY KEY (group_id, device_id)
);
CREATE INDEX device_group_members_device ON device_group_members (device_id, group_id);

-- +goose Down
DROP TABLE device_group_members;
DROP TABLE device_groups;
DROP TABLE devices;
