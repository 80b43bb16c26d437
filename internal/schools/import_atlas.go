package schools

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ranzen/internal/sqldb"
)

// atlas is a tenant's world in memory: some hundred rows at most, read once for a
// file of thousands of lines.
type atlas struct {
	tenant  Tenant
	schools map[string]School
	sites   map[string]Site
	places  map[string]Place
	carts   map[string]Cart
	classes map[string]Class
}

func (r *Room) atlasOf(ctx context.Context, q sqldb.Queryer, tenantID string) (a atlas, err error) {
	if a.tenant, err = tenantByID(ctx, q, tenantID); err != nil {
		return a, err
	}
	schools, err := r.Schools(ctx, q, tenantID)
	if err != nil {
		return a, err
	}
	sites, err := r.Sites(ctx, q, tenantID)
	if err != nil {
		return a, err
	}
	places, err := r.Places(ctx, q, tenantID)
	if err != nil {
		return a, err
	}
	carts, err := r.Carts(ctx, q, tenantID)
	if err != nil {
		return a, err
	}
	classes, err := r.Classes(ctx, q, tenantID)
	if err != nil {
		return a, err
	}
	a.schools, a.sites = byID(schools, func(x School) string { return x.ID }), byID(sites, func(x Site) string { return x.ID })
	a.places, a.carts = byID(places, func(x Place) string { return x.ID }), byID(carts, func(x Cart) string { return x.ID })
	a.classes = byID(classes, func(x Class) string { return x.ID })
	return a, nil
}

func byID[T any](all []T, id func(T) string) map[string]T {
	out := make(map[string]T, len(all))
	for _, x := range all {
		out[id(x)] = x
	}
	return out
}

// site finds a site by code or name; one that fits twice is none.
func (a atlas) site(text string) (found Site, ok bool) {
	n := 0
	for _, x := range a.sites {
		if lower(x.Code) == lower(text) {
			return x, true
		}
		if lower(x.Name) == lower(text) {
			found, n = x, n+1
		}
	}
	return found, n == 1
}

func (a atlas) school(text string) (found School, ok bool) {
	n := 0
	for _, x := range a.schools {
		if lower(x.Code) == lower(text) {
			return x, true
		}
		if lower(x.Name) == lower(text) {
			found, n = x, n+1
		}
	}
	return found, n == 1
}

func (a atlas) place(siteID, text string) (Place, bool) {
	for _, x := range a.places {
		if x.SiteID == siteID && lower(x.Name) == lower(text) {
			return x, true
		}
	}
	return Place{}, false
}

// cart finds a cart by "SAT-K03", or by code or label at a site; without a site
// the code must be the only one.
func (a atlas) cart(siteID, text string) (found Cart, ok bool) {
	n := 0
	for _, x := range a.carts {
		if lower(a.sites[x.SiteID].Code+"-"+x.Code) == lower(text) {
			return x, true
		}
		if (siteID == "" || x.SiteID == siteID) && (lower(x.Code) == lower(text) || x.Label != "" && lower(x.Label) == lower(text)) {
			found, n = x, n+1
		}
	}
	return found, n == 1
}

// class finds a class by "3b" at a school, by "GSS/3b" or "GSS/3b/2026/27"; the
// newest school year counts.
func (a atlas) class(schoolID, text string) (found Class, ok bool) {
	school, name, year := "", text, ""
	if parts := strings.SplitN(text, "/", 3); len(parts) > 1 {
		school, name = parts[0], parts[1]
		if len(parts) == 3 {
			year = parts[2]
		}
	}
	schools := map[string]bool{}
	for _, x := range a.classes {
		switch {
		case lower(x.Name) != lower(name), year != "" && x.Year != year:
			continue
		case school != "" && lower(a.schools[x.SchoolID].Code) != lower(school):
			continue
		case school == "" && schoolID != "" && x.SchoolID != schoolID:
			continue
		}
		schools[x.SchoolID] = true
		if x.Year >= found.Year {
			found = x
		}
	}
	return found, len(schools) == 1
}

// className is a class as it is written and found again.
func (a atlas) className(id string) string {
	c, ok := a.classes[id]
	if !ok {
		return ""
	}
	return a.schools[c.SchoolID].Code + "/" + c.Name + "/" + c.Year
}

func (a atlas) slotName(p Position) string {
	c := a.carts[p.CartID]
	return NameOf(a.sites[c.SiteID], c, p.Slot)
}

// cells is a device as its line in the list.
func (a atlas) cells(d Device) map[string]string {
	out := map[string]string{
		colSerial: d.Serial, colTag: d.AssetTag, colName: d.Name, colTenant: a.tenant.Code, colState: string(d.AssetState), colLoan: d.LoanType,
		colPseudonym: d.Pseudonym, colModel: d.Model, colCapacity: d.Capacity, colColor: d.Color, colPart: d.PartNo, colOrder: d.OrderNo,
		colNote2: d.DeliveryNote, colBox: d.Box, colBought: d.BoughtOn, colPrice: priceText(d.PriceCents), colFunding: d.Funding,
		colBinding: d.BindingUntil, colWarranty: d.WarrantyUntil, colNote: d.Note, colClass: a.className(d.ClassID),
	}
	if site, ok := a.sites[d.SiteID]; ok {
		out[colSite], out[colSchool] = site.Code, a.schools[site.SchoolID].Code
	}
	if place, ok := a.places[d.PlaceID]; ok {
		out[colRoom] = place.Name
	}
	if cart, ok := a.carts[d.CartID]; ok {
		out[colCart] = a.sites[cart.SiteID].Code + "-" + cart.Code
	}
	if d.Slot > 0 {
		out[colSlot] = strconv.Itoa(d.Slot)
	}
	return out
}

// ExportDevices is the list of a tenant's devices, by serial number, as it can be
// taken in again without a change.
func (r *Room) ExportDevices(ctx context.Context, q sqldb.Queryer, tenantID string) (header []string, rows [][]string, err error) {
	a, err := r.atlasOf(ctx, q, tenantID)
	if err != nil {
		return nil, nil, err
	}
	header = exportColumns()
	for after := ""; ; {
		var page []deviceRow
		err := q.Select(ctx, &page, `SELECT `+deviceColumns+` FROM devices d WHERE d.tenant_id = ? AND d.serial > ? ORDER BY d.serial LIMIT 5000`, tenantID, after)
		if err != nil {
			return nil, nil, fmt.Errorf("list devices: %w", err)
		}
		for _, p := range page {
			cells, row := a.cells(p.device()), make([]string, len(header))
			for i, column := range header {
				row[i] = cells[column]
			}
			rows, after = append(rows, row), p.Serial
		}
		if len(page) < 5000 {
			return header, rows, nil
		}
	}
}
