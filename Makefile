# make test installs what it needs where it is missing (Debian, as root) and
# brings its own PostgreSQL: nothing has to be prepared but Go and git.

.PHONY: test check lint build bench fuzz setup

test: setup lint
	CI=1 .ci/with-postgres go test -race -timeout 60m ./...

# The same without the race detector, for while one works.
check: setup lint
	CI=1 .ci/with-postgres go test -timeout 60m ./...

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; fi
	go vet ./...

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ranzen ./cmd/ranzen

bench: setup
	CI=1 .ci/with-postgres .ci/bench

fuzz: setup
	CI=1 .ci/with-postgres .ci/fuzz 10s

setup:
	@.ci/setup
