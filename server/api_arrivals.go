package server

import "github.com/danielgtaylor/huma/v2"

// apiArrivals is iPads that wait for a person: held, or in Setup Assistant.
func (s *Server) apiArrivals(huma.API) {}
