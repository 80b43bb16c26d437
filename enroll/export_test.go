package enroll

// SampleProfile is the enrollment profile of a server with these settings.
func SampleProfile(publicURL, organization string, root []byte, topic, challenge string) ([]byte, error) {
	return newPlan(publicURL, organization).profile(root, topic, challenge)
}

// ReadDefinition checks what people wish of an enrollment profile.
func ReadDefinition(raw []byte) (map[string]any, []string, error) { return readDefinition(raw) }

// DefinitionFor is what is sent to Apple for it.
func DefinitionFor(keys map[string]any, name string) ([]byte, error) {
	return definitionFor(keys, name, "https://mdm.example.org", nil)
}
