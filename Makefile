# Everything a person types. `make` alone lists the targets; every variable may be overridden:
#   make demo DEMO_OPTIONS="--epochs 2"      make test TEST_OPTIONS="--filter Golden"
#   make bench BATCH_SIZE=64 NETWORK=vgg16 RANKS=4

SWIFT ?= swift
# Passed to every build, test and look for the products: -j 4, --scratch-path DIR, …
BUILD_OPTIONS ?=
DEMO_FOLDER ?= runs/demo
DEMO_OPTIONS ?=
TEST_OPTIONS ?=

# make bench: network of the second and third group, images of one step, timed steps, ranks of the last group.
NETWORK ?= alexnet
BATCH_SIZE ?= 16
STEPS ?= 10
RANKS ?= 2
MPIRUN ?= mpirun -np $(RANKS) --oversubscribe --bind-to none

# Expanded only where a built icnn is used.
ICNN = $$($(SWIFT) build -c release $(BUILD_OPTIONS) --show-bin-path)/icnn

# Open MPI refuses root unless it is told twice, and wants ssh even on one host.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT ?= 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM ?= 1
endif
ifeq ($(shell command -v ssh),)
export OMPI_MCA_plm ?= isolated
endif

.PHONY: help
help:
	@echo "make demo          train on built-in images: ordinary and interpretable, one process and two ranks"
	@echo "make test          build and run all tests"
	@echo "make build         optimised icnn; prints its path"
	@echo "make bench         images per second of training steps, alone and under mpirun"
	@echo "make format        rewrite the Swift sources in the project's style"
	@echo "make lint          check it, and the shell scripts where shellcheck is installed"
	@echo "make dependencies  install the libraries that are missing (Debian, Ubuntu)"
	@echo "make clean         remove what was built"

.PHONY: demo
demo: release
	@mkdir -p $(dir $(DEMO_FOLDER))
	$(ICNN) demo --output $(DEMO_FOLDER) $(DEMO_OPTIONS)

.PHONY: test
test: dependencies
	$(SWIFT) test $(BUILD_OPTIONS) $(TEST_OPTIONS)

.PHONY: build
build: release
	@echo "$(ICNN)"

.PHONY: release
release: dependencies
	$(SWIFT) build -c release $(BUILD_OPTIONS) --product icnn

.PHONY: bench
bench: release
	$(ICNN) bench --network compact --batch-size $(BATCH_SIZE) --steps $(STEPS) --ordinary
	$(ICNN) bench --network compact --batch-size $(BATCH_SIZE) --steps $(STEPS)
	$(ICNN) bench --network $(NETWORK) --batch-size $(BATCH_SIZE) --steps $(STEPS) --ordinary
	$(ICNN) bench --network $(NETWORK) --batch-size $(BATCH_SIZE) --steps $(STEPS)
	$(MPIRUN) $(ICNN) bench --network $(NETWORK) --batch-size $(BATCH_SIZE) --steps $(STEPS)

FORMATTED = Sources Tests Package.swift

.PHONY: format
format: toolchain
	$(SWIFT) format format --in-place --parallel --recursive $(FORMATTED)

.PHONY: lint
lint: toolchain
	$(SWIFT) format lint --strict --parallel --recursive $(FORMATTED)
	@if command -v shellcheck >/dev/null; then \
	  echo shellcheck && shellcheck .ci/run .ci/compare-ranks deploy/install-dependencies.sh deploy/slurm/train.sbatch; \
	else \
	  echo "shellcheck is not installed: shell scripts are not checked"; \
	fi

.PHONY: dependencies
dependencies: toolchain
	@deploy/install-dependencies.sh

.PHONY: toolchain
toolchain:
	@command -v $(firstword $(SWIFT)) >/dev/null || { \
	  echo "error: no Swift compiler – '$(firstword $(SWIFT))' is not on the PATH –" \
	    "install a Swift 6.3 toolchain (https://www.swift.org/install/linux) or set SWIFT=/path/to/swift" >&2; \
	  exit 78; }

.PHONY: clean
clean:
	rm -rf .build .build-*
