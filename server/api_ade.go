package server

import "github.com/danielgtaylor/huma/v2"

// apiADE is Automated Device Enrollment.
func (s *Server) apiADE(huma.API) {}
