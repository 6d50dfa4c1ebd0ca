# `make help` lists what can be done. PYTHON chooses the interpreter that makes .venv (3.11 or newer).
.DEFAULT_GOAL := help
.PHONY: run test lint soak bench messages vendor screenshots pictures contact-sheet demo-providers lock install install-dev help
export PYTHON

BIN := .venv/bin
# Tests wait as long as they work; each process takes a gigabyte.
TEST_PROCESSES ?= $(shell python3 -c "import os; print(min(8, 2 * os.cpu_count()))")

run: install ## start the whole studio and print its address; Ctrl-C ends it
	@exec $(BIN)/python -m imagegen.supervisor --end-with-parent

test: install-dev ## install what the tests need and run them all, browser tests too
	@CHROMIUM="$$(scripts/chromium.sh)" && export CHROMIUM && \
		exec $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal $(ARGS)

lint: install-dev ## check style, types, who imports whom, and templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet

soak: install-dev ## try for hours to break what must hold; goes on where it was ended (SOAK_EXAMPLES, SOAK_SEED)
	@SOAK_EXAMPLES="$${SOAK_EXAMPLES:-20000}" exec $(BIN)/python -m pytest -q --capture=no \
		tests/engine/test_invariants_machine.py -k for_hours

bench: install-dev ## measure against the baselines and print one table
	@exec $(BIN)/python -m bench

messages: install-dev ## gather the words to translate, and compile the translations
	@exec $(BIN)/python -m scripts.messages

vendor: install-dev ## fetch the browser's libraries anew into static/vendor
	@exec $(BIN)/python -m scripts.vendor

screenshots: install-dev ## draw the pages into screenshots/
	@CHROMIUM="$$(scripts/chromium.sh)" && export CHROMIUM && exec $(BIN)/python -m scripts.screenshots $(ARGS)

pictures: install-dev ## draw the pictures that the pages show of themselves into static/img
	@exec $(BIN)/python -m scripts.draw_pictures

contact-sheet: install-dev ## draw what the local provider can do on one sheet
	@exec $(BIN)/python -m scripts.contact_sheet $(ARGS)

demo-providers: install-dev ## run a stand-in for OpenAI that costs nothing, to try the studio by hand
	@exec $(BIN)/python -m scripts.demo_providers $(ARGS)

lock: install-dev ## pin requirements*.in anew, with hashes, for every Python from 3.11
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --quiet \
		--upgrade requirements.in --output-file requirements.txt
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --quiet \
		--upgrade requirements-dev.in --output-file requirements-dev.txt

install:
	@scripts/bootstrap.sh requirements.txt

install-dev:
	@scripts/bootstrap.sh requirements.txt requirements-dev.txt

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
