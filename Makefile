# Every command of the project. Each target does all its own set-up: a clean checkout needs nothing but
# Python 3.11, Rust, cmake, a C++ compiler and apt (cmake for `make release-engine` alone, apt for the
# engine); what is missing is named in one sentence.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Outside the tree, so that several checkouts share one build and a clean checkout is quick.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/sift-fast/target

VENV := .venv
BENCH_VENV := .venv-bench
KERNEL_BENCH_VENV := .venv-bench-kernel
PYTHON_CODE := sift_fast tests benches scripts examples models
# Arguments for the program that a target runs: `make py-test ARGS="-k stream"`.
ARGS ?=
# What `make eval` measures rules on: a folder of text; without one, the Python packages in .venv.
CORPUS ?= $(wildcard $(VENV)/lib/python3.*/site-packages)

.PHONY: help demo test wheel lint format rust-test py-test hosts presidio rules-check bench fuzz eval eval-secrets \
	eval-pii eval-injection eval-decode eval-kernel rules-docs kills asan clean engine venv release-engine lock install

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS=...         goes to the program behind the target: make py-test ARGS='-k stream'"
	@echo "  SIFT_ENGINE=...  auto (default), hyperscan or automata"

# Without a release build to go on from, the quick profile gets to the screen in half the time.
demo: engine venv ## scan a real tree, redact a streamed answer, let an agent act, on screen
	@if [ -e "$(CARGO_TARGET_DIR)/release/lib_core.so" ]; then \
		scripts/wheel.sh && scripts/install-wheel.sh $(VENV); \
	else \
		scripts/wheel.sh quick dist/quick && scripts/install-wheel.sh $(VENV) dist/quick; \
	fi
	@$(VENV)/bin/python examples/demo.py $(ARGS)

test: ## every check there is, in the order of .ci/run
	@scripts/test.sh

wheel: engine venv ## build dist/*.whl and try it in a clean environment
	@scripts/wheel.sh
	@scripts/check-wheel.sh

lint: engine venv ## formatters, linters, types and licences, without changing a file
	@scripts/lint.sh

format: venv ## format Rust and Python in place
	@cargo fmt --all
	@$(VENV)/bin/ruff check --quiet --fix --select I $(wildcard $(PYTHON_CODE))
	@$(VENV)/bin/ruff format $(wildcard $(PYTHON_CODE))

rust-test: engine venv ## the tests of the Rust crates
	@scripts/rust-test.sh $(ARGS)

py-test: install ## the tests of the Python package, against the installed wheel
	@scripts/py-test.sh $(ARGS)

hosts: engine venv ## the guard inside the newest LiteLLM, LangChain, OpenAI Agents SDK, MCP, FastAPI (400 MB), and `presidio`
	@scripts/wheel.sh
	@for name in hosts litellm; do \
		scripts/venv.sh ".venv-$$name" "requirements/$$name.txt" && \
		scripts/install-wheel.sh ".venv-$$name" && \
		PYTHONDONTWRITEBYTECODE=1 ".venv-$$name/bin/pytest" tests/integration/guard $(ARGS) || exit; \
	done
	@$(if $(ARGS),,$(MAKE) presidio)

presidio: engine venv ## its face here beside its own packages: the same results in, the same text out (500 MB)
	@scripts/wheel.sh
	@scripts/venv.sh .venv-presidio requirements/presidio.txt
	@scripts/install-wheel.sh .venv-presidio
	@.venv-presidio/bin/python -c 'import presidio_analyzer, presidio_anonymizer'
	@PYTHONDONTWRITEBYTECODE=1 .venv-presidio/bin/pytest tests/integration/presidio $(ARGS)

rules-check: install ## every rule: schema, widths, examples, negatives, mutants, in every engine and mode
	@$(VENV)/bin/sift-fast rules check $(ARGS)

bench: engine venv ## measure beside the rivals (several minutes): make bench ARGS='--help'
	@scripts/venv.sh $(BENCH_VENV) requirements/bench.txt
	@scripts/wheel.sh
	@scripts/install-wheel.sh $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m benches $(ARGS)

