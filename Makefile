# A thin front for CMake, Ninja and the scripts. `make help` lists the targets.
.DEFAULT_GOAL := build

APP     ?= examples/js/hello.mjs
PORT    ?= 8080
PREFIX  ?= /usr/local
MINUTES ?= 30
SECONDS ?= 60
TARGET  ?=
BUILD   ?= build
PYTHON  ?= /usr/bin/python3

.PHONY: build serve test bench fuzz fuzz-merge simulate soak browser mutants oracles elsewhere reference reference-js install package packages packages-run tidy format clean help configure

build: configure ## build the libraries, examples and tests into build/
	@cmake --build $(BUILD)

serve: configure ## run an app: make serve APP=examples/js/hello.mjs PORT=8080
	@cmake --build $(BUILD) --target carom_node
	@CAROM_NODE="$(abspath $(BUILD))/carom.node" exec node js/bin/carom.mjs serve $(APP) --port $(PORT)

test: ## run every check; one stage: test-tidy, -gcc, -js, -asan, -tsan, -valgrind
	@BUILD="$(BUILD)" tools/test-all

test-js:
	@BUILD="$(BUILD)" tools/test-all js nodes

test-%:
	@BUILD="$(BUILD)" tools/test-all $*

bench: build ## compare with other servers (script/bootstrap bench); QUICK=1: a short run
	@cmake --build $(BUILD) --target benchmarks
	@if command -v cargo >/dev/null && ls -d /usr/share/cargo/registry/hyper-0* >/dev/null 2>&1; then \
		cd bench/peers/hyper && cargo build --quiet --release --offline --target-dir $(abspath $(BUILD))/hyper; fi
	@QUICK="$(QUICK)" bench/run

fuzz: ## fuzz each target for SECONDS=60, or only TARGET=name; fuzz-merge: keep what was found
	@BUILD="$(BUILD)" SECONDS="$(SECONDS)" TARGET="$(TARGET)" tools/fuzz

fuzz-merge:
	@BUILD="$(BUILD)" TARGET="$(TARGET)" tools/fuzz merge

simulate: configure ## the engine on a simulated network: make simulate SECONDS=60, or one run: SEED=n
	@cmake --build $(BUILD) --target simulate
	@$(BUILD)/test/simulate $(if $(SEED),--seed $(SEED),--seconds $(or $(SECONDS),60) --marks)

browser: build ## an app in Chromium over every transport (script/bootstrap browser)
	@cd js && CAROM_NODE="$(abspath $(BUILD))/carom.node" node test/browser/drive.mjs

soak: build ## mixed load on C and JavaScript for MINUTES=30; memory and descriptors must stay flat; SOCKETS=1: WebSockets alone
	@cmake --build $(BUILD) --target bench-ws_load
	@CAROM_BUILD="$(abspath $(BUILD))" MINUTES="$(MINUTES)" SOCKETS="$(SOCKETS)" $(PYTHON) test/soak/soak.py

mutants: ## put small faults in, one by one, and see the test named for each fail: make mutants ONLY=wire
	@BUILD="$(BUILD)" $(PYTHON) tools/mutants $(ONLY)

oracles: build ## compare what Carom, Node and nginx read: make oracles SECONDS=60 SEED=1
	@CAROM_BUILD="$(abspath $(BUILD))" $(PYTHON) test/oracle/oracles.py --long --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

elsewhere: ## unit tests with musl, for 32 bits, on ARM, big-endian (script/bootstrap elsewhere)
	@BUILD="$(BUILD)" tools/elsewhere

reference: ## pages of the C API for a browser and for man(1), into build/reference (script/bootstrap reference)
	@BUILD="$(BUILD)" $(PYTHON) tools/reference

reference-js: ## pages of the JavaScript API for a browser, made from its types by typedoc: build/reference/js
	@BUILD="$(BUILD)" tools/js-reference

install: configure ## headers and libraries: make install PREFIX=/usr/local DESTDIR=
	@cmake --build $(BUILD) --target carom_static carom_shared
	@cmake --install $(BUILD) --prefix $(abspath $(PREFIX))

package: build ## the npm packages, of JavaScript and of this machine: build/carom-*.tgz
	@BUILD="$(BUILD)" tools/package

packages: ## the npm packages of all machines: build/packages/*.tgz (script/bootstrap packages); packages-run: serve with each
	@BUILD="$(BUILD)" tools/packages $(ONLY)

packages-run:
	@BUILD="$(BUILD)" $(PYTHON) test/packages/run.py $(ONLY)

tidy: configure ## check style, floors, comments and static analysis
	@$(PYTHON) tools/tidy

format: ## lay out all files: C by .clang-format, JavaScript by biome.jsonc
	@find include src test bench examples bindings -name '*.[ch]' 2>/dev/null | xargs -r clang-format -i
	@tools/js-packages
	@js/node_modules/.bin/biome format --write

clean: ## remove build/
	@rm -rf $(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

configure:
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(abspath $(PREFIX)) --log-level=NOTICE
