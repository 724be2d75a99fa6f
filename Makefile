# chanrt.h: demo, tests, benchmarks, installation. Whatever is built lies under build/.
#
#     make CC=clang test            another compiler
#     make build/spec/chan          one test program; then build/spec/chan part_of_a_name
#     make FLAGS=-DCHANRT_DEBUG=1   one more flag for everything

MAKEFLAGS += -j$(shell nproc)
ifeq ($(origin CC),default)
CC    := gcc
endif
CXX   := $(subst gcc,g++,$(subst clang,clang++,$(CC)))
B     ?= build
STD   ?= -std=c11
STDXX ?= -std=c++17
OPT   ?= -O2 -g
FLAGS ?=
LIBS  ?= -lcmocka
WARN  ?= -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror
ALL    = $(OPT) $(WARN) -pthread -I. -Itests $(FLAGS)
BUILD  = @mkdir -p $(@D) && $(CC) $(STD) $(ALL)
NAMED  = @[ ! -e $@.exe ] || ln -f $@.exe $@    # what MinGW's gcc makes of -o $@
NEED   = @CC="$(CC)" tests/tools/need.sh

export PREFIX DESTDIR B CC STD STDXX OPT FLAGS LIBS WARN SECS SEED

.SECONDARY:
.SECONDEXPANSION:
.PHONY: explore orders fuzz help demo test examples tour matrix matrix-full stress bench bench-gate bench-plots \
    bench-peers bench-scale model mutants lint install uninstall clean

help:       ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo:       ## count the words of this repository with many tasks
demo: need-demo $(B)/examples/wordcount
	$(B)/examples/wordcount

test:       ## every program, document and example, and lint: five minutes
test: need-test
	@TEST_SCALE=$${TEST_SCALE:-0.3} tests/run.sh unit spec history explore fuzz names hooks gdb trace \
	    profile fail mistakes install migrating examples net tour docs lint

examples:   ## build every example, run it, compare what it prints
examples: need-demo
	$(NEED) g++
	@tests/run.sh examples

tour:       ## the examples as lessons, pages for a browser: build/tour/index.html
	@tests/tools/tour.sh

matrix:     ## compilers, standards, switches, sanitizers: tests/config/matrix.txt
matrix: need-test
	$(NEED) sanitizers valgrind crosses
	@tests/config/matrix.sh

matrix-full: ## and every compiler, language standard and processor packaged: an hour
matrix-full: need-test
	$(NEED) sanitizers valgrind crosses compilers
	@FULL=1 tests/config/matrix.sh

stress:     ## random load for SECS= seconds a program, from SEED=
stress: need-test
	@tests/stress/run.sh

bench:      ## beside Go where go is installed
	@tests/bench/run.sh

bench-gate: ## instructions, locked ones, system calls, page faults an operation
bench-gate: need-demo
	$(NEED) valgrind
	@tests/bench/gate.sh

bench-plots: ## SVG of what the last bench measured
	$(NEED) gnuplot
	@tests/bench/plots.sh

bench-peers: ## bench with peers given as NECO=dir LIBDILL=dir ARGOBOTS=dir CROSSBEAM=dir, too
	@NECO="$(NECO)" LIBDILL="$(LIBDILL)" ARGOBOTS="$(ARGOBOTS)" CROSSBEAM="$(CROSSBEAM)" \
	    tests/bench/run.sh

bench-scale: ## some rows with 1 to 16 workers
	@tests/bench/scale.sh

model:      ## check the protocols with Spin
	$(NEED) spin
	@tests/model/run.sh

orders:     ## weak memory: the protocols as they are, and with each order weakened
	$(NEED) g++ relacy
	@tests/orders/run.sh

explore:    ## small programs in many orders of the runtime's own steps: SEEDS=, SEED=, SCENARIO=, PREEMPT=
	@tests/explore/run.sh

fuzz:       ## libFuzzer for SECS=60, or AFL++ for AFL=60, on programs made of bytes, against a model
	$(NEED) sanitizers
	@[ -n "$(AFL)" ] || export SECS=$${SECS:-60}; AFL=$(AFL) tests/fuzz/run.sh

mutants:    ## the header with one mistake at a time; NAMES= or FAST=1 some, WIDE=1 all tests
	$(NEED) cc clang
	@tests/mutants/run.sh $(NAMES)

