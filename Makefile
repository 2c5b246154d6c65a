# Everything a person types. `make` alone lists the targets; every variable may be overridden:
#   make demo DEMO_OPTIONS="--epochs 2"      make test TEST_OPTIONS="--filter Golden"
#   make bench BATCH_SIZE=64 NETWORK=vgg16 RANKS=4      make bench-peer PEER_OPTIONS="--networks vgg16 --rounds 5"

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

# make bench-kernels: options of Benchmarks/kernels.py.
KERNEL_OPTIONS ?=
# make bench-peer: a Python that has PyTorch, by default one of its own; options of Benchmarks/peer/compare.py.
PEER_FOLDER = .build-peer
PEER_MODULES = torch
PEER_PYTHON ?= $(PEER_FOLDER)/bin/python
PEER_OPTIONS ?=
PEER_RESULTS ?= runs/peer.jsonl
# make check-logits, make reproduce: a data set with photographs; options of their programs in Benchmarks.
DATA ?=
LOGITS_OPTIONS ?=
REPRODUCE_FOLDER ?= runs/reproduce
REPRODUCE_OPTIONS ?=

# A Python that has TensorBoard, for the tests that let it read event files.
TENSORBOARD_FOLDER = .build-tensorboard
# A Python that has ONNX Runtime, for the tests that let it compute logits.
ONNX_FOLDER = .build-onnx
# A Python that writes safetensors, for make imagenet.
IMAGENET_FOLDER = .build-imagenet
# A Python that has the schemas of Kubernetes, for deploy/check; deploy/check knows the name.
KUBERNETES_FOLDER = .build-kubernetes

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
	@echo "make bench-kernels speed of the C kernels as a multiple of their references, against thresholds"
	@echo "make bench-peer    icnn and PyTorch in turn on this machine (downloads PyTorch once, some gigabytes)"
	@echo "make check-logits  DATA=DIR: logits of icnn, PyTorch and ONNX Runtime on photographs"
	@echo "make check-deploy  container, manifests, unit, parameters of Open MPI, shell scripts"
	@echo "make reproduce     DATA=DIR: ordinary and interpretable twins on photographs with parts (a night)"
	@echo "make imagenet      NETWORK=alexnet|vgg16: convolutions trained on ImageNet, to begin with"
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

.PHONY: bench-kernels
bench-kernels: toolchain
	Benchmarks/kernels.py $(KERNEL_OPTIONS)

.PHONY: bench-peer
bench-peer: release peer-environment
	@mkdir -p $(dir $(PEER_RESULTS))
	Benchmarks/peer/compare.py --icnn $(ICNN) --peer-python $(PEER_PYTHON) --output $(PEER_RESULTS) $(PEER_OPTIONS)

# Python packages go into a folder of their own, from PyPI; another Python than that is used as it is.
.PHONY: peer-environment
peer-environment:
	@$(PEER_PYTHON) -c 'import $(PEER_MODULES)' 2>/dev/null || { \
	  [ "$(PEER_PYTHON)" = "$(PEER_FOLDER)/bin/python" ] || { \
	    echo "error: $(PEER_MODULES) cannot be imported – PEER_PYTHON=$(PEER_PYTHON) – install what is missing there or" \
	      "leave PEER_PYTHON out" >&2; exit 78; }; \
	  python3 -m venv $(PEER_FOLDER) && \
	  $(PEER_FOLDER)/bin/python -m pip install --quiet --requirement Benchmarks/peer/requirements.txt; }

# Logits of icnn, PyTorch and ONNX Runtime on 50 photographs of DATA, for every network.
check-logits: PEER_MODULES = torch, onnxruntime, PIL, safetensors
.PHONY: check-logits
check-logits: release peer-environment
	@[ -n "$(DATA)" ] || { \
	  echo "error: no photographs – DATA – give the folder of a data set: make check-logits DATA=DIR" >&2; exit 64; }
	$(PEER_PYTHON) -B Benchmarks/peer/check_logits.py --icnn $(ICNN) --data $(DATA) $(LOGITS_OPTIONS)

# Ordinary and interpretable twins on the photographs of DATA, several seeds each: hours. Goes on where it was interrupted.
.PHONY: reproduce
reproduce: release
	@[ -n "$(DATA)" ] || { \
	  echo "error: no photographs – DATA – give a data set with parts: make reproduce DATA=DIR" >&2; exit 64; }
	python3 -B Benchmarks/reproduce/reproduce.py --icnn $(ICNN) --data $(DATA) --output $(REPRODUCE_FOLDER) \
	  $(REPRODUCE_OPTIONS)

