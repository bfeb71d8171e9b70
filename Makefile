# make search · make test · make check · make bench: each sets up what it needs in .venv
PYTHON ?= python3
BIN := .venv/bin
SPEC ?= search/quickstart.yaml

.PHONY: search test check bench clean

.venv/.search: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline]'
	touch $@

.venv/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline,dev]'
	touch $@ .venv/.search

search: .venv/.search ## search, ensemble and report on the embedded default
	$(BIN)/toprung search $(SPEC)

check: .venv/.test ## format, lint, types, floors
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## everything that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --cov --cov-report=term:skip-covered

bench: .venv/.test ## side-by-side measurements
	$(BIN)/python benchmarks/schedulers/compare_rules.py

clean: ## what the build and the tests left; never results
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
