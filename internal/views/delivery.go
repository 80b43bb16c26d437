package views

import (
	"context"
	"fmt"
	"time"

	"ranzen/internal/sqldb"
)

// Compared is one serial number of a delivery, by the three who should know it.
type Compared struct {
	Serial           string     `json:"serial"`
	ListedAt         *time.Time `json:"listed_at" doc:"In the reseller's file"`
	AtApple          bool       `json:"at_apple" doc:"Apple assigns it to this server"`
	ProfileConfirmed bool       `json:"profile_confirmed" doc:"Apple has the enrollment profile that it shall get"`
	ScannedAt        *time.Time `json:"scanned_at" doc:"Held in hand"`
	AssetTag         string     `json:"asset_tag"`
	Name             string     `json:"name"`
	AssetState       string     `json:"asset_state"`
	OtherDelivery    string     `json:"other_delivery,omitempty" doc:"It is said to have come with this one too"`
	Missing          []string   `json:"missing" enum:"file,apple,scan" doc:"Which side does not know it"`
}

// Comparison is a delivery by its three sides.
type Comparison struct {
	Items  []Compared       `json:"items"`
	Totals ComparisonTotals `json:"totals"`
}

// ComparisonTotals are its numbers.
type ComparisonTotals struct {
	Expected  int `json:"expected" doc:"How many were ordered"`
	Serials   int `json:"serials" doc:"Known to any side"`
	Listed    int `json:"listed"`
	AtApple   int `json:"at_apple"`
	Confirmed int `json:"profile_confirmed"`
	Scanned   int `json:"scanned"`
	Complete  int `json:"complete" doc:"Known to all three"`
}

const compareSQL = `
	SELECT x.serial, l.listed_at, l.scanned_at, a.serial IS NOT NULL AS at_apple,
		COALESCE(a.profile_uuid <> '' AND a.profile_uuid = a.wanted_uuid, FALSE) AS confirmed,
		COALESCE(d.asset_tag, '') AS asset_tag, COALESCE(d.name, '') AS name, COALESCE(d.asset_state, '') AS asset_state,
		COALESCE((SELECT MIN(y.code) FROM delivery_serials o JOIN deliveries y ON y.id = o.delivery_id
			WHERE o.serial = x.serial AND o.delivery_id <> v.id AND y.tenant_id = v.tenant_id), '') AS other
	FROM deliveries v
	JOIN (SELECT s.serial FROM delivery_serials s WHERE s.delivery_id = ? UNION SELECT e.serial FROM devices e WHERE e.delivery_id = ?) x ON TRUE
	LEFT JOIN delivery_serials l ON l.delivery_id = v.id AND l.serial = x.serial
	LEFT JOIN devices d ON d.serial = x.serial AND d.tenant_id = v.tenant_id
	LEFT JOIN ade_devices a ON a.serial = x.serial AND a.tenant_id = v.tenant_id AND a.removed_at IS NULL
	WHERE v.id = ? ORDER BY x.serial`

// Compare lays the three sides of a delivery beside each other: the reseller's
// file, Apple, and what was scanned.
func (r *Room) Compare(ctx context.Context, deliveryID string) (Comparison, error) {
	out := Comparison{Items: []Compared{}}
	err := r.db.Read(ctx, func(q sqldb.Queryer) error {
		var rows []struct {
			Serial    string     `db:"serial"`
			ListedAt  sqldb.Time `db:"listed_at"`
			ScannedAt sqldb.Time `db:"scanned_at"`
			AtApple   bool       `db:"at_apple"`
			Confirmed bool       `db:"confirmed"`
			Tag       string     `db:"asset_tag"`
			Name      string     `db:"name"`
			State     string     `db:"asset_state"`
			Other     string     `db:"other"`
		}
		if err := q.Select(ctx, &rows, compareSQL, deliveryID, deliveryID, deliveryID); err != nil {
			return err
		}
		for _, row := range rows {
			if n := len(out.Items); n > 0 && out.Items[n-1].Serial == row.Serial {
				continue // two tokens claim it
			}
			c := Compared{
				Serial: row.Serial, ListedAt: when(row.ListedAt), AtApple: row.AtApple, ProfileConfirmed: row.Confirmed, ScannedAt: when(row.ScannedAt),
				AssetTag: row.Tag, Name: row.Name, AssetState: row.State, OtherDelivery: row.Other, Missing: []string{},
			}
			out.Totals.add(&c)
			out.Items = append(out.Items, c)
		}
		return q.Get(ctx, &out.Totals.Expected, `SELECT y.expected FROM deliveries y WHERE y.id = ?`, deliveryID)
	})
	if err != nil {
		return Comparison{}, fmt.Errorf("compare a delivery: %w", err)
	}
	return out, nil
}

func (t *ComparisonTotals) add(c *Compared) {
	t.Serials++
	for _, side := range []struct {
		name  string
		knows bool
		n     *int
	}{{"file", c.ListedAt != nil, &t.Listed}, {"apple", c.AtApple, &t.AtApple}, {"scan", c.ScannedAt != nil, &t.Scanned}} {
		if side.knows {
			*side.n++
		} else {
			c.Missing = append(c.Missing, side.name)
		}
	}
	if c.ProfileConfirmed {
		t.Confirmed++
	}
	if len(c.Missing) == 0 {
		t.Complete++
	}
}
