# socketmaster: build, test, prove. `make help` lists what there is to make. Quiet unless V=1.
#
#   CC=clang        another compiler        BUILD=DIR       where things go
#   SANITIZE=1      ASan and UBSan          FUZZ=1          libFuzzer's instrumentation (clang)
#   COVERAGE=1      counts what is run (clang-19)
#   WERROR=         warnings do not stop the build

CC      = gcc
BUILD   = $(if $(SANITIZE),build/asan,$(if $(FUZZ),build/fuzz,$(if $(COVERAGE),build/coverage,build)))
PREFIX  = /usr/local
VERSION = 0.1.0
PYTHON  = /usr/bin/python3

WERROR   = -Werror
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
           -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wpointer-arith -Wwrite-strings \
           -Wundef -Wformat=2 -Wvla -Wswitch-enum -Wnull-dereference -Wdouble-promotion $(WERROR)
CPPFLAGS = -D_GNU_SOURCE -DSOCKETMASTER_VERSION='"$(VERSION)"' -iquote src
CFLAGS   = -std=c17 -O2 -g $(WARNINGS) $(MODE)
LDFLAGS  = $(MODE_LINK)
LDLIBS   = -Wl,--as-needed -lyaml

ifdef SANITIZE
MODE      = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_LINK = $(MODE)
else ifdef FUZZ
MODE      = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
MODE_LINK = -fsanitize=fuzzer,address,undefined
else ifdef COVERAGE
MODE      = -O1 -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc
MODE_LINK = -fprofile-instr-generate
else
CONTROL_FLOW := $(if $(filter x86_64 i686,$(shell uname -m)),-fcf-protection)
MODE      = -fPIE -fstack-protector-strong -fstack-clash-protection $(CONTROL_FLOW) \
            -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fno-plt
MODE_LINK = -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif

Q = $(if $(V),,@)
say = $(if $(V),,@echo '  $(1)	$(2)')

# A room is src/ROOM.c and, where it has several files, src/ROOM_*.c. Their stairs are in ci/rooms.
ROOMS = text core uri envp childlog flag notify_message proto tally cli report status os_posix console \
        log listener spawn ancestor notify relay control setup supervisor client main
objects = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(sort $(wildcard $(1:%=src/%.c) $(1:%=src/%_*.c))))

.PHONY: all
all: $(BUILD)/socketmaster ## builds build/socketmaster

