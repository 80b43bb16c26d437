-- +goose Up
-- state as the first column of an index drew SQLite away from the index of each
-- tablet's open commands wherever many tablets were named: it read all that is
-- open in the fleet. Lists of what went wrong need one, which what goes well is
-- never in; what is open has its own index, and what is done is found by walking.
DROP INDEX commands_state;
CREATE INDEX commands_wrong ON commands (state, id) WHERE state NOT IN ('queued', 'sent', 'deferred', 'done');
-- A tablet has few open commands: to sort them costs less than to keep them sorted.
DROP INDEX commands_open;

-- +goose Down
CREATE INDEX commands_open ON commands (enrollment_id, lane, not_before, id) WHERE state IN ('queued', 'sent', 'deferred');
DROP INDEX commands_wrong;
CREATE INDEX commands_state ON commands (state, id);
