package tablet

// UnlockTokenForTest is what the tablet's first TokenUpdate held.
func (t *Tablet) UnlockTokenForTest() []byte { return t.mgmt.unlockToken }
