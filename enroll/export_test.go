package enroll

// SampleProfile is the enrollment profile of a server with these settings.
func SampleProfile(publicURL, organization string, root []byte, topic, challenge string) ([]byte, error) {
	return newPlan(publicURL, organization).profile(root, topic, challenge)
}
