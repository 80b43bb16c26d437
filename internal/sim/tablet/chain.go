package tablet

import "fmt"

// chain is an ErrorChain: an error in the words of an iPad.
type chain struct {
	items []chainItem
}

type chainItem struct {
	code   int
	domain string
	said   string
}

// Error is the last, most exact part.
func (c *chain) Error() string { return c.items[len(c.items)-1].said }

// Error domains and their codes: Apple, Mobile Device Management Protocol
// Reference (2019), "Error Codes". Apple says not to depend on them.
const (
	mdmDomain         = "MCMDMErrorDomain"
	profileDomain     = "MCProfileErrorDomain"
	payloadDomain     = "MCPayloadErrorDomain"
	installDomain     = "MCInstallationErrorDomain"
	certificateDomain = "MCCertificateErrorDomain"
	wifiDomain        = "MCWiFiErrorDomain"
	scepDomain        = "MCSCEPErrorDomain"
	passcodeDomain    = "MCPasscodeErrorDomain"
)

func refuse(domain string, code int, format string, args ...any) *chain {
	return &chain{items: []chainItem{{code, domain, fmt.Sprintf(format, args...)}}}
}

// because turns a breach of the schema into an error of a profile or a payload.
func because(domain string, b *breach) *chain {
	codes := map[breachKind]int{missingField: 2002, wrongType: 2003, wrongValue: 2004, unknownField: 2004}
	if domain == profileDomain {
		codes = map[breachKind]int{missingField: 1002, wrongType: 1003, wrongValue: 1010, unknownField: 1010}
	}
	return refuse(domain, codes[b.what], "%s", b.Error())
}

// under puts an outer error before this one.
func (c *chain) under(domain string, code int, said string) *chain {
	return &chain{items: append([]chainItem{{code, domain, said}}, c.items...)}
}

func (c *chain) plist() []any {
	out := make([]any, 0, len(c.items))
	for _, i := range c.items {
		out = append(out, map[string]any{
			"ErrorCode": i.code, "ErrorDomain": i.domain, "LocalizedDescription": i.said, "USEnglishDescription": i.said,
		})
	}
	return out
}
