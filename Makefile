# make sweep   trains the default sweep and prints its comparison      make test   lint and the fast tests, five minutes
# make ui      opens the MLflow UI on what was recorded                make test-all   lint and all tests
# make lock    renews requirements.lock                                make lint   ruff and mypy
# make study   four baselines on CartPole, 20 seeds each               make bench  measures throughput
# make learning  what the shipped experiments reach, 10 seeds each
# make corridor  figures 13.1 and 13.2 of Sutton & Barto, 100 seeds a curve, held to a simulation
# make exactness  every estimator against the exact gradient, over 100,000 episodes each
# make kills    60 sweeps killed five times each and resumed to the same bits  make fuzz     2,500 wrong inputs
# make servers  PostgreSQL and an S3, killed in the middle of a sweep        make serving  a model in a fresh environment
# make coverage  how often the intervals hold the truth, by simulation
# make error-rates  size and power of the tests of two configurations, the bias of the best, false alarms
# make workers  Ray clusters, and Slurm, which it wants installed
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: sweep study learning coverage error-rates corridor exactness kills fuzz servers serving workers \
	lint test test-all bench ui lock

sweep: $(INSTALLED)
	$(BIN)/pgexp -m baseline=none,mean,value seed='range(10)'
	$(BIN)/pgexp-compare

study: $(INSTALLED)
	$(BIN)/pgexp -m baseline=none,mean,leave_one_out,value seed='range(20)'
	$(BIN)/pgexp-compare

learning: $(INSTALLED)
	$(BIN)/python analysis/learning/learning.py

coverage: $(INSTALLED)
	$(BIN)/python -m analysis.coverage.coverage

error-rates: $(INSTALLED)
	$(BIN)/python -m analysis.error_rates.size_and_power
	$(BIN)/python -m analysis.error_rates.selection_bias
	$(BIN)/python -m analysis.error_rates.steps_to_threshold
	$(BIN)/python -m analysis.error_rates.best_as_reference
	$(BIN)/python -m analysis.error_rates.collapse_fence

corridor: $(INSTALLED)
	$(BIN)/pgexp -m experiment=sutton_barto_13_1
	$(BIN)/pgexp -m experiment=sutton_barto_13_2
	$(BIN)/python -m analysis.sutton_barto_13.comparison

exactness: $(INSTALLED)
	PGEXP_TEST_SECONDS=7200 PGEXP_EXACTNESS_EPISODES=100000 $(BIN)/pytest -n 2 tests/exactness

kills: $(INSTALLED)
	PGEXP_TEST_SECONDS=7200 PGEXP_KILLED_SWEEPS=60 $(BIN)/pytest -s tests/kills

fuzz: $(INSTALLED)
	PGEXP_TEST_SECONDS=7200 PGEXP_FUZZ_EXAMPLES=2000 $(BIN)/pytest -n 2 tests/fuzz

servers: $(INSTALLED)
	$(BIN)/pytest tests/servers

serving: $(INSTALLED)
	PGEXP_TEST_SECONDS=3600 $(BIN)/pytest tests/serving/clean_environment.py

workers: $(INSTALLED)
	$(BIN)/pytest tests/workers

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2 --dist loadscope -m "not slow"

test-all: lint
	$(BIN)/pytest -n 2 --dist loadscope

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.diagnostics
	$(BIN)/python -m benchmarks.outage
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.recording
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.loading

ui: $(INSTALLED)
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	    --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock
	sed -i -E '/^(nvidia-|cuda-|triton)/d' requirements.lock  # torch asks for these itself, pinned, where its build wants them

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "pgexp needs Python 3.11 or newer; say which: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
