package mdm

import (
	"errors"

	"ranzen/internal/catalogue"
	"ranzen/internal/fault"
)

// BuildRaw makes the body of a command from text, as a person types it, and
// checks it against Apple's schema, as catalogue.Entry.Build does.
func BuildRaw(requestType string, args map[string]string) (map[string]any, error) {
	spec, ok := catalogue.Find(catalogue.Command, requestType)
	if !ok {
		return nil, unknownCommand(requestType)
	}
	if instead, is := owned(requestType); is {
		return nil, fault.New(fault.Invalid, "send.owned", "%s is not sent as it is. %s.", requestType, instead).On("command")
	}
	values := make(map[string]any, len(args))
	for k, v := range args {
		values[k] = v
	}
	body, err := spec.Build(values)
	if m, is := errors.AsType[*catalogue.Misfit](err); is {
		return nil, refused(m)
	}
	return body, err
}

func unknownCommand(name string) error {
	shown := Clean(name)
	if r := []rune(shown); len(r) > 60 {
		shown = string(r[:60]) + "…"
	}
	if like := catalogue.Nearest(Clean(name), catalogue.Names(catalogue.Command)); like != "" {
		return fault.New(fault.Invalid, "send.unknown-command", "Apple's schema has no command \"%s\" for iPads. Is %s meant?", shown, like).On("command")
	}
	return fault.New(fault.Invalid, "send.no-such-command", "Apple's schema has no command \"%s\" for iPads. See Apple's documentation, Device Management, Commands and queries.", shown).On("command")
}

// refused says why arguments do not fit a command.
func refused(m *catalogue.Misfit) *fault.Fault {
	f := fault.New(fault.Invalid, "send.type", "An argument has the wrong type: %s", m.Text)
	switch m.Code {
	case "unknown-key":
		f = fault.New(fault.Invalid, "send.unknown-key", "There is no such argument: %s", m.Text)
	case "no-keys":
		f = fault.New(fault.Invalid, "send.no-keys", "The command takes no arguments: %s", m.Text)
	case "missing":
		f = fault.New(fault.Invalid, "send.missing", "An argument is missing: %s", m.Text)
	case "value":
		f = fault.New(fault.Invalid, "send.value", "A value is not allowed: %s", m.Text)
	case "item":
		f = fault.New(fault.Invalid, "send.item", "It is not told which setting is meant: %s", m.Text)
	case "depth":
		f = fault.New(fault.Invalid, "send.depth", "An argument is nested too deep: %s", m.Text)
	case "null":
		f = fault.New(fault.Invalid, "send.null", "An argument is empty: %s", m.Text)
	case "characters":
		f = fault.New(fault.Invalid, "send.characters", "An argument cannot be sent: %s", m.Text)
	case "twice":
		f = fault.New(fault.Invalid, "send.twice", "An argument is given twice: %s", m.Text)
	}
	return f.On(m.Path)
}
