# Everything needs only Python 3.11+ and a network for pip; the first target that runs creates .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet -c constraints.txt
T ?= tests/quant tests/nn  # what `make check` tests: make check T=tests/eval/metrics

.PHONY: demo test check lint docs format eval benchmark clean

demo: .venv/demo
	$(BIN)/python -m eval.demo tests/data/kathleen.flac --out demo_out

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -x $(T)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The shipped default and classical codecs (Debian packages codec2, speex, opus-tools) on twelve recordings.
eval: .venv/ready
	-$(BIN)/python -m eval eval/bench12/bench12.jsonl --out eval_out --workers 2 --systems \
	    default default:25 default:13 default:5 default:1 codec2-700C codec2-2400 codec2-3200 speex-nb-0 \
	    opus-6-60ms opus-9 identity mulaw lowpass-8k lowpass-12k lowpass-16k
	$(BIN)/python -m eval.report eval_out

benchmark: .venv/ready
	$(BIN)/python benchmarks/codec_speed.py --out benchmarks/results

.venv/demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e '.[demo]'
	touch $@

.venv/ready: .venv/demo
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps Resemblyzer webrtcvad-wheels  # what it asks for needs a compiler
	touch $@

clean:
	rm -rf .venv demo_out eval_out dist build site
