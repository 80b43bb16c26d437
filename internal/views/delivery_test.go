package views_test

import (
	"slices"
	"testing"

	"ranzen/internal/sqldb"
	"ranzen/internal/sqldb/sqldbtest"
	"ranzen/internal/views"
)

func TestADeliveryIsComparedByItsThreeSides(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHall(t, db)
		h.delivery("l2", "L-2", "4711")
		listed := func(delivery, serial string, at, scanned any) {
			h.put("delivery_serials", row{"delivery_id": delivery, "serial": serial, "listed_at": at, "scanned_at": scanned})
		}
		h.device("ALL", row{"asset_tag": "RV-1", "asset_state": "inventoried"})
		h.apple("ALL", row{"order_no": "4711"})
		listed("l1", "ALL", 1, 2)
		h.device("NOAPPLE", nil) // pain: the reseller forgot to add it
		listed("l1", "NOAPPLE", 1, 2)
		h.device("NOBOX", nil)
		h.apple("NOBOX", row{"profile_uuid": ""})
		listed("l1", "NOBOX", 1, nil)
		h.device("NOFILE", nil)
		h.apple("NOFILE", nil)
		listed("l1", "NOFILE", nil, 2)
		listed("l1", "NOROW", 1, nil) // nobody made it a device yet
		h.device("MOVED", row{"delivery_id": "l2"})
		listed("l1", "MOVED", 1, 2)
		h.device("BOTH", nil)
		listed("l1", "BOTH", 1, nil)
		listed("l2", "BOTH", 1, nil)
		h.device("ORDERED", row{"delivery_id": nil}) // Apple knows of it by the order number, and nobody else does
		h.apple("ORDERED", row{"order_no": "4711"})
		h.device("TAKEN", row{"delivery_id": "l2"})
		h.apple("TAKEN", row{"order_no": "4711"})
		h.device("REMOVED", row{"delivery_id": nil})
		h.apple("REMOVED", row{"order_no": "4711", "removed_at": 9})
		// Another tenant's: a serial number in our file does not show it.
		h.put("tenants", row{"id": "t2", "code": "two", "name": "Two", "created_at": 0, "updated_at": 0})
		h.put("deliveries", row{"id": "l3", "tenant_id": "t2", "code": "L-3", "expected": 1, "order_no": "4711", "created_at": 0, "updated_at": 0})
		h.put("ade_tokens", row{"id": "tok3", "tenant_id": "t2", "name": "three", "cert_der": []byte{1}, "key_sealed": []byte{1}, "created_at": 0, "updated_at": 0})
		h.device("FOREIGN", row{"tenant_id": "t2", "delivery_id": "l3", "site_id": nil, "name": "secret", "asset_tag": "T2-1"})
		h.apple("FOREIGN", row{"token_id": "tok3", "tenant_id": "t2", "order_no": "4711"})
		listed("l1", "FOREIGN", 1, nil)
		listed("l3", "FOREIGN", 1, 2)

		got, err := h.room.Compare(t.Context(), "l1")
		if err != nil {
			t.Fatal(err)
		}
		type line struct {
			missing, other     string
			confirmed, unasked bool
		}
		want := map[string]line{
			"ALL": {"", "", true, false}, "NOAPPLE": {"apple", "", false, false}, "NOBOX": {"scan", "", false, false}, "NOFILE": {"file", "", true, false},
			"NOROW": {"apple scan", "", false, false}, "MOVED": {"apple", "L-2", false, false}, "BOTH": {"apple scan", "L-2", false, false},
			"ORDERED": {"file scan", "", false, true}, "FOREIGN": {"apple scan", "", false, false},
		}
		var serials []string
		for _, c := range got.Items {
			serials = append(serials, c.Serial)
			missing := ""
			for i, m := range c.Missing {
				if i > 0 {
					missing += " "
				}
				missing += m
			}
			if (line{missing, c.OtherDelivery, c.ProfileConfirmed, c.Unasked}) != want[c.Serial] {
				t.Errorf("%s: %+v, want %+v", c.Serial, c, want[c.Serial])
			}
			if c.Serial == "FOREIGN" && (c.Name != "" || c.AssetTag != "" || c.AssetState != "" || c.OrderNo != "") {
				t.Errorf("another tenant's device is shown: %+v", c)
			}
		}
		if len(serials) != len(want) || !slices.IsSorted(serials) {
			t.Errorf("%v", serials)
		}
		if n := got.Totals; n != (views.ComparisonTotals{Expected: 3, Serials: 9, Listed: 7, AtApple: 4, Confirmed: 2, Scanned: 4, Complete: 1, Elsewhere: 2, Unasked: 1}) {
			t.Errorf("%+v", n)
		}
	})
}