fuzz: engine ## every fuzz target for 60 s: make fuzz ARGS='scan redact'
	@scripts/fuzz.sh $(ARGS)

eval: install ## what each rule costs on real text: make eval CORPUS=DIR
	@$(VENV)/bin/sift-fast rules cost --corpus "$(CORPUS)" $(ARGS)

eval-secrets: engine venv ## secret rules beside the rivals: make eval-secrets CASES=FILE CORPORA=DIR ARGS=--record
	@scripts/venv.sh $(BENCH_VENV) requirements/bench.txt
	@scripts/wheel.sh
	@scripts/install-wheel.sh $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m benches.secrets $(if $(CASES),--cases "$(CASES)") \
		$(if $(CORPORA),--corpora "$(CORPORA)") $(ARGS)

eval-pii: engine venv ## personal data on cases, in clean text, and its speed: make eval-pii CASES=DIR CORPORA=DIR
	@scripts/venv.sh $(BENCH_VENV) requirements/bench.txt
	@scripts/wheel.sh
	@scripts/install-wheel.sh $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m benches.pii $(if $(CASES),--cases "$(CASES)") \
		$(if $(CORPORA),--corpora "$(CORPORA)") $(ARGS)

eval-injection: install ## prompt injections on texts of a folder, never copied: make eval-injection DATA=DIR CORPORA=DIR FOLDS=DIR
	@$(VENV)/bin/python models/injection-ngram/evaluate.py --model models/injection-encoder --data "$(or $(DATA),$(error name the folder of data: DATA=DIR))" \
		--folds "$(or $(FOLDS),$(error name the folder that models/injection-ngram/train.py --folds wrote: FOLDS=DIR))" \
		$(if $(CORPORA),--corpora "$(CORPORA)") $(foreach folder,$(PACKAGES),--packages "$(folder)") --out docs $(ARGS)

eval-decode: install ## secrets, injections and innocent text under each encoding: make eval-decode CASES=FILE CORPUS=FILE
	@PYTHONPATH=. $(VENV)/bin/python -m benches.decode $(if $(CASES),--cases "$(CASES)") \
		$(if $(filter-out undefined,$(origin CORPUS)),$(foreach file,$(filter %.txt,$(CORPUS)),--corpus "$(file)")) $(ARGS)

eval-kernel: engine venv ## the action kernel from Python beside its rivals: make eval-kernel ARGS=--record
	@scripts/venv.sh $(KERNEL_BENCH_VENV) requirements/bench-kernel.txt
	@scripts/wheel.sh
	@scripts/install-wheel.sh $(KERNEL_BENCH_VENV)
	@$(KERNEL_BENCH_VENV)/bin/python -W ignore -m benches.kernel $(ARGS)

rules-docs: install ## docs/rules.md and the snapshot of the rules, from the installed wheel
	@$(VENV)/bin/python scripts/rules_docs.py $(ARGS)

kills: ## kill a process that writes a ledger 100 times, and look each time (SIFT_KILLS=1000)
	@SIFT_KILLS="$${SIFT_KILLS:-100}" cargo test --quiet --locked -p sift-ledger --test kill killed

asan: engine ## the tests of the engine wrapper under AddressSanitizer
	@scripts/asan.sh $(ARGS)

clean: ## remove what was made in the tree (the compiler's cache in CARGO_TARGET_DIR stays)
	rm -rf $(VENV) $(BENCH_VENV) $(KERNEL_BENCH_VENV) .venv-hosts .venv-litellm .venv-presidio .engine dist target .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf rust/fuzz/target rust/fuzz/artifacts
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

engine: ## make sure that Hyperscan is there, or say that the slower engine is used
	@scripts/engine.sh

venv: ## the virtual environment .venv, with the tools at pinned versions
	@scripts/venv.sh

release-engine: ## build Hyperscan 5.4.2 from source for release wheels (15 minutes of one core)
	@scripts/build-engine.sh $(ARGS)

lock: ## pin the newest versions of the tools again, in requirements/*.txt
	@scripts/lock.sh

# Not for typing: .venv with the wheel of this tree in it.
install: engine venv
	@scripts/wheel.sh
	@scripts/install-wheel.sh $(VENV)
