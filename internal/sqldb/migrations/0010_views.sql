-- +goose Up
-- Erases that are open or uncertain: a tablet's state in every list is derived
-- from them. Few rows at any time.
CREATE INDEX commands_erase ON commands (enrollment_id, generation) WHERE once AND state IN ('queued', 'sent', 'deferred', 'uncertain');
-- The list of commands, newest first, of one state.
CREATE INDEX commands_state ON commands (state, id);
-- Remembered answers are forgotten by age.
CREATE INDEX idempotency_created ON idempotency (created_at);

-- +goose Down
DROP INDEX idempotency_created;
DROP INDEX commands_state;
DROP INDEX commands_erase;