# The convolutions of NETWORK, alexnet or vgg16, trained on ImageNet, for `icnn train --initial-weights` and `make reproduce`.
imagenet: NETWORK = alexnet
.PHONY: imagenet
imagenet:
	@$(IMAGENET_FOLDER)/bin/python -c 'import numpy, safetensors' 2>/dev/null || { \
	  python3 -m venv $(IMAGENET_FOLDER) && \
	  $(IMAGENET_FOLDER)/bin/python -m pip install --quiet --requirement Benchmarks/reproduce/requirements.txt; }
	$(IMAGENET_FOLDER)/bin/python -B Benchmarks/reproduce/imagenet.py --network $(NETWORK) \
	  --output runs/imagenet/$(NETWORK).safetensors

# A stage of .ci/run; needs no Swift code.
.PHONY: check-benchmarks
check-benchmarks:
	python3 -B -m unittest discover --start-directory Benchmarks
	python3 -B -m unittest discover --start-directory Benchmarks/peer
	$(or $(wildcard $(ONNX_FOLDER)/bin/python),python3) -B -m unittest discover --start-directory Benchmarks/reproduce

# Python packages go into a folder of their own, from PyPI. Without it the tests on TensorBoard are skipped.
.PHONY: tensorboard-environment
tensorboard-environment:
	@$(TENSORBOARD_FOLDER)/bin/python -c 'import tensorboard' 2>/dev/null || { \
	  python3 -m venv $(TENSORBOARD_FOLDER) && \
	  $(TENSORBOARD_FOLDER)/bin/python -m pip install --quiet \
	    --requirement Tests/TrainingTests/TensorBoard/requirements.txt; }

# A Python that has ONNX Runtime, for the tests that let it compute logits from exported models.
.PHONY: onnx-environment
onnx-environment:
	@$(ONNX_FOLDER)/bin/python -c 'import onnx, onnxruntime' 2>/dev/null || { \
	  python3 -m venv $(ONNX_FOLDER) && \
	  $(ONNX_FOLDER)/bin/python -m pip install --quiet --requirement Tests/WeightsTests/ONNX/requirements.txt; }

# What deploy/ holds; a stage of .ci/run that needs no Swift code. Python packages go into a folder of their own, from PyPI.
.PHONY: check-deploy
check-deploy: kubernetes-environment
	deploy/check

.PHONY: kubernetes-environment
kubernetes-environment:
	@$(KUBERNETES_FOLDER)/bin/python -c 'import kubernetes_validate, yaml' 2>/dev/null || { \
	  python3 -m venv $(KUBERNETES_FOLDER) && \
	  $(KUBERNETES_FOLDER)/bin/python -m pip install --quiet --requirement deploy/kubernetes/requirements.txt; }

# Writes Event.pb.swift and ONNX.pb.swift anew after a change of their .proto; wants protoc (Debian's
# protobuf-compiler). The generator is built from the very version of swift-protobuf that icnn is linked with.
PROTOBUF_MESSAGES = Sources/Training/TensorBoard/Event.proto Sources/Weights/ONNX/ONNX.proto
PROTOBUF_PACKAGE = .build/checkouts/swift-protobuf
PROTOBUF_BUILD = $(SWIFT) build -c release --package-path $(PROTOBUF_PACKAGE) --scratch-path .build-protobuf \
  --product protoc-gen-swift
.PHONY: protobuf
protobuf: toolchain
	$(SWIFT) package resolve
	$(PROTOBUF_BUILD)
	for message in $(PROTOBUF_MESSAGES); do \
	  folder=$$(dirname $$message); \
	  protoc --plugin=protoc-gen-swift=$$($(PROTOBUF_BUILD) --show-bin-path)/protoc-gen-swift \
	    --proto_path=$$folder --swift_out=$$folder $$(basename $$message) || exit 1; \
	done

FORMATTED = Sources Tests Package.swift

.PHONY: format
format: toolchain
	$(SWIFT) format format --in-place --parallel --recursive $(FORMATTED)

.PHONY: lint
lint: toolchain
	$(SWIFT) format lint --strict --parallel --recursive $(FORMATTED)
	@if command -v shellcheck >/dev/null; then \
	  echo shellcheck && shellcheck .ci/run .ci/compare-ranks deploy/install-dependencies.sh deploy/slurm/train.sbatch \
	    deploy/lab/lab; \
	else \
	  echo "shellcheck is not installed: shell scripts are not checked"; \
	fi
	@python3 -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]' deploy/lab/faults

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
