# Everything needs only Python 3.10+ and a network for pip; the first target that runs creates .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint format benchmark clean

demo: .venv/ready
	$(BIN)/python -m eval.demo tests/data/kathleen.flac demo_out

test: lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: .venv/ready
	$(BIN)/pip install --quiet -c constraints.txt -e '.[eval]'
	$(BIN)/python benchmarks/codec_speed.py --out benchmarks/results

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv demo_out dist build