$(BUILD)/socketmaster: $(call objects,$(ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BUILD)/obj/*.d $(BUILD)/test/*.d $(BUILD)/fixture/*.d $(BUILD)/bench/*.d $(BUILD)/sim/*.d \
                      $(BUILD)/sweep/*.d $(BUILD)/judge/*.d $(BUILD)/*.d)

# Other flags than last time make everything anew: this file changes when they do.
FLAGS = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)
$(BUILD)/flags: export NOW = $(FLAGS)
$(BUILD)/flags: always
	@mkdir -p $(BUILD)/obj $(BUILD)/test $(BUILD)/fixture $(BUILD)/bench $(BUILD)/sim $(BUILD)/sweep \
	    $(BUILD)/judge
	@echo "$$NOW" | cmp -s - $@ || echo "$$NOW" >$@
.PHONY: always

# --- unit tests: each names the rooms that it links ---------------------------------------------
UNIT_text       = text
UNIT_core       = core
UNIT_core_rollout = $(UNIT_core)
UNIT_core_stop  = $(UNIT_core)
UNIT_core_fleet = $(UNIT_core)
UNIT_core_hold  = $(UNIT_core)
UNIT_core_mode  = $(UNIT_core)
UNIT_core_pool  = $(UNIT_core)
UNIT_core_ready = $(UNIT_core)
UNIT_core_scale = $(UNIT_core)
UNIT_core_smooth = $(UNIT_core)
UNIT_tally      = core tally
UNIT_uri        = text uri
UNIT_envp       = text envp
UNIT_childlog   = text childlog
UNIT_notify_message = text notify_message
UNIT_proto      = text proto
UNIT_proto_limits = $(UNIT_proto)
UNIT_proto_reply = $(UNIT_proto)
UNIT_proto_mapping = $(UNIT_proto)
UNIT_cli        = text uri envp flag cli
UNIT_cli_option = $(UNIT_cli)
UNIT_cli_signal = $(UNIT_cli)
UNIT_report     = text core report flag cli uri envp
UNIT_status     = text core flag cli uri envp tally status
UNIT_proto_answer = $(UNIT_proto)
UNIT_flag       = text flag
UNIT_status_json = $(UNIT_status)
UNIT_status_metrics = $(UNIT_status)
UNIT_status_state = $(UNIT_status)
UNIT_status_table = $(UNIT_status)
UNIT_log        = text childlog log
UNIT_listener   = text uri listener
UNIT_listener_file    = $(UNIT_listener)
UNIT_listener_inherit = $(UNIT_listener)
UNIT_listener_guard   = $(UNIT_listener)
UNIT_listener_private = $(UNIT_listener)
UNIT_spawn      = text envp spawn
UNIT_ancestor   = ancestor
UNIT_notify     = text envp ancestor notify
UNIT_os_posix   = os_posix
UNIT_os_posix_output = os_posix
UNIT_os_posix_file = os_posix
UNIT_os_posix_notify = os_posix text envp ancestor notify
UNIT_os_posix_connection = os_posix
UNIT_os_posix_watch = os_posix
UNIT_os_fault   =
UNIT_os_sim     = text envp
UNIT_os_sim_control = $(UNIT_os_sim)
UNIT_os_sim_control_judge = $(UNIT_os_sim)
UNIT_os_sim_holdings = $(UNIT_os_sim)
UNIT_os_sim_messages = $(UNIT_os_sim)
UNIT_os_sim_rollouts = $(UNIT_os_sim)
UNIT_console    = text console
UNIT_client     = text envp flag proto client
UNIT_relay      = text childlog log relay
UNIT_control    = text uri envp flag cli proto ancestor control
UNIT_control_command = $(UNIT_control)
UNIT_control_flood = $(UNIT_control)
UNIT_control_chaos = $(UNIT_control)
UNIT_control_peer = $(UNIT_control)
UNIT_setup      = text uri envp flag cli listener spawn setup
UNIT_supervisor = text core uri envp childlog flag notify_message proto tally cli report status \
                  console log listener ancestor notify spawn relay control setup supervisor
UNIT_supervisor_control = $(UNIT_supervisor)
UNIT_supervisor_command = text supervisor_command
UNIT_supervisor_faults = $(UNIT_supervisor)
UNIT_supervisor_log = $(UNIT_supervisor)
UNIT_supervisor_ready = $(UNIT_supervisor)
# Hands are tested against the scripted fake of the port.
UNIT_FAKED      = console log listener listener_file listener_inherit listener_guard \
                  listener_private spawn ancestor notify relay control control_chaos control_flood control_peer \
                  setup client supervisor supervisor_control supervisor_faults supervisor_log \
                  supervisor_ready

UNITS = $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
FAKES = $(patsubst tests/fixtures/%.c,$(BUILD)/fixture/%.o,$(wildcard tests/fixtures/os_fake*.c))
FAULTS = $(patsubst tests/fixtures/%.c,$(BUILD)/fixture/%.o,$(wildcard tests/fixtures/os_fault*.c))
SIMS = $(patsubst tests/fixtures/%.c,$(BUILD)/fixture/%.o,$(wildcard tests/fixtures/os_sim*.c))

$(BUILD)/test/%.o: tests/unit/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -Itests/fixtures $(filter-out -Wcast-qual,$(CFLAGS)) -MMD -MP -c -o $@ $<
$(BUILD)/fixture/%.o: tests/fixtures/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -Itests/fixtures $(CFLAGS) -MMD -MP -c -o $@ $<

define unit_rule
$(BUILD)/test/test_$(1): $(BUILD)/test/test_$(1).o $(call objects,$(UNIT_$(1))) \
    $(if $(filter $(1),$(UNIT_FAKED)),$(FAKES)) $(if $(filter $(1),os_fault),$(FAULTS)) \
    $(if $(filter os_sim%,$(1)),$(SIMS))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -lcmocka $$(LDLIBS)
endef
$(foreach unit,$(UNITS),$(eval $(call unit_rule,$(unit))))

.PHONY: unit unit-build
unit-build: $(UNITS:%=$(BUILD)/test/test_%)
unit: unit-build ## runs the unit tests (also with SANITIZE=1)
	$(Q)status=0; for t in $(UNITS); do $(BUILD)/test/test_$$t || status=1; done; exit $$status

# --- fixtures: programs that the integration tests, the demo and the bench run -------------------
FIXTURES = $(BUILD)/fixture/server $(BUILD)/fixture/load $(BUILD)/fixture/wire $(BUILD)/fixture/status
.PHONY: fixtures
fixtures: $(FIXTURES)
$(BUILD)/fixture/wire: $(call objects,text proto)
$(BUILD)/fixture/status: $(call objects,text core flag cli uri envp tally status)
$(FIXTURES): $(BUILD)/fixture/%: tests/fixtures/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -MT $@ $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -lpthread $(LDLIBS)

# --- the simulator: the rooms above the port, on a kernel in memory -------------------------------
SIM = $(BUILD)/sim/sim
SIM_ROOMS = $(filter-out os_posix main,$(ROOMS))
SIM_FIXTURES = $(SIMS) $(FAULTS)
WORLD = $(BUILD)/sim/world.o $(BUILD)/sim/configuration.o $(SIM_FIXTURES)
$(BUILD)/sim/%.o: tests/sim/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -Itests/fixtures $(CFLAGS) -MMD -MP -c -o $@ $<
$(SIM): $(BUILD)/sim/sim.o $(WORLD) $(call objects,$(SIM_ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)

# --- the sweep: every call of the port fails in every way, everywhere -----------------------------
# Two worlds: the real kernel, and one in memory.
sweep_objects = $(patsubst tests/sweep/%.c,$(BUILD)/sweep/%.o,tests/sweep/sweep.c \
                  tests/sweep/sweep_$(1).c $(wildcard tests/sweep/$(1)_*.c))
SWEEP_JOBS = $(shell nproc)
.PHONY: sweep-build sweep sweep-short
sweep-build: $(BUILD)/sweep/sweep_kernel $(BUILD)/sweep/worker $(BUILD)/sweep/sweep_sim
$(BUILD)/sweep/%.o: tests/sweep/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -Itests/fixtures $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/sweep/sweep_kernel: $(call sweep_objects,kernel) $(FAULTS) \
    $(call objects,$(UNIT_supervisor) os_posix)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)
$(BUILD)/sweep/sweep_sim: $(call sweep_objects,sim) $(SIM_FIXTURES) $(call objects,$(SIM_ROOMS))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LDLIBS)
# It is started a hundred thousand times, and is no part of what is tested.
$(BUILD)/sweep/worker: tests/sweep/worker.c tests/sweep/worker.h $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -std=c17 -O2 $(WARNINGS) -static -o $@ $<
sweep: sweep-build ## fails each call of the port in each way, everywhere (10 minutes)
	@ci/need sweep
	$(BUILD)/sweep/sweep_sim --jobs=$(SWEEP_JOBS)
	$(BUILD)/sweep/sweep_kernel --jobs=$(SWEEP_JOBS)
sweep-short: sweep-build ## all of it over the simulated kernel, a sample over the real one
	$(BUILD)/sweep/sweep_sim --jobs=$(SWEEP_JOBS)
	$(BUILD)/sweep/sweep_kernel --jobs=$(SWEEP_JOBS) --sample=15

# --- bench: its floors and tools, built as the product is ----------------------------------------
BENCHES = $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))
.PHONY: bench-build
bench-build: $(BENCHES)
$(BENCHES): $(BUILD)/bench/%: bench/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -MT $@ $(LDFLAGS) -o $@ $<

# --- fuzz targets, built with FUZZ=1 -------------------------------------------------------------
FUZZ_uri      = text uri
FUZZ_cli      = text uri envp flag cli
FUZZ_envp     = text envp
FUZZ_childlog = text childlog
FUZZ_notify   = text notify_message
FUZZ_proto    = text proto
FUZZ_core     = text core tally
FUZZ_answer   = text proto
FUZZ_control  = $(UNIT_control)
FUZZ_supervisor = $(SIM_ROOMS)
# Those that run in the simulated world.
FUZZ_WORLD    = supervisor

FUZZERS = $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
# The judge of a target is in files that bear its name. What it runs through is not what the fuzzer
# has to explore.
fuzz_judge = $(patsubst fuzz/%.c,$(BUILD)/judge/%.o,$(wildcard fuzz/$(1)_*.c))
comma = ,
$(BUILD)/judge/%.o: fuzz/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(subst fuzzer-no-link$(comma),,$(CFLAGS)) -MMD -MP -c -o $@ $<
define fuzz_rule
$(BUILD)/fuzz_$(1): fuzz/fuzz_$(1).c $(BUILD)/flags $(call objects,$(FUZZ_$(1))) \
    $(call fuzz_judge,$(1)) $(if $(filter $(1),$(FUZZ_WORLD)),$(WORLD))
	$$(call say,CC,$$<)
	$$(Q)$$(CC) $$(CPPFLAGS) -Itests/fixtures -Itests/sim $$(CFLAGS) -MMD -MP -MF $$@.d -MT $$@ $$(LDFLAGS) -o $$@ $$(filter %.c %.o,$$^) $$(LDLIBS)
endef
$(foreach target,$(FUZZERS),$(eval $(call fuzz_rule,$(target))))
.PHONY: fuzz-targets
fuzz-targets: $(FUZZERS:%=$(BUILD)/fuzz_%)

# --- proving: the long part is in ci/ -------------------------------------------------------------
FUZZ_SECONDS = 1800
export BUILD PYTHON

.PHONY: test check rules integration integration-asan integration-valgrind
test: ## fetches the tools that are missing, then runs every test and check (20 minutes)
	@ci/need test
	@ci/test
check: ## runs the checks of ci/ alone
	@ci/test check
rules: ## prints each rule of doc/contract.md with its tests
	@ci/rules
integration: ## runs the integration tests with the release build
	@ci/test integration
integration-asan: ## the same, built with ASan and UBSan
	@ci/test integration-asan
integration-valgrind: ## the same under valgrind
	@ci/test integration-valgrind

.PHONY: fuzz-build fuzz-short fuzz
fuzz-build:
	$(Q)$(MAKE) --no-print-directory CC=clang FUZZ=1 BUILD=$(BUILD)/fuzz fuzz-targets
fuzz-short: fuzz-build ## five seconds of each fuzz target
	@ci/fuzz 5
fuzz: ## FUZZ_SECONDS (1800) of each fuzz target
	@ci/need fuzz
	@$(MAKE) --no-print-directory fuzz-build
	@ci/fuzz $(FUZZ_SECONDS)

SEEDS = 100000
.PHONY: sim-build sim sim-short
sim-build: $(SIM)
sim: $(SIM) ## lives SEEDS (100000) simulated lives in both modes, and those that once went wrong
	@$(SIM) -list=tests/sim/seeds
	@$(SIM) -seeds=$(SEEDS)
sim-short: $(SIM) ## the latter, and a few thousand lives
	@$(SIM) -list=tests/sim/seeds
	@$(SIM) -seeds=2000 -jobs=1

.PHONY: coverage-build coverage
coverage-build:
	$(Q)$(MAKE) --no-print-directory CC=clang-19 COVERAGE=1 BUILD=$(BUILD)/coverage \
	    all unit-build $(patsubst tests/%,%-build,$(wildcard tests/sim tests/sweep))
coverage: ## tells what of each room the tests run; of the pure rooms it has to be all
	@ci/need coverage
	@$(MAKE) --no-print-directory coverage-build
	@ci/coverage

.PHONY: mutants
mutants: ## breaks the code in 300 ways, one at a time: the tests have to see it
	@ci/need mutants
	@ci/mutants $(MUTANTS_OPTIONS)

.PHONY: demo bench
demo: ## restarts servers under load, deploys a broken release, counts what was dropped
	@ci/need demo
	@$(MAKE) --no-print-directory all fixtures
	@sh tests/demo/demo.sh
bench: ## measures against floors taken beside it (BENCH_OPTIONS=--quick: a short run)
	@ci/need bench
	@$(MAKE) --no-print-directory all bench-build
	@$(PYTHON) bench/bench.py $(BENCH_OPTIONS)

# --- the rest -------------------------------------------------------------------------------------
.PHONY: install uninstall format clean help
BIN = $(DESTDIR)$(PREFIX)/bin
MAN = $(DESTDIR)$(PREFIX)/share/man/man1
COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
install: all ## installs the programs, their manuals and completion (PREFIX, DESTDIR)
	install -d $(BIN) $(MAN) $(COMPLETIONS)
	install -m 755 $(BUILD)/socketmaster $(BIN)/socketmaster
	ln -sf socketmaster $(BIN)/socketmasterctl
	install -m 644 man/socketmaster.1 man/socketmasterctl.1 $(MAN)
	install -m 644 completions/socketmaster $(COMPLETIONS)/socketmaster
	ln -sf socketmaster $(COMPLETIONS)/socketmasterctl
uninstall: ## takes them away again
	rm -f $(foreach name,socketmaster socketmasterctl,$(BIN)/$(name) $(MAN)/$(name).1 $(COMPLETIONS)/$(name))
format: ## lays out the C files as ci/format wants them
	$(Q)ci/format -i
clean: ## removes what was built
	$(Q)rm -rf $(BUILD)
help: ## prints this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1	/p' $(firstword $(MAKEFILE_LIST)) | \
	    while IFS='	' read -r name what; do printf '  make %-22s%s\n' "$$name" "$$what"; done
