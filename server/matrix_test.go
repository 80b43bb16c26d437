package server_test

// The matrix: every operation of the API by every kind of person, in a house
// with two tenants that have rows of every kind (matrix_world_test.go).
//
// A new operation fails TestNobodySeesAnotherTenant until it has a row here. A
// row says how the operation is asked:
//
//	{}                          its path names a row of a tenant: that tenant's people
//	                            and the provider's get it, the other tenant's get 404
//	{body: `{"to":"<site>"}`}   <kind> stands for such a row in body or query too;
//	                            <n> for a number that was not there before
//	{kind: list}                everybody gets an answer, each of the own tenant
//	{kind: provider}            people of tenants get 403 auth.provider-only
//	{kind: everyone}            everybody gets an answer, and it tells nothing of tenants
//	smuggle                     a body with the other tenant's rows to a path of the
//	                            own (<my.kind>): refused, unless smuggled says why not
//	code                        a refusal that even its own people may get
//	spare                       which kind the path names, where asking takes it away
//
// Whatever people of the other tenant get, nothing of this tenant is in it: all
// its names and codes hold "alpha", and its ids are known.

import (
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	own      = "" // the default
	list     = "list"
	provider = "provider"
	everyone = "everyone"
)

type expectation struct {
	kind     string
	query    string
	body     string
	content  string // Content-Type; "" is JSON
	smuggle  string
	smuggled string // why it is no refusal
	code     string // what may be missing besides the row: the code of a refusal that its own people may get
	spare    map[string]string
}

func rowsOf(e ...expectation) []expectation { return e }

