//go:build tools

// Pins the versions of h2spec and what it is made of; .ci/run builds it.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
