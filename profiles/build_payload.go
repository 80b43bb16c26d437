package profiles

import (
	"errors"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// Payload is a payload by Apple's names. A key of an inner dictionary may be
// written with dots; values are those of JSON, or texts as a person types them.
type Payload struct {
	Type string
	Keys map[string]any
}

// BuildPayloads makes a profile of payloads that the catalogue knows, and gives
// their values the types that Apple wants.
func (r *Room) BuildPayloads(list []Payload) ([]byte, error) {
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "build.empty", "Say at least one payload, such as com.apple.dnsSettings.managed.").On("payloads")
	}
	content := make([]any, 0, len(list))
	for _, one := range list {
		p, err := buildPayload(one)
		if m, is := errors.AsType[*catalogue.Misfit](err); is {
			return nil, unfit(m)
		}
		if err != nil {
			return nil, err
		}
		content = append(content, p)
	}
	return mdm.Encode(map[string]any{builtMark: true, "PayloadType": "Configuration", "PayloadContent": content})
}

// buildPayload gives keys their types; what does not fit is a *catalogue.Misfit.
func buildPayload(p Payload) (map[string]any, error) {
	e, known := catalogue.FindPayload(p.Type)
	if !known {
		if like := catalogue.Nearest(p.Type, catalogue.Payloads()); like != "" {
			return nil, fault.New(fault.Invalid, "build.unknown-type", "Apple's schema has no payload type %s for iPads. Is %s meant?", mdm.Clean(p.Type), like).On("payloads")
		}
		return nil, fault.New(fault.Invalid, "build.no-such-type", "Apple's schema has no payload type %s for iPads. Look at its spelling; what is newer than this server can be uploaded as a .mobileconfig.", mdm.Clean(p.Type)).On("payloads")
	}
	body, err := e.Build(p.Keys)
	if err != nil {
		return nil, err
	}
	body["PayloadType"] = p.Type
	return body, nil
}

// unfit says why values cannot be what Apple wants.
func unfit(m *catalogue.Misfit) *fault.Fault {
	switch m.Code {
	case "unknown-key", "no-keys":
		return fault.New(fault.Invalid, "build.key", "There is no such key: %s", m.Text).On(m.Path)
	case "missing":
		return fault.New(fault.Invalid, "build.missing", "A key is missing: %s", m.Text).On(m.Path)
	}
	return fault.New(fault.Invalid, "build.value", "A value cannot be taken: %s", m.Text).On(m.Path)
}

const restrictionsType = "com.apple.applicationaccess"

// BuildRestrictions makes a profile of Apple's restrictions.
// Source: Apple, Device Management, "Restrictions".
func (r *Room) BuildRestrictions(keys map[string]any) ([]byte, error) {
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "restrictions.empty", "Say at least one restriction, such as allowCamera=false.").On("restrictions")
	}
	p, err := buildPayload(Payload{restrictionsType, keys})
	if m, is := errors.AsType[*catalogue.Misfit](err); is {
		if m.Code == "unknown-key" {
			return nil, fault.New(fault.Invalid, "restrictions.unknown",
				"There is no such restriction of iPads: %s Look at its spelling; what is newer than this server can be uploaded as a .mobileconfig.", m.Text).On("restrictions")
		}
		return nil, fault.New(fault.Invalid, "restrictions.type", "A restriction cannot have this value: %s", m.Text).On("restrictions")
	}
	if err != nil {
		return nil, err
	}
	return built(p)
}
