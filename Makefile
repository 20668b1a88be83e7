# make demo    a network that learns where to look, from nothing, in a minute or two
# make test    the tests
# make docs    pages of the package's classes, from their docstrings: build/docs/index.html
# make reproduce TABLE=ner    the runs that a table of the paper lacks, then the table; without TABLE what is done of all of them
# All make .venv and install into it what requirements.txt names; VENV=... and PYTHON=... say otherwise.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
DEMO = runs/demo
DEMO_DATA = data/demo

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: install demo test docs reproduce clean

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo 'Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --requirement requirements.txt
	@touch $@

demo: install
	$(RUN) NumberPrediction/produce_data.py --data_dir $(DEMO_DATA)
	$(RUN) NumberPrediction/RL_train.py --data_dir $(DEMO_DATA) --lamda 1 --max_epochs 2 --run_dir $(DEMO)
	$(RUN) NumberPrediction/evaluate.py --run_dir $(DEMO)
	$(RUN) NumberPrediction/show_skips.py --run_dir $(DEMO)

test: install
	$(RUN) -m pytest -q -n auto $(FLAGS)

# The packages of an extra of pyproject.toml: make extra-ray. Where one has to be built, as seqeval,
# an old pip needs the flag to get what building it takes.
extra-%: install
	$(RUN) -m pip install --quiet --use-pep517 $$($(RUN) -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$*"])')

docs: extra-docs
	$(RUN) -m pip install --quiet --no-deps --upgrade --target build/site .
	PYTHONPATH=build/site $(RUN) -m pdoc --docformat google --no-show-source --no-include-undocumented \
	--output-directory build/docs dynamic_skip_lstm dynamic_skip_lstm.losses
	@echo build/docs/index.html

reproduce: install
	$(RUN) experiments/run.py $(TABLE) $(FLAGS)

clean:
	rm -rf $(DEMO) $(DEMO_DATA) build *.egg-info
