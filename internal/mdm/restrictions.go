package mdm

// RestrictionType is the type of one of Apple's restrictions for iPads:
// "boolean", "integer", "real", "string" or "array".
func RestrictionType(key string) (kind string, known bool) {
	kind, known = tables().Restrictions[key]
	return kind, known
}
