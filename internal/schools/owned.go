package schools

import "ranzen/internal/fault"

// Groups, profiles, apps and their like are a tenant's, or the provider's
// (tenant ""), who shares them with all tenants. tenantID below is whose name is
// spoken: a tenant, or "" for the provider, who sees all there are.

// Choose picks from the rows that fit a name the one it means to tenantID: the
// own one, else the provider's; to the provider, one of the only tenant that has
// it. fits is 0 if there is none, and more than 1 if only a tenant's name could
// tell them apart.
func Choose[T any](tenantID string, rows []T, owner func(T) string) (fit T, fits int) {
	var others []T
	for _, row := range rows {
		switch owner(row) {
		case tenantID:
			return row, 1
		case "":
			fit, fits = row, 1
		default:
			others = append(others, row)
		}
	}
	if tenantID == "" && len(others) > 0 {
		return others[0], len(others)
	}
	return fit, fits
}

// MayChange refuses to let a tenant change what is not its own.
func MayChange(tenantID, owner string) error {
	if tenantID == "" || tenantID == owner {
		return nil
	}
	return fault.New(fault.Denied, "tenant.provider-owned",
		"It belongs to the provider: every tenant may use it, and only the provider's people may change it. Make one of your own.")
}
