-- +goose Up
-- The world of schools, and the tablet as a thing in it: whose, where, what it
-- is called. Whether it is managed is told by enrollments. Written by package
-- internal/schools only. In other tables tenant_id '' means the provider's own,
-- which every tenant may use.

-- Who owns tablets and answers for them: a municipality, a diocese.
CREATE TABLE tenants (
    id         TEXT   NOT NULL PRIMARY KEY,
    code       TEXT   NOT NULL UNIQUE,      -- what people type: "musterdorf"
    name       TEXT   NOT NULL,
    legal      TEXT   NOT NULL DEFAULT 'gdpr' CHECK (legal IN ('gdpr', 'kdg', 'dsg-ekd')),
    tag_prefix TEXT   NOT NULL DEFAULT 'RV',-- of its asset tags
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE schools (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL REFERENCES tenants (id),
    code       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, code)
);
CREATE TABLE sites (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL REFERENCES tenants (id),
    school_id  TEXT   NOT NULL REFERENCES schools (id),
    code       TEXT   NOT NULL,             -- first part of device names: "SAT"
    name       TEXT   NOT NULL,
    address    TEXT   NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, code)
);
CREATE INDEX sites_school ON sites (school_id);
CREATE TABLE rooms (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL REFERENCES tenants (id),
    site_id    TEXT   NOT NULL REFERENCES sites (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (site_id, name)
);
CREATE TABLE classes (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant_id   TEXT   NOT NULL REFERENCES tenants (id),
    school_id   TEXT   NOT NULL REFERENCES schools (id),
    name        TEXT   NOT NULL,            -- "3b"
    school_year TEXT   NOT NULL,            -- "2026/27": 1 August to 31 July
    created_at  BIGINT NOT NULL,
    UNIQUE (school_id, school_year, name)
);
CREATE TABLE carts (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL REFERENCES tenants (id),
    site_id    TEXT   NOT NULL REFERENCES sites (id),
    room_id    TEXT   REFERENCES rooms (id),
    code       TEXT   NOT NULL,             -- second part of device names: "K03"
    label      TEXT   NOT NULL DEFAULT '',
    slots      BIGINT NOT NULL CHECK (slots BETWEEN 1 AND 100),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (site_id, code)
);
-- Which classes use a cart.
CREATE TABLE cart_classes (
    cart_id  TEXT NOT NULL REFERENCES carts (id),
    class_id TEXT NOT NULL REFERENCES classes (id),
    PRIMARY KEY (cart_id, class_id)
);
CREATE TABLE deliveries (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant_id     TEXT   NOT NULL REFERENCES tenants (id),
    code          TEXT   NOT NULL,          -- "L-2026-01"
    expected      BIGINT NOT NULL,          -- how many were ordered
    state         TEXT   NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'cancelled')),
    site_id       TEXT   REFERENCES sites (id),
    order_no      TEXT   NOT NULL DEFAULT '',
    supplier      TEXT   NOT NULL DEFAULT '',
    funding       TEXT   NOT NULL DEFAULT '',
    binding_until TEXT   NOT NULL DEFAULT '',  -- "2030-07-31"
    note          TEXT   NOT NULL DEFAULT '',
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (tenant_id, code)
);

