# make demo   a fresh clone to a trained, compressed, verified network
# make test   lint, types and all tests
# Both make their own environment in .venv. On a machine with a GPU, or for another build of torch:
#   make test TORCH='torch'

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test bench-sizes clean

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

# The table of spec/rationale.md: what each choice of the format is worth.
bench-sizes: .venv/made
	$(BIN)/python benchmarks/choices.py

clean:
	rm -rf .venv node_modules demo
