package views

// What Apple says of a device, beside what is wished: as in package enroll, which
// assigns by the same words (a test holds them together). d is the device, a
// Apple's word, p the enrollment profile that it is to get, u what Apple calls
// that, y how Apple's list is read.
const appleJoin = `
	LEFT JOIN ade_devices a ON a.serial = d.serial AND a.tenant_id = d.tenant_id AND a.removed_at IS NULL AND NOT EXISTS (
		SELECT 1 FROM ade_devices o WHERE o.serial = a.serial AND o.token_id <> a.token_id AND o.tenant_id = a.tenant_id AND o.removed_at IS NULL
			AND (COALESCE(o.assigned_at, 0) > COALESCE(a.assigned_at, 0)
				OR COALESCE(o.assigned_at, 0) = COALESCE(a.assigned_at, 0) AND o.token_id > a.token_id))
	LEFT JOIN ade_wishes wd ON wd.scope_kind = 'delivery' AND wd.scope_id = d.delivery_id
	LEFT JOIN ade_wishes ws ON ws.scope_kind = 'site' AND ws.scope_id = d.site_id
	LEFT JOIN ade_wishes wt ON wt.scope_kind = 'tenant' AND wt.scope_id = d.tenant_id
	LEFT JOIN ade_profiles p ON p.id = COALESCE(wd.profile_id, ws.profile_id, wt.profile_id)
	LEFT JOIN ade_profile_uuids u ON u.profile_id = p.id AND u.token_id = a.token_id AND u.hash = p.hash
	LEFT JOIN ade_sync y ON y.token_id = a.token_id`

// appleStatus is ” for a device that Apple does not assign to its tenant.
const appleStatus = `CASE
	WHEN a.serial IS NULL THEN ''
	WHEN y.missing > 0 AND a.run < y.full_run THEN 'missing'
	WHEN p.id IS NULL THEN 'no_profile'
	WHEN u.uuid <> '' AND a.profile_uuid = u.uuid AND a.profile_state IN ('assigned', 'pushed') THEN 'confirmed'
	WHEN COALESCE(u.uuid, '') = '' AND COALESCE(u.problem, '') <> '' THEN 'refused'
	WHEN COALESCE(u.uuid, '') = '' OR a.wanted_uuid <> u.uuid THEN CASE WHEN a.result = 'THROTTLED' THEN 'throttled' ELSE 'waiting' END
	WHEN a.result = 'SUCCESS' THEN 'asked'
	WHEN a.result = 'THROTTLED' THEN 'throttled'
	ELSE 'failed' END`
