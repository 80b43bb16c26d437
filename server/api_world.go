package server

import "github.com/danielgtaylor/huma/v2"

// apiWorld is whose devices are and where.
func (s *Server) apiWorld(huma.API) {}
