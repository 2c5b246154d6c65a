# `make demo` and `make test` are all a newcomer needs: each installs what is missing, builds and runs.

SWIFT ?= swift
# Where the demo writes its data and runs.
DEMO_OUTPUT ?= icnn-demo
BENCH_STEPS ?= 10
# mpirun refuses to work for root unless told twice.
MPI_AS_ROOT = $(if $(filter 0,$(shell id -u)),OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)

.PHONY: demo test build release format lint bench dependencies clean

demo: release
	.build/release/icnn demo --output $(DEMO_OUTPUT)

test: dependencies
	$(SWIFT) test

build: dependencies
	$(SWIFT) build

release: dependencies
	$(SWIFT) build -c release --product icnn

dependencies:
	@command -v $(SWIFT) >/dev/null || { echo "error: no Swift toolchain – $(SWIFT) – install Swift 6.3 from https://www.swift.org/install/linux" >&2; exit 78; }
	@deploy/install-dependencies.sh

format:
	$(SWIFT) format -i -r Sources Tests Package.swift

lint:
	$(SWIFT) format lint --strict -r Sources Tests Package.swift

bench: release
	.build/release/icnn bench --network compact --batch-size 32 --classes 6 --steps $(BENCH_STEPS)
	.build/release/icnn bench --network alexnet --batch-size 16 --steps $(BENCH_STEPS) --ordinary
	.build/release/icnn bench --network alexnet --batch-size 16 --steps $(BENCH_STEPS)
	$(MPI_AS_ROOT) mpirun --oversubscribe -np 2 .build/release/icnn bench --network alexnet --batch-size 16 --steps $(BENCH_STEPS) --threads 1

clean:
	$(SWIFT) package clean