// expected is the matrix by operation id.
func expected() map[string][]expectation {
	plain := rowsOf(expectation{})
	lists, servers := rowsOf(expectation{kind: list}, expectation{query: "tenant=<tenant>"}), rowsOf(expectation{kind: provider})
	ordered := plain
	return map[string][]expectation{
		// Devices.
		"listDevices": append(lists, expectation{kind: list, query: "filter=serial:ALPHA*"}, expectation{kind: list, query: "filter=tenant:alpha"}),
		"getDevice":   plain, "whyDevice": plain, "deviceConflicts": plain, "listConflicts": lists, "listHolders": {{spare: map[string]string{"item": "profile"}}}, "getTimeline": plain, "getLocation": {{code: "location.none"}}, "releaseDevice": {{body: `{"reason":"r"}`}},
		"restartDevice": ordered, "refreshDevice": ordered, "endLostMode": ordered, "locateDevice": ordered, "soundDevice": ordered, "clearPasscode": ordered,
		"retryDevice":    {{body: `{}`, code: "retry.nothing"}},
		"renameDevice":   {{body: `{"name":"n<n>"}`}},
		"beginLostMode":  {{body: `{"message":"m","phone":"1"}`}},
		"sendCommand":    {{body: `{"command":"RestartDevice"}`}},
		"unmanageDevice": {{body: `{"reason":"r"}`}},
		"eraseDevice":    {{body: `{"reason":"r"}`, smuggle: `{"reason":"r","return_to_service":true,"wifi":"<profile>"}`}},
		"placeDevice": {
			{body: `{"cart":"<cart>","slot":9}`, smuggle: `{"cart":"<cart>"}`}, {body: `{"class":"<class>"}`, smuggle: `{"class":"<class>"}`},
			{body: `{"site":"<site>","room":"<room>"}`, smuggle: `{"site":"<site>"}`},
		},
		"moveDevice": {{body: `{"state":"ready"}`, smuggle: `{"state":"replaced","replaced_by":"<device>"}`}},
		"tagDevice":  {{body: `{"tag":"TAG-ALPHA"}`, smuggle: `{"tag":"TAG-ALPHA"}`}},
		// Orders.
		"listCommands": {{kind: list}, {query: "device=<device>"}}, "getCommand": plain, "cancelCommand": plain,
		// The world.
		"listTenants": {{kind: list}}, "addTenant": {{kind: provider, body: `{"code":"new<n>","name":"New"}`}},
		"setTenant":   {{kind: provider, body: `{"name":"Town of alpha"}`}},
		"listSchools": lists, "listSites": lists, "listRooms": lists, "listClasses": lists, "listCarts": lists,
		"addSchool": {{body: `{"tenant":"<tenant>","code":"N<n>","name":"New"}`}},
		"addSite":   {{body: `{"school":"<school>","code":"N<n>","name":"New"}`}},
		"addRoom":   {{body: `{"site":"<site>","name":"New <n>"}`}},
		"addClass":  {{body: `{"school":"<school>","name":"<n>a","year":"2026/27"}`}},
		"addCart":   {{body: `{"site":"<site>","code":"N<n>","slots":5}`, smuggle: `{"site":"<my.site>","code":"N<n>","slots":5,"room":"<room>"}`}},
		"setCart": {
			{body: `{"label":"Cart alpha <n>"}`}, {body: `{"classes":["<class>"]}`, smuggle: `{"classes":["<class>"]}`},
			{body: `{"room":"<room>"}`, smuggle: `{"room":"<room>"}`},
		},
		// Groups and links.
		"listGroups": lists, "createGroup": {{body: `{"tenant":"<tenant>","name":"New <n>"}`}},
		"removeGroup":   {{spare: map[string]string{"group": "sparegroup"}}},
		"addToGroup":    {{body: `{"devices":["<device>"]}`, smuggle: `{"devices":["<device>"]}`}},
		"getGroup":      plain,
		"setGroupRule":  {{body: `{"rule":"model = x"}`, code: "group.static", smuggle: `{"rule":"in \"<group>\""}`}},
		"dropFromGroup": {{body: `{"devices":["<device>"]}`, smuggle: `{"devices":["<device>"]}`, smuggled: "to the provider it is a device that is not in the group"}},
		"listLinks":     lists, "revokeLink": {{spare: map[string]string{"link": "sparelink"}}},
		"createLink": {{body: `{"tenant":"<tenant>","name":"New"}`, smuggle: `{"tenant":"<my.tenant>","name":"New","group":"<group>"}`}},
		// Profiles, apps and wishes.
		"listProfiles": lists, "getProfile": plain, "removeProfile": {{spare: map[string]string{"profile": "spareprofile"}}},
		"publishProfile": {{query: "version=1"}}, "rollBackProfile": {{code: "profile.no-former"}}, "listProfileVersions": plain, "diffProfile": plain,
		"addProfile":       {{query: "tenant=<tenant>&name=New<n>", body: mobileconfig, content: "application/x-apple-aspen-config"}},
		"addWiFi":          {{body: `{"tenant":"<tenant>","name":"W<n>","ssid":"s","security":"none"}`}},
		"addRestrictions":  {{body: `{"tenant":"<tenant>","name":"R<n>","restrictions":{"allowCamera":false}}`}},
		"addWebClip":       {{body: `{"tenant":"<tenant>","name":"C<n>","label":"l","url":"https://example.org"}`}},
		"addCertificate":   {{body: `{"tenant":"<tenant>","name":"T<n>","certificate":"eA=="}`}},
		"addAirPrint":      {{body: `{"tenant":"<tenant>","name":"AP<n>","printers":[{"host":"10.0.0.5","path":"ipp/print"}]}`}},
		"addAppLock":       {{body: `{"tenant":"<tenant>","name":"AL<n>","app":"com.example.a"}`}},
		"addDNS":           {{body: `{"tenant":"<tenant>","name":"D<n>","protocol":"https","url":"https://dns.example.org/q"}`}},
		"addHomeScreen":    {{body: `{"tenant":"<tenant>","name":"H<n>","pages":[[{"app":"com.apple.mobilesafari"}]]}`}},
		"addLockScreen":    {{body: `{"tenant":"<tenant>","name":"L<n>","footnote":"x"}`}},
		"addNotifications": {{body: `{"tenant":"<tenant>","name":"N<n>","apps":[{"app":"com.example.a"}]}`}},
		"addPasscode":      {{body: `{"tenant":"<tenant>","name":"P<n>","min_length":6}`}},
		"addProxy":         {{body: `{"tenant":"<tenant>","name":"PX<n>","server":"proxy.example.org","port":8080}`}},
		"addWebFilter":     {{body: `{"tenant":"<tenant>","name":"WF<n>","auto":true}`}},
		"addEducation":     {{body: `{"tenant":"<tenant>","name":"E<n>","organization":"o","class":"3b","leader":"l","role":"leader","slots":5}`}},
		"addFont":          {{body: `{"tenant":"<tenant>","name":"F<n>","font":"eA=="}`}},
		"buildProfile":     {{body: `{"tenant":"<tenant>","name":"B<n>","payloads":[{"type":"com.apple.applicationaccess","keys":{"allowCamera":false}}]}`}},
		"listPayloadTypes": {{kind: everyone}}, "getPayloadType": {{kind: everyone, spare: map[string]string{"type": "=com.apple.wifi.managed"}}},
		"listCommandTypes": {{kind: everyone}}, "getCommandType": {{kind: everyone, spare: map[string]string{"type": "=Settings"}}},
		"listApps": lists, "addApp": {{body: `{"tenant":"<tenant>","name":"A<n>","adam_id":"409183694","bundle_id":"com.example.a<n>"}`}},
		"addIPA":       {{query: "tenant=<tenant>&name=Mensa", body: anIPA(), content: "application/octet-stream"}},
		"removeApp":    {{spare: map[string]string{"app": "spareapp"}}},
		"listRollouts": {{kind: list}}, "getRollout": plain, "pauseRollout": plain, "resumeRollout": plain,
		"abortRollout":  {{spare: map[string]string{"rollout": "sparerollout"}}},
		"listVariables": lists, "setVariable": {{body: `{"tenant":"<tenant>","name":"V<n>","value":"x"}`}},
		"removeVariable":  {{query: "tenant=<tenant>", spare: map[string]string{"name": "sparevariable"}}},
		"listRemovals":    lists,
		"confirmRemoval":  {{body: `{"app":"<app>","count":1,"tenant":"<tenant>"}`, code: "removal.none", smuggle: `{"app":"<app>","count":1}`}},
		"cancelRemoval":   {{body: `{"app":"<app>","tenant":"<tenant>"}`, code: "removal.none", smuggle: `{"app":"<app>"}`}},
		"listAssignments": lists,
		"assign": {
			{body: `{"names":["<profile>"],"to":"cart:<cart>"}`, smuggle: `{"names":["<profile>"],"to":"site:<my.site>"}`},
			{body: `{"names":["Shared app"],"to":"device:<device>"}`, smuggle: `{"names":["<my.profile>"],"to":"class:<class>"}`},
			{body: `{"names":["<app>"],"to":"school:<school>"}`, smuggle: `{"names":["<my.app>"],"to":"tenant:<tenant>"}`},
			{body: `{"names":["<app>"],"to":"group:<group>"}`, smuggle: `{"names":["<my.app>"],"to":"group:<group>"}`},
		},
		"exportDocument": {{query: "tenant=<tenant>"}}, "applyDocument": {{query: "tenant=<tenant>&dry_run=true", body: `{"groups":[{"name":"Doc<n>","devices":["<device>"]}]}`}},
		"listSecrets": lists, "setSecret": {{body: `{"tenant":"<tenant>","name":"s<n>","value":"x"}`}}, "removeSecret": {{spare: map[string]string{"secret": "sparesecret"}}},
		"exclude": {
			{body: `{"names":["<profile>"],"to":"cart:<cart>"}`, smuggle: `{"names":["<profile>"],"to":"site:<my.site>"}`},
			{body: `{"names":["Shared app"],"to":"device:<device>"}`, smuggle: `{"names":["<my.profile>"],"to":"class:<class>"}`},
			{body: `{"names":["<app>"],"to":"school:<school>"}`, smuggle: `{"names":["<my.app>"],"to":"tenant:<tenant>"}`},
			{body: `{"names":["<app>"],"to":"group:<group>"}`, smuggle: `{"names":["<my.app>"],"to":"group:<group>"}`},
		},
		"unassign": {{body: `{"names":["<profile>"],"to":"site:<site>"}`, code: "assignment.unknown", smuggle: `{"names":["Shared Wi-Fi"],"to":"tenant:<tenant>"}`, smuggled: "the provider may"}},
		// Deliveries, files, Apple School Manager, arrivals.
		"listDeliveries": {{kind: list}}, "getDelivery": plain, "getBoard": plain, "followBoard": plain, "compareDelivery": plain,
		"createDelivery": {{body: `{"tenant":"<tenant>","code":"L<n>"}`, smuggle: `{"tenant":"<my.tenant>","code":"L<n>","site":"<site>"}`}},
		"setDelivery":    {{body: `{"site":"<site>"}`, smuggle: `{"site":"<site>"}`}},
		"exportMissing":  plain, "printLabels": plain, "printCartCard": plain, "printHandOver": plain, "reserveTags": {{body: `{"count":1}`}},
		"scan":          {{body: `{"texts":["<device>"]}`, smuggle: `{"texts":["<device>","TAG-NEW<n>"]}`}},
		"undoScan":      {{body: `{}`, code: "scan.none"}},
		"packCheck":     {{body: `{"texts":["<device>"]}`, smuggle: `{"texts":["<device>"]}`, smuggled: "whoever holds it is told that it does not belong here"}},
		"importDevices": {{query: "tenant=<tenant>", body: "serial\nNEW000<n>\n", content: "application/octet-stream"}, {query: "tenant=<tenant>&delivery=<delivery>", body: "serial\nNEW100<n>\n", content: "application/octet-stream"}},
		"undoImport":    plain, "exportDevices": {{kind: list, code: "tenant.required"}, {query: "tenant=<tenant>"}},
		"listMappings": {{kind: everyone}}, "saveMapping": {{kind: everyone, body: `{"name":"m<n>","columns":{"Seriennummer":"serial"}}`}},
		"listADETokens": lists, "createADEKey": {{body: `{"tenant":"<tenant>","name":"N<n>"}`}},
		"importADEToken": {{query: "tenant=<tenant>", body: "x", content: "application/pkcs7-mime"}}, "renewADEToken": {{body: "x", content: "application/pkcs7-mime"}},
		"syncADEToken": {{body: `{}`}}, "acceptMissingADE": plain, "removeADEToken": {{spare: map[string]string{"token": "spareadetoken"}}},
		"listADEDevices": lists, "listADEProfiles": lists, "getADEProfile": plain, "createADEProfile": {{body: `{"tenant":"<tenant>","name":"N<n>"}`}},
		"setADEProfile": {{body: `{"min_os":"26.1"}`}}, "removeADEProfile": {{spare: map[string]string{"profile": "spareadeprofile"}}},
		"assignADEProfile":   {{body: `{"to":"site:<site>"}`, smuggle: `{"to":"site:<site>"}`}},
		"unassignADEProfile": {{body: `{"to":"tenant:<tenant>"}`, code: "ade-profile.not-assigned", smuggle: `{"to":"tenant:<tenant>"}`}},
		"listHolds":          {{kind: list}}, "admitHold": plain, "rejectHold": {{spare: map[string]string{"hold": "rejecthold"}}},
		// People.
		"listUsers": {{kind: list}}, "addUser": {{body: `{"tenant":"<tenant>","name":"new<n>","role":"viewer"}`}}, "removeUser": {{spare: map[string]string{"user": "spareuser"}}},
		"listTokens": {{kind: list}}, "createToken": {{body: `{"user":"<user>","name":"t<n>"}`}}, "revokeToken": {{spare: map[string]string{"token": "sparetoken"}}},
		// The server's.
		"status": {{kind: everyone}}, "getPushCertificate": {{kind: everyone}},
		"listAudit": servers, "verifyAudit": servers, "listCertificates": servers, "listRefusals": servers,
		"revokeCertificate":      {{kind: provider, body: `{"reason":"r"}`}},
		"requestPushCertificate": {{kind: provider, body: `{}`}}, "importPushCertificate": {{kind: provider, body: `{"certificate":"x"}`}},
	}
}

const mobileconfig = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.new<n></string><key>PayloadUUID</key><string>4B4A1F0E-1111-4222-8333-444455556666</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.applicationaccess</string><key>PayloadVersion</key><integer>1</integer><key>PayloadIdentifier</key><string>org.example.new<n>.a</string>
<key>PayloadUUID</key><string>4B4A1F0E-1111-4222-8333-444455556667</string><key>allowCamera</key><false/></dict></array></dict></plist>`

type route struct{ id, method, path, right string }

func (h *house) routes() (all []route) {
	var doc struct {
		Paths map[string]map[string]struct {
			ID    string `yaml:"operationId"`
			Right string `yaml:"x-right"`
		} `yaml:"paths"`
	}
	if err := yaml.Unmarshal([]byte(h.document()), &doc); err != nil {
		h.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			all = append(all, route{op.ID, strings.ToUpper(method), "/api/v1" + path, op.Right})
		}
	}
	return all
}
