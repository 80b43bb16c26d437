package server

import "github.com/danielgtaylor/huma/v2"

// apiDeliveries is pallets, scanners and boards.
func (s *Server) apiDeliveries(huma.API) {}
