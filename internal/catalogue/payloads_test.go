package catalogue

import (
	"slices"
	"testing"
)

// TestPayloadsAsPeopleWriteThemAreFine goes through the payloads that schools use,
// with keys as they stand in Apple's own examples.
func TestPayloadsAsPeopleWriteThemAreFine(t *testing.T) {
	payloads := []dict{
		dict{"PayloadType": "com.apple.education", "OrganizationUUID": "x", "OrganizationName": "y", "PayloadCertificateUUID": "z", "LeaderPayloadCertificateAnchorUUID": []any{"a"}, "MemberPayloadCertificateAnchorUUID": []any{"b"}, "Departments": []any{dict{"Name": "P", "GroupBeaconIDs": []any{uint64(1), uint64(2)}}}, "Groups": []any{dict{"BeaconID": uint64(1), "Name": "g", "LeaderIdentifiers": []any{"can"}, "MemberIdentifiers": []any{"j"}}}, "Users": []any{dict{"Identifier": "tom", "Name": "tom clark", "GivenName": "tom", "FamilyName": "clark", "PhoneticGivenName": "t", "PhoneticFamilyName": "c", "AppleID": "t", "ImageURL": "https://x", "PasscodeType": "four"}}},
		dict{"PayloadType": "com.apple.notificationsettings", "NotificationSettings": []any{dict{"AlertType": uint64(0), "BundleIdentifier": "com.apple.mobilemail", "NotificationsEnabled": true, "ShowInLockScreen": false}}},
		dict{"PayloadType": "com.apple.webcontent-filter", "AutoFilterEnabled": true, "DenyListURLs": []any{"https://x"}, "FilterBrowsers": true, "FilterSockets": true, "FilterType": "BuiltIn", "PermittedURLs": []any{"https://e"}, "AllowListBookmarks": []any{dict{"URL": "https://x", "Title": "t"}}},
		dict{"PayloadType": "com.apple.airprint", "AirPrint": []any{dict{"IPAddress": "10.0.1.42", "ResourcePath": "/ipp/print", "Port": uint64(631), "ForceTLS": true}}},
		dict{"PayloadType": "com.apple.vpn.managed", "IPSec": dict{"AuthenticationMethod": "SharedSecret", "LocalIdentifierType": "KeyID", "SharedSecret": []byte("x")}, "IPv4": dict{"OverridePrimary": uint64(0)}, "PPP": dict{"AuthName": "u", "AuthPassword": "p", "CommRemoteAddress": "v"}, "Proxies": dict{"HTTPEnable": uint64(0), "HTTPSEnable": uint64(0)}, "UserDefinedName": "V", "VPNType": "L2TP"},
		dict{"PayloadType": "com.apple.vpn.managed", "IKEv2": dict{"RemoteAddress": "v", "LocalIdentifier": "l", "RemoteIdentifier": "r", "AuthenticationMethod": "Certificate", "ExtendedAuthEnabled": uint64(1), "DeadPeerDetectionRate": "Medium", "EnablePFS": uint64(1), "IKESecurityAssociationParameters": dict{"EncryptionAlgorithm": "AES-256-GCM", "IntegrityAlgorithm": "SHA2-256", "DiffieHellmanGroup": uint64(19), "LifeTimeInMinutes": uint64(1440)}}, "UserDefinedName": "V", "VPNType": "IKEv2"},
		dict{"PayloadType": "com.apple.homescreenlayout", "Dock": []any{dict{"Type": "Application", "BundleID": "com.apple.mobilesafari"}, dict{"Type": "Folder", "DisplayName": "E", "Pages": []any{[]any{dict{"Type": "WebClip", "DisplayName": "E", "URL": "c"}}, []any{dict{"Type": "Application", "BundleID": "x"}}}}}, "Pages": []any{[]any{dict{"Type": "Application", "BundleID": "a"}, dict{"Type": "Folder", "DisplayName": "I"}}}},
		dict{"PayloadType": "com.apple.app.lock", "App": dict{"Identifier": "x", "Options": dict{"DisableTouch": false, "DisableAutoLock": true}, "UserEnabledOptions": dict{"VoiceOver": true}}},
		dict{"PayloadType": "com.apple.mobiledevice.passwordpolicy", "allowSimple": false, "forcePIN": true, "minLength": uint64(6), "maxInactivity": uint64(5), "maxFailedAttempts": uint64(10), "pinHistory": uint64(3), "maxPINAgeInDays": uint64(90), "requireAlphanumeric": true, "minComplexChars": uint64(1), "maxGracePeriod": uint64(0)},
		dict{"PayloadType": "com.apple.dnsSettings.managed", "DNSSettings": dict{"DNSProtocol": "TLS", "ServerName": "x", "ServerAddresses": []any{"1.1.1.1"}}, "OnDemandRules": []any{dict{"Action": "Connect", "SSIDMatch": []any{"a"}}}, "ProhibitDisablement": true},
		dict{"PayloadType": "com.apple.proxy.http.global", "ProxyType": "Manual", "ProxyServer": "p", "ProxyServerPort": uint64(8080), "ProxyCaptiveLoginAllowed": true},
		dict{"PayloadType": "com.apple.shareddeviceconfiguration", "AssetTagInformation": "y", "LockScreenFootnote": "z"},
		dict{"PayloadType": "com.apple.font", "Font": []byte("x"), "Name": "f.ttf"},
		dict{"PayloadType": "com.apple.security.pkcs12", "PayloadContent": []byte("x"), "Password": "p", "PayloadCertificateFileName": "a.p12"},
		dict{"PayloadType": "com.apple.security.scep", "PayloadContent": dict{"URL": "https://x", "Name": "n", "Subject": []any{[]any{[]any{"CN", "x"}}}, "Challenge": "c", "Keysize": uint64(2048), "Key Type": "RSA", "Key Usage": uint64(5), "SubjectAltName": dict{"dNSName": "x", "ntPrincipalName": "y", "uniformResourceIdentifier": "u"}, "CAFingerprint": []byte("x"), "Retries": uint64(3), "RetryDelay": uint64(10), "AllowAllAppsAccess": false, "KeyIsExtractable": false}},
		dict{"PayloadType": "com.apple.security.acme", "DirectoryURL": "https://x", "ClientIdentifier": "c", "KeySize": uint64(256), "KeyType": "ECSECPrimeRandom", "HardwareBound": true, "Attest": true, "Subject": []any{[]any{[]any{"CN", "x"}}}, "SubjectAltName": dict{"dNSName": []any{"x"}}, "UsageFlags": uint64(5), "ExtendedKeyUsage": []any{"1.3.6.1.5.5.7.3.2"}},
		dict{"PayloadType": "com.apple.airplay", "AllowList": []any{dict{"DeviceID": "AA:BB:CC:DD:EE:FF", "DeviceName": "x"}}, "Passwords": []any{dict{"DeviceName": "x", "Password": "p"}}},
		dict{"PayloadType": "com.apple.domains", "EmailDomains": []any{"x"}, "WebDomains": []any{"y"}, "SafariPasswordAutoFillDomains": []any{"z"}},
		dict{"PayloadType": "com.apple.subscribedcalendar.account", "SubCalAccountHostName": "https://x", "SubCalAccountUseSSL": true},
		dict{"PayloadType": "com.apple.eas.account", "EmailAddress": "x", "Host": "h", "SSL": true, "UserName": "u", "Password": "p", "MailNumberOfPastDaysToSync": uint64(7)},
		dict{"PayloadType": "com.apple.cellular", "AttachAPN": dict{"Name": "x"}, "APNs": []any{dict{"Name": "x", "Username": "u"}}},
		dict{"PayloadType": "com.apple.extensiblesso", "ExtensionIdentifier": "com.apple.AppSSOKerberos.KerberosExtension", "TeamIdentifier": "apple", "Type": "Credential", "Realm": "R", "Hosts": []any{"h"}, "ExtensionData": dict{"pwNotificationDays": uint64(15)}},
		dict{"PayloadType": "com.apple.extensiblesso", "ExtensionIdentifier": "x", "TeamIdentifier": "t", "Type": "Redirect", "URLs": []any{"https://x"}, "ExtensionData": dict{"a": uint64(1)}},
		dict{"PayloadType": "com.apple.wifi.managed", "SSID_STR": "x", "IsHotspot": false, "CaptiveBypass": false, "ProxyType": "None", "EncryptionType": "WPA2", "QoSMarkingPolicy": dict{"QoSMarkingEnabled": true}, "EAPClientConfiguration": dict{"AcceptEAPTypes": []any{uint64(21)}, "TTLSInnerAuthentication": "PAP", "UserName": "u", "UserPassword": "p", "OuterIdentity": "o", "TLSTrustedServerNames": []any{"r"}, "PayloadCertificateAnchorUUID": []any{"01234567-89AB-CDEF-0123-456789ABCDEF"}, "TLSMinimumVersion": "1.2", "EAPFASTUsePAC": false}},
		dict{"PayloadType": "com.apple.networkusagerules", "ApplicationRules": []any{dict{"AppIdentifierMatches": []any{"x"}, "AllowCellularData": false}}},
		dict{"PayloadType": "com.apple.SetupAssistant.managed", "SkipSetupItems": []any{"AppleID", "Siri"}},
		dict{"PayloadType": "com.apple.profileRemovalPassword", "RemovalPassword": "x"},
		dict{"PayloadType": "com.apple.sso", "Name": "x", "Kerberos": dict{"Realm": "R", "PrincipalName": "p", "URLPrefixMatches": []any{"https://x"}, "AppIdentifierMatches": []any{"y"}}},
		dict{"PayloadType": "com.apple.applicationaccess", "allowCamera": true, "safariAcceptCookies": 2.0, "ratingMovies": uint64(1000), "forceAirDropUnmanaged": true, "allowedCameraRestrictionBundleIDs": []any{"x"}, "autonomousSingleAppModePermittedAppIDs": []any{"y"}, "safariAllowAutoFill": true, "allowListedAppBundleIDs": []any{"z"}, "forceEncryptedBackup": true, "enforcedSoftwareUpdateDelay": uint64(30)},
	}
	for _, p := range payloads {
		kind := p["PayloadType"]
		if got := told(CheckProfile(profile(p))); len(got) > 0 {
			t.Errorf("%s: %q", kind, got)
		}
		if !slices.Contains(Payloads(), kind.(string)) {
			t.Errorf("%s is not in the table", kind)
		}
	}
}
