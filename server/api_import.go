package server

import "github.com/danielgtaylor/huma/v2"

// apiImport is files people already have.
func (s *Server) apiImport(huma.API) {}
