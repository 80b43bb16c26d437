package schools

import (
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// What is not there, and what is another tenant's: nobody can tell which.

func unknownTenant() *fault.Fault {
	return fault.New(fault.NotFound, "tenant.unknown", "There is no tenant of that name. See `ranzen tenant list`.").On("tenant")
}

func unknownSchool(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "school.unknown", "There is no school %q. Say its code or id.", mdm.Clean(ref)).On("school")
}

func unknownSite(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "site.unknown", "There is no site %q. Say its code or id.", mdm.Clean(ref)).On("site")
}

func unknownPlace(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "room.unknown", "There is no room %q. Say its id.", mdm.Clean(ref)).On("room")
}

func unknownCart(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "cart.unknown", `There is no cart %q. Say its site and code, as "SAT-K03", or its id.`, mdm.Clean(ref)).On("cart")
}

func unknownClass(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "class.unknown", `There is no class %q. Say it as "3b", "SCHOOL/3b" or "SCHOOL/3b/2026/27".`, mdm.Clean(ref)).On("class")
}

func unknownDelivery(ref string) *fault.Fault {
	return fault.New(fault.NotFound, "delivery.unknown", "There is no delivery %q. `ranzen delivery list` shows those there are.", mdm.Clean(ref)).On("delivery")
}

// What is there twice, at several tenants or schools.

func ambiguousSchool(ref string) *fault.Fault {
	return fault.New(fault.Conflict, "school.ambiguous", "There are several schools %q. Say the id, or the tenant too.", mdm.Clean(ref)).On("school")
}

func ambiguousSite(ref string) *fault.Fault {
	return fault.New(fault.Conflict, "site.ambiguous", "There are several sites %q. Say the id, or the tenant too.", mdm.Clean(ref)).On("site")
}

func ambiguousCart(ref string) *fault.Fault {
	return fault.New(fault.Conflict, "cart.ambiguous", `There are several carts %q. Say the site too, as in "SAT-K03", or the id.`, mdm.Clean(ref)).On("cart")
}

func ambiguousClass(ref string) *fault.Fault {
	return fault.New(fault.Conflict, "class.ambiguous", `There are several classes %q. Say the school too, as in "SCHOOL/3b", or the id.`, mdm.Clean(ref)).On("class")
}

func ambiguousDelivery(ref string) *fault.Fault {
	return fault.New(fault.Conflict, "delivery.ambiguous", "There are several deliveries %q. Say the id, or the tenant too.", mdm.Clean(ref)).On("delivery")
}

// What bears a code or name that is taken.

func schoolExists(code string) *fault.Fault {
	return fault.New(fault.Conflict, "school.exists", "There is a school %s already. Choose another code.", code).On("code")
}

func siteExists(code string) *fault.Fault {
	return fault.New(fault.Conflict, "site.exists", "There is a site %s already. Choose another code.", code).On("code")
}

func placeExists(name string) *fault.Fault {
	return fault.New(fault.Conflict, "room.exists", "There is a room %q at this site already. Choose another name.", name).On("name")
}

func cartExists(code string) *fault.Fault {
	return fault.New(fault.Conflict, "cart.exists", "There is a cart %s at this site already. Choose another code.", code).On("code")
}

func classExists(name, year string) *fault.Fault {
	return fault.New(fault.Conflict, "class.exists", "There is a class %s in %s at this school already.", name, year).On("name")
}

func deliveryExists(code string) *fault.Fault {
	return fault.New(fault.Conflict, "delivery.exists", "There is a delivery %s already. Choose another code.", code).On("code")
}