CREATE TABLE devices (
    id             TEXT   NOT NULL PRIMARY KEY,
    tenant_id      TEXT   NOT NULL REFERENCES tenants (id),
    serial         TEXT   NOT NULL UNIQUE,    -- belongs to one tenant at a time
    asset_tag      TEXT   UNIQUE,
    name           TEXT   NOT NULL DEFAULT '',-- the name we want it to have; never a person's
    model          TEXT   NOT NULL DEFAULT '',-- Apple's identifier: "iPad13,18", or the words of a file
    asset_state    TEXT   NOT NULL DEFAULT 'inventoried' CHECK (asset_state IN ('ordered', 'cancelled', 'delivered', 'complaint',
        'inventoried', 'ready', 'in_use', 'in_inspection', 'defective', 'in_repair', 'replaced', 'missing', 'stolen', 'written_off',
        'retired', 'disposed', 'handed_over')),
    state_at       BIGINT NOT NULL DEFAULT 0, -- since when
    delivery_id    TEXT   REFERENCES deliveries (id),
    site_id        TEXT   REFERENCES sites (id),
    room_id        TEXT   REFERENCES rooms (id),
    cart_id        TEXT   REFERENCES carts (id),
    slot           BIGINT,
    class_id       TEXT   REFERENCES classes (id),
    capacity       TEXT   NOT NULL DEFAULT '',-- "128 GB"
    color          TEXT   NOT NULL DEFAULT '',
    part_no        TEXT   NOT NULL DEFAULT '',
    order_no       TEXT   NOT NULL DEFAULT '',
    delivery_note  TEXT   NOT NULL DEFAULT '',
    box            TEXT   NOT NULL DEFAULT '',
    bought_on      TEXT   NOT NULL DEFAULT '',-- dates as "2026-09-01"
    price_cents    BIGINT,                    -- net, euro
    funding        TEXT   NOT NULL DEFAULT '',
    binding_until  TEXT   NOT NULL DEFAULT '',
    warranty_until TEXT   NOT NULL DEFAULT '',
    loan_type      TEXT   NOT NULL DEFAULT '',
    pseudonym      TEXT   NOT NULL DEFAULT '',-- never a name
    note           TEXT   NOT NULL DEFAULT '',
    replaced_by    TEXT   REFERENCES devices (id),
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX devices_name ON devices (name);
CREATE INDEX devices_tenant ON devices (tenant_id, serial);
CREATE INDEX devices_delivery ON devices (delivery_id, serial) WHERE delivery_id IS NOT NULL;
CREATE INDEX devices_site ON devices (site_id) WHERE site_id IS NOT NULL;
CREATE INDEX devices_class ON devices (class_id) WHERE class_id IS NOT NULL;
CREATE INDEX devices_cart ON devices (cart_id) WHERE cart_id IS NOT NULL;
-- Two tablets never share a slot.
CREATE UNIQUE INDEX devices_slot ON devices (cart_id, slot) WHERE cart_id IS NOT NULL AND slot IS NOT NULL;

-- What a delivery is said to hold, by each side that says so. Apple's side is
-- told by ade_devices.
CREATE TABLE delivery_serials (
    delivery_id TEXT   NOT NULL REFERENCES deliveries (id),
    serial      TEXT   NOT NULL,
    listed_at   BIGINT,                       -- in the reseller's file
    scanned_at  BIGINT,                       -- held in hand
    PRIMARY KEY (delivery_id, serial)
);
CREATE INDEX delivery_serials_serial ON delivery_serials (serial);
-- What a scanner did, to be undone.
CREATE TABLE scans (
    id          TEXT   NOT NULL PRIMARY KEY,
    delivery_id TEXT   NOT NULL REFERENCES deliveries (id),
    device_id   TEXT   NOT NULL REFERENCES devices (id),
    before      TEXT   NOT NULL,              -- JSON: what the scan changed, as it was
    by_actor    TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    undone_at   BIGINT
);
CREATE INDEX scans_delivery ON scans (delivery_id, id);
CREATE INDEX scans_device ON scans (device_id, id);
CREATE TABLE pack_checks (
    id       TEXT   NOT NULL PRIMARY KEY,
    cart_id  TEXT   NOT NULL REFERENCES carts (id),
    result   TEXT   NOT NULL,                 -- JSON: present, missing, unexpected serial numbers
    complete BOOLEAN NOT NULL,
    by_actor TEXT   NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX pack_checks_cart ON pack_checks (cart_id, id);
-- The next number of asset tags, by prefix and year.
CREATE TABLE tag_numbers (
    prefix TEXT   NOT NULL,
    year   BIGINT NOT NULL,
    next   BIGINT NOT NULL,
    PRIMARY KEY (prefix, year)
);
-- Files that were taken in, with what undoes them.
CREATE TABLE imports (
    id        TEXT   NOT NULL PRIMARY KEY,
    tenant_id TEXT   NOT NULL REFERENCES tenants (id),
    by_actor  TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    changed   BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    undo      BYTEA  NOT NULL,                -- gzip of JSON: what each changed device was before
    undone_at BIGINT
);
-- Which column of a sender's file is which of ours.
CREATE TABLE import_mappings (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',
    name       TEXT   NOT NULL,
    columns    TEXT   NOT NULL,               -- JSON: their header -> our column
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

CREATE TABLE device_groups (
    id         TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL DEFAULT '',
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
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
DROP TABLE import_mappings;
DROP TABLE imports;
DROP TABLE tag_numbers;
DROP TABLE pack_checks;
DROP TABLE scans;
DROP TABLE delivery_serials;
DROP TABLE devices;
DROP TABLE deliveries;
DROP TABLE cart_classes;
DROP TABLE carts;
DROP TABLE classes;
DROP TABLE rooms;
DROP TABLE sites;
DROP TABLE schools;
DROP TABLE tenants;
