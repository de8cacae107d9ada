# Everything a contributor runs. `make help` lists it.

# One set of flags for builds and tests alike: a mix would compile everything twice.
# Tests vet nothing: go vet does all of it by itself, and they would look through
# all dependencies once more.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=false -vet=off

MODULES  := $(patsubst %/go.mod,%,$(shell git ls-files '*go.mod' | grep -v '^testbed/backends/'))
PRODUCTS := $(filter-out tools,$(MODULES))
SERVERS  := $(notdir $(wildcard servers/*))
PROGRAMS := $(patsubst %/main.go,./%,$(wildcard servers/*/cmd/*/main.go agentcore/cmd/*/main.go controller/cmd/*/main.go))
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# gRPC's traces keep the linker from dropping methods that nothing calls: 9 MB.
TAGS     := grpcnotrace
LDFLAGS  := -s -w -X github.com/toolcrib/toolcrib/mcpkit.version=$(VERSION)
IMAGES   := $(patsubst %,bin/images/%.tar,$(notdir $(PROGRAMS)))
NPM      := npm ci --no-audit --no-fund --loglevel=error

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test test-kind check format vet lint house tidy align generate generated build images push charts bench backends clients fuzz

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

demo: build ## ask a real cluster real questions: an embedded one, or yours when there is a kubeconfig
	@go run ./demo/cmd/demo --servers bin $(DEMO)

demo-stop: ## stop what the demo left running
	@go run ./demo/cmd/demo stop

test: backends clients ## run every test against real backends, built once into the cache
	go vet work
	go test -p 1 -timeout 40m work

test-kind: clients ## the same tests against a throw-away kind cluster (needs docker and kind)
	kind create cluster --name toolcrib-test --kubeconfig bin/kind.kubeconfig
	docker pull -q busybox:stable && docker tag busybox:stable toolcrib.test/busybox:1
	kind load docker-image toolcrib.test/busybox:1 --name toolcrib-test
	TOOLCRIB_KUBECONFIG=$(CURDIR)/bin/kind.kubeconfig go test -p 1 -timeout 40m ./servers/kubernetes/... ; \
	  status=$$?; kind delete cluster --name toolcrib-test; exit $$status

check: format tidy vet lint house generated ## everything a reviewer should not have to say
	@echo "check: clean"

format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }

tidy:
	@for m in $(MODULES); do echo "tidy $$m"; GOWORK=off GOFLAGS= go -C $$m mod tidy -diff || exit 1; done

align: ## have the modules ask for the versions that the workspace selects, so that dependencies compile once
	@GOFLAGS= go work sync
	@for m in $(MODULES); do GOWORK=off GOFLAGS= go -C $$m mod tidy || exit 1; done

vet:
	@for m in $(PRODUCTS); do echo "vet and build $$m"; GOWORK=off go -C $$m vet ./... && GOWORK=off go -C $$m build ./... || exit 1; done

lint:
	@GOWORK=off go -C tools build -o ../bin/ honnef.co/go/tools/cmd/staticcheck
	@for m in $(PRODUCTS); do echo "lint $$m"; ( cd $$m && GOWORK=off $(CURDIR)/bin/staticcheck ./... ) || exit 1; done

house: # never from the cache: go does not see that files outside the module changed
	@go test -count=1 ./internal/house

generate: ## rewrite generated files: CRDs, tool lists, tool tables, and what of the charts follows from them
	@GOWORK=off go -C tools build -o ../bin/ sigs.k8s.io/controller-tools/cmd/controller-gen
	@cd api && GOWORK=off $(CURDIR)/bin/controller-gen object crd paths=./toolcrib/... output:crd:dir=../charts/locks/manifests
	@cd api && GOWORK=off $(CURDIR)/bin/controller-gen object crd paths=./kagent/... output:crd:dir=../charts/controller/manifests
	@go run ./controller/cmd/controller rbac > charts/controller/manifests/roles.yaml
	@for s in $(SERVERS); do go test ./servers/$$s -run '^TestContract$$' -count=1 -update || exit 1; done
	@go test ./charts -run '^TestGenerated' -count=1 -update

generated: generate
	@git diff --exit-code --stat || { echo "generated files were not current: commit what make generate wrote"; exit 1; }

build: ## build the programs into bin/
	@mkdir -p bin
	@for p in $(PROGRAMS); do echo "build $${p##*/}"; go build -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/$${p##*/} $$p || exit 1; done

images: ## build the programs' images for amd64 and arm64 into bin/images, as OCI archives
	@for p in $(PROGRAMS); do for a in amd64 arm64; do \
	  echo "build $${p##*/} for $$a"; \
	  GOOS=linux GOARCH=$$a go build -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/linux-$$a/$${p##*/} $$p || exit 1; done; done
	@go run ./images/cmd/images build --version '$(VERSION)' --revision "$$(git rev-parse HEAD)" --created "$$(git log -1 --format=%cI)" \
	  $(foreach a,amd64 arm64,$(patsubst %,bin/linux-$(a)/%,$(notdir $(PROGRAMS))))

push: images ## push the images to REGISTRY, such as registry.example.com/toolcrib, with docker's credentials
	@test -n '$(REGISTRY)' || { echo "say where to: make push REGISTRY=registry.example.com/toolcrib"; exit 1; }
	@go run ./images/cmd/images push '$(REGISTRY)' $(IMAGES)

charts: ## package the charts into bin/charts, for the images of the same VERSION
	@go run ./charts/cmd/package --app-version '$(VERSION)' --destination bin/charts $(filter-out charts/crib,$(patsubst %/Chart.yaml,%,$(wildcard charts/*/Chart.yaml)))

bench: build backends ## side-by-side benchmarks and the token-cost report
	@go run ./bench/cmd/bench

backends: ## build the testbed's backends into the cache (minutes the first time, then nothing)
	@go run ./testbed/cmd/testbed build

clients: testbed/clients/node_modules/.package-lock.json

testbed/clients/node_modules/.package-lock.json: testbed/clients/package-lock.json
	cd testbed/clients && $(NPM)

fuzz: ## fuzz every target for FUZZTIME (10s each by default)
	@for f in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  for t in $$(grep -ohE '^func Fuzz[A-Za-z0-9_]+' $$f | cut -c6-); do \
	    echo "fuzz $$t"; go test -run '^$$' -fuzz "^$$t$$" -fuzztime $(or $(FUZZTIME),10s) ./$$(dirname $$f) || exit 1; done; done
