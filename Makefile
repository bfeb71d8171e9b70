# make search · make test · make check · make bench: each sets up what it needs in .venv
PYTHON ?= python3
BIN := .venv/bin
# Two processes, a file in one of them, files in their order: the longest stand alone.
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder
SPEC ?= search/quickstart.yaml

.PHONY: search test coverage check audit fuzz bench bench-quick clean

.venv/.search: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline]'
	touch $@

.venv/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline,dev,onnx,cluster]'
	touch $@ .venv/.search

search: .venv/.search ## search, ensemble and report on the embedded default
	$(BIN)/toprung search $(SPEC)

check: .venv/.test ## format, lint, types, floors, dependencies
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/security/audit.py

audit: .venv/.test ## the dependencies, with what osv.dev knows of them where it can be reached
	$(BIN)/python tests/security/audit.py --online

fuzz: .venv/.test ## 100,000 mutated files, gone on with where it was left; half an hour
	nice -n 19 $(BIN)/python benchmarks/fuzz/fuzz.py --out benchmarks/fuzz/results.json

test: check ## everything that CI runs
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m pytest $(IN_TWO)

coverage: .venv/.test ## the same tests with what they cover; a quarter slower
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m pytest $(IN_TWO) --cov --cov-report=term:skip-covered

.venv-peers/.done: benchmarks/peers/requirements.txt constraints.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -r benchmarks/peers/requirements.txt
	touch $@

bench: .venv/.test .venv-peers/.done ## side-by-side measurements, into benchmarks/RESULTS.md; hours
	$(BIN)/python benchmarks/run.py

bench-quick: .venv/.test .venv-peers/.done ## the same at the smallest sizes: 5 minutes, nothing kept
	$(BIN)/python benchmarks/run.py --quick

clean: ## what the build and the tests left; never results
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* build dist