coverage:   ## lines and branches of the header that the tests run, by room
coverage: need-test
	@tests/coverage/run.sh

soak:       ## mixed load for SECS=600: memory, descriptors, and whether everybody runs
	@tests/stress/soak.sh

# What is run when: tests/tools/tier.sh says it.
commit:     ## in 3 minutes: gcc, clang with sanitizers, 1,000 seeds a scenario, fuzz examples, models
commit: need-test
	$(NEED) sanitizers spin tcc cppcheck
	@tests/tools/tier.sh commit
merge:      ## in 30: make test, sanitizers, 20,000 seeds a scenario, memory orders, some mutants
merge: need-test
	$(NEED) sanitizers relacy cppcheck
	@tests/tools/tier.sh merge
nightly:    ## in 8 hours: the same with all rounds, all mutants, coverage, stress, soak
nightly: need-test
	@tests/tools/tier.sh nightly
release:    ## in 72 hours: nightly on more machines, every compiler, a long soak
release: need-test
	@tests/tools/tier.sh release

lint:       ## rooms, layering, ordering tags, house style
	@tests/run.sh lint

install:    ## header, manual pages, for pkg-config and CMake: to PREFIX=/usr/local under DESTDIR=
	@tests/tools/install.sh install

uninstall:  ## takes them away again
	@tests/tools/install.sh uninstall

clean:      ## rm -rf build
	rm -rf build

.PHONY: need-demo need-test
need-demo:
	$(NEED) cc stb
need-test:
	$(NEED) cc stb cmocka gcc g++ clang install curl

#-------------------------------------------------------------------------------
# One rule per folder. A white-box test holds the implementation itself.

IMPL  = $(if $(findstring CHANRT_STATIC,$(FLAGS)),,$(B)/impl.o)
FRAME = chanrt.h tests/test.h $(wildcard tests/spec/*.h tests/unit/*.h tests/stress/*.h)

$(B)/impl.o: tests/impl.c $(FRAME)
	$(BUILD) -c -o $@ $<
$(B)/main.o: tests/main.c $(FRAME)
	$(BUILD) -c -o $@ $<
$(B)/unit/%: tests/unit/%.c tests/impl.c $(B)/main.o $(FRAME)
	$(BUILD) -o $@ $< $(B)/main.o $(LIBS)
# The users' view of ThreadSanitizer: the program is watched, the runtime is not.
$(B)/races/impl.o: tests/impl.c chanrt.h
	@mkdir -p $(@D) && clang $(STD) $(ALL) -DCHANRT_TSAN_USER=1 -c -o $@ $<
$(B)/races/%: tests/races/%.c $(B)/races/impl.o tests/main.c $(FRAME)
	@mkdir -p $(@D) && clang $(STD) $(ALL) -fsanitize=thread -o $@ $(filter %.c %.o,$^) $(LIBS)
$(B)/history/%: tests/history/%.c tests/impl.c $(B)/main.o $(wildcard tests/history/*.h) $(FRAME)
	$(BUILD) -o $@ $< $(B)/main.o $(LIBS)
$(B)/spec/%: tests/spec/%.c $(IMPL) $(B)/main.o $(FRAME)
	$(BUILD) -o $@ $(filter %.c %.o,$^) $(LIBS)
	$(NAMED)
$(B)/stress/%: tests/stress/%.c $(B)/impl.o $(FRAME)
	$(BUILD) -o $@ $(filter %.c %.o,$^) -lm
$(B)/config/%: tests/config/%.cc $(B)/impl.o chanrt.h
	@mkdir -p $(@D) && $(CXX) $(STDXX) $(filter-out -std=%,$(ALL)) -o $@ $< $(B)/impl.o
	$(NAMED)
$(B)/config/%: $$(wildcard tests/config/$$*.c tests/config/$$*/*.[ch]) chanrt.h
	$(BUILD) -o $@ $(filter %.c,$^)
	$(NAMED)
$(B)/examples/%: examples/%/main.cc $$(wildcard examples/$$*/*.c) chanrt.h
	$(BUILD) -c -o $@.o $(filter %.c,$^)
	@$(CXX) $(STDXX) $(filter-out -std=%,$(ALL)) -o $@ $< $@.o
$(B)/examples/%: $$(wildcard examples/$$*.c examples/$$*/*.[ch]) chanrt.h
	$(BUILD) -o $@ $(filter %.c,$^) -lm
