# `make` alone lists the targets. The line after `##` is the help text.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Vetting was done before; programs that only run once need nothing for debuggers.
TEST_FLAGS    := -vet=off -ldflags='-s -w' -timeout 15m
# Else each program that was built with the race detector ends a second late.
test: export GORACE := atexit_sleep_ms=0
# What takes longest begins first, so that no processor waits for it at the end.
LONGEST       := ./cmd/sallyport ./api/console ./bridge ./api

# What the race detector makes too slow: most of what is repeated, in files that are not built with it.
UNRACED       := Schedules|EveryFlippedBit|EveryTruncation|EveryBit|DamageAnywhere|LittleMemory|EveryFigure

.PHONY: help build demo test test-api test-search lint bench screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/sallyport, one static file
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sallyport ./cmd/sallyport

demo: ## build, then carry real requests across the gap and their answers back, and prove it
	@begun=$$SECONDS; $(MAKE) --no-print-directory build; echo "built in $$((SECONDS - begun)) s"
	@set -e; data=$$(mktemp -d "$${TMPDIR:-/tmp}/sallyport-demo.XXXXXX"); trap 'rm -rf "$$data"' EXIT; \
	bin/sallyport dev --demo --data "$$data"

test: ## run every check and test; installs or downloads what is missing, and says what
	@set -euo pipefail; begun=$$SECONDS; \
	added=$$(mktemp); scripts/setup-test.sh >"$$added" & setup=$$!; \
	trap 'wait; rm -f "$$added"; go run ./internal/pgdev/pgtest/pgteststop || true' EXIT; \
	unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed:" $$unformatted; exit 1; fi; \
	race=-race; export CGO_ENABLED=1; \
	if ! command -v "$$(go env CC)" >/dev/null; then \
		race=; CGO_ENABLED=0; echo "no C compiler found: the tests run without the race detector"; \
	fi; \
	go vet $$race ./...; \
	wait "$$setup"; export PATH="$$(sed 's/$$/:/' "$$added")$$PATH"; \
	failed() { echo "make test: FAILED after $$((SECONDS - begun)) s"; exit 1; }; \
	go test $$race $(TEST_FLAGS) $(LONGEST) ./... || failed; \
	[ -z "$$race" ] || go test $(TEST_FLAGS) -run '$(UNRACED)' ./bridge ./internal/bench ./cmd/sallyport ./bridge/... || failed; \
	echo "make test: all passed in $$((SECONDS - begun)) s$${race:+, with the race detector}"

test-api: build ## let Schemathesis (from PyPI, into .cache) loose on both sites for two minutes; needs Python 3.10
	python3 scripts/test-api.py

test-search: ## test the elasticsearch responder on real engines (from Maven Central, into .cache); needs a JDK and Maven
	scripts/test-search.sh

lint: ## run the pinned linters and the vulnerability check (the first run builds them)
	go vet ./...
	go run $(GOLANGCI_LINT) run ./...
	go run $(GOVULNCHECK) ./...

bench: build ## measure the figures of the quality targets
	bin/sallyport bench

bench-peers: ## measure message-db and Emmett (from npm, into .cache) and watermill-sql beside this log
	scripts/bench-peers.sh

screenshots: ## write pictures of every page of the console to .cache/screenshots; needs Chromium
	@set -euo pipefail; added=$$(scripts/setup-test.sh); export PATH="$${added:+$$added:}$$PATH"; \
	trap 'go run ./internal/pgdev/pgtest/pgteststop || true' EXIT; \
	rm -rf .cache/screenshots; go test -count 1 -run TestScreenshots ./api/console -screenshots "$$PWD/.cache/screenshots"

clean: ## remove what was built and downloaded here
	rm -rf bin .cache
