package profiles

import (
	"context"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/sqldb"
)

// Conflict is what fits badly together on a tablet.
type Conflict struct {
	Code      string         `json:"code"`
	Text      string         `json:"text"`
	Items     []string       `json:"items"`
	Effective map[string]any `json:"effective,omitempty" doc:"What iPadOS makes of it"`
	Devices   int            `json:"devices"`
}

func (r *Room) conflicts(context.Context, sqldb.Queryer, map[string]map[thing]wanted) ([]Conflict, error) {
	return []Conflict{}, nil
}

func (r *Room) unknownFacts(context.Context, sqldb.Queryer, look) ([]UnknownFact, error) {
	return []UnknownFact{}, nil
}

func (r *Room) beginRollout(context.Context, *sqldb.Tx, audit.Actor, string, string, []Change, []Op, time.Duration) (string, error) {
	return "", nil
}
