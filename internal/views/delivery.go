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
	OrderNo          string     `json:"order_no" doc:"As Apple says, else as we know it"`
	AssetTag         string     `json:"asset_tag"`
	Name             string     `json:"name"`
	AssetState       string     `json:"asset_state"`
	OtherDelivery    string     `json:"other_delivery,omitempty" doc:"It is said to have come with this one too"`
	Unasked          bool       `json:"unasked,omitempty" doc:"Apple has it under this delivery's order number; neither file nor scanner know it"`
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
	Elsewhere int `json:"elsewhere" doc:"Said to have come with another delivery too"`
	Unasked   int `json:"unasked" doc:"At Apple under this order number only"`
}

// compareSQL: the serial numbers are those that a side of the delivery names,
// those of its devices, and those that Apple has under its order number and no
// other delivery holds.
const compareSQL = `
	SELECT z.serial, l.listed_at, l.scanned_at, a.serial IS NOT NULL AS at_apple, ` + appleStatus + ` = 'confirmed' AS confirmed,
		COALESCE(NULLIF(a.order_no, ''), d.order_no, '') AS order_no,
		COALESCE(d.asset_tag, '') AS asset_tag, COALESCE(d.name, '') AS name, COALESCE(d.asset_state, '') AS asset_state,
		l.serial IS NULL AND COALESCE(d.delivery_id, '') <> v.id AS unasked,
		COALESCE((SELECT MIN(f.code) FROM deliveries f WHERE f.tenant_id = v.tenant_id AND f.id <> v.id AND (f.id = d.delivery_id
			OR EXISTS (SELECT 1 FROM delivery_serials o WHERE o.delivery_id = f.id AND o.serial = z.serial))), '') AS other
	FROM deliveries v
	JOIN (SELECT s.delivery_id, s.serial FROM delivery_serials s WHERE s.delivery_id = ?
		UNION SELECT g.delivery_id, g.serial FROM devices g WHERE g.delivery_id = ?
		UNION SELECT f.id, h.serial FROM deliveries f JOIN ade_devices h ON h.tenant_id = f.tenant_id AND h.order_no = f.order_no AND h.removed_at IS NULL
			JOIN devices g ON g.serial = h.serial AND g.tenant_id = f.tenant_id AND g.delivery_id IS NULL
			WHERE f.id = ? AND f.order_no <> '') z ON z.delivery_id = v.id
	LEFT JOIN delivery_serials l ON l.delivery_id = v.id AND l.serial = z.serial
	LEFT JOIN devices d ON d.serial = z.serial AND d.tenant_id = v.tenant_id` + appleJoin + `
	WHERE v.id = ? ORDER BY z.serial`

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
			OrderNo   string     `db:"order_no"`
			Tag       string     `db:"asset_tag"`
			Name      string     `db:"name"`
			State     string     `db:"asset_state"`
			Other     string     `db:"other"`
			Unasked   bool       `db:"unasked"`
		}
		if err := q.Select(ctx, &rows, compareSQL, deliveryID, deliveryID, deliveryID, deliveryID); err != nil {
			return err
		}
		for _, row := range rows {
			c := Compared{
				Serial: row.Serial, ListedAt: when(row.ListedAt), AtApple: row.AtApple, ProfileConfirmed: row.Confirmed, ScannedAt: when(row.ScannedAt),
				AssetTag: row.Tag, Name: row.Name, AssetState: row.State, OtherDelivery: row.Other,
				OrderNo: row.OrderNo, Unasked: row.Unasked, Missing: []string{},
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
	if c.OtherDelivery != "" {
		t.Elsewhere++
	}
	if c.Unasked {
		t.Unasked++
	}
}
