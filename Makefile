# Two commands: `make demo` and `make test`. Each makes its virtual environment and installs what it needs.
PYTHON ?= python3.11
VENV := .venv
DEMO_VENV := .venv-demo
OLD_RUNTIME_VENV := .venv-tflite-2.14

.PHONY: help demo test test-fast clean

help:
	@echo "make demo       a shipped recogniser learns a new voice on this machine"
	@echo "make test       all tests"
	@echo "make test-fast  the quick ones"
	@echo "make clean      remove the virtual environments and results"

demo: $(DEMO_VENV)/installed
	$(DEMO_VENV)/bin/tflite-asr demo $(DEMO_ARGS)

test: $(VENV)/installed $(OLD_RUNTIME_VENV)/installed
	TFLITE_2_14_PYTHON=$(CURDIR)/$(OLD_RUNTIME_VENV)/bin/python $(VENV)/bin/python -m pytest -q $(TEST_ARGS)

test-fast: $(VENV)/installed
	$(VENV)/bin/python -m pytest -q -m "not slow" $(TEST_ARGS)

# the device side and synthetic voices: no TensorFlow
$(DEMO_VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[voices]"
	touch $@

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[train,voices,dev]"
	touch $@

# the oldest runtime that exports are promised to train on; it needs NumPy 1, hence an environment of its own
$(OLD_RUNTIME_VENV)/installed: setup.cfg
	$(PYTHON) -m venv $(OLD_RUNTIME_VENV)
	$(OLD_RUNTIME_VENV)/bin/pip install --quiet --disable-pip-version-check "tflite-runtime==2.14.0" "numpy<2"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) $(OLD_RUNTIME_VENV) runs build *.egg-info
