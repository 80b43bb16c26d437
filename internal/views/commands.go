package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ranzen/internal/fault"
	"ranzen/internal/sqldb"
)

// CommandFilter says which commands to list; empty fields do not matter.
type CommandFilter struct {
	Tenant string // id
	Device string // as Resolve takes it
	State  string // a state, or "open"
	Kind   string
}

func commandStates() []string {
	return []string{"open", "queued", "sent", "deferred", "done", "failed", "dropped", "superseded", "expired", "uncertain", "unreadable"}
}

// Commands lists the queue, newest first.
func (r *Room) Commands(ctx context.Context, f CommandFilter, p Page) (list []Command, next string, err error) {
	at, err := p.at("commands", 1)
	if err != nil {
		return nil, "", err
	}
	cond, args, id := " WHERE TRUE", []any{}, "k.id"
	switch f.State {
	case "", "done": // nearly all are done, and are met walking from the newest
	case "open", "queued", "sent", "deferred":
		// The term of the index of what is open. SQLite would rather walk through
		// what was done for months to have it in order.
		cond, id = cond+` AND k.state IN ('queued', 'sent', 'deferred')`, "k.id || ''"
	default:
		if !slices.Contains(commandStates(), f.State) {
			return nil, "", fault.New(fault.Invalid, "command.state", "There is no state %q. There are: %s.", f.State, strings.Join(commandStates(), ", ")).On("state")
		}
		cond += ` AND k.state NOT IN ('queued', 'sent', 'deferred', 'done')` // the index of what went wrong
	}
	if f.State != "" && f.State != "open" {
		cond, args = cond+` AND k.state = ?`, append(args, f.State)
	}
	if f.Kind != "" {
		cond, args = cond+` AND k.kind = ?`, append(args, f.Kind)
	}
	if at != nil {
		cond, args = cond+` AND `+id+` < ?`, append(args, at[0])
	}
	if f.Tenant != "" {
		cond, args = cond+` AND d.tenant_id = ?`, append(args, f.Tenant)
	}
	list = []Command{}
	err = r.db.Read(ctx, func(q sqldb.Queryer) error {
		if f.Device != "" {
			device, err := r.Resolve(ctx, q, f.Tenant, f.Device)
			if err != nil {
				return err
			}
			cond, args = cond+` AND k.enrollment_id IN (SELECT x.id FROM enrollments x WHERE x.device_id = ?)`, append(args, device)
		}
		var rows []commandRow
		err := q.Select(ctx, &rows, commandColumns+cond+` ORDER BY `+id+` DESC LIMIT ?`, append(args, p.limit()+1)...)
		if err != nil {
			return fmt.Errorf("list commands: %w", err)
		}
		if len(rows) > p.limit() {
			rows = rows[:p.limit()]
			next = cursor("commands", rows[len(rows)-1].ID)
		}
		now := r.clk.Now()
		for _, row := range rows {
			c, err := row.command(now)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	return list, next, err
}

// Command shows one command to a tablet of a tenant's.
func (r *Room) Command(ctx context.Context, q sqldb.Queryer, tenantID, id string) (Command, error) {
	var row commandRow
	err := q.Get(ctx, &row, commandColumns+` WHERE k.id = ? AND (CAST(? AS TEXT) = '' OR d.tenant_id = ?)`, id, tenantID, tenantID)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Command{}, fault.New(fault.NotFound, "command.unknown", "There is no command %q: see `ranzen commands`.", id)
	}
	if err != nil {
		return Command{}, fmt.Errorf("show command: %w", err)
	}
	return row.command(r.clk.Now())
}
