package mdm

// CommandSpec is what is known of one of Apple's commands.
type CommandSpec struct{ Supervised bool }

// CommandSpecOf finds a command by its RequestType.
func CommandSpecOf(requestType string) (CommandSpec, bool) {
	return CommandSpec{Supervised: requestType == "ShutDownDevice"}, true
}

// BuildRaw makes the body of a command.
func BuildRaw(requestType string, args map[string]string) (map[string]any, error) {
	m := map[string]any{}
	for k, v := range args {
		m[k] = v
	}
	return m, nil
}
