# Each target makes the virtual environment first where it is missing or out of date.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# Which build of torch: that of an NVIDIA GPU or the smaller one. What is installed stays.
ifeq ($(origin TORCH),undefined)
TORCH := $(or $(shell cat $(READY) 2>/dev/null),$(shell nvidia-smi -L 2>/dev/null | grep -q '^GPU ' && echo cuda || echo cpu))
endif
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
SYSTEM := $(shell uname -s)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

need_name = $(if $(NAME),,$(error Which? For example `make $(1)`; `make experiments` runs all))

.DEFAULT_GOAL := help
.PHONY: help repro report experiments experiment seeds cv test faults lint bench bench-quick mlflow register \
  serve app export score pr-report plots pictures lock setup extras audit sbom
BASE ?= main
SEEDS ?= 5
JOBS ?= 2

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

repro: $(READY) ## Run the pipeline and show the results
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	dvc repro track plots_page
	@python -m spam_gpt2.reporting.summary
	dvc repro
	@python -m spam_gpt2.reporting.summary --holdout

report: $(READY) ## Calibration, robustness, mistakes and more, in reports/index.html
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	dvc repro --all-pipelines
	@echo "Open reports/index.html; the model card is reports/model_card.md"

experiments: $(READY) ## Run all named experiments, and write their table (JOBS=2 at a time)
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	python -m spam_gpt2.experiments --jobs $(JOBS)

experiment: $(READY) ## Run one, or a group: make experiment NAME=lora
	$(call need_name,experiment NAME=lora)
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	python -m spam_gpt2.experiments $(NAME)

seeds: $(READY) ## Mean and spread over seeds: make seeds NAME=default SEEDS=5
	$(call need_name,seeds NAME=default)
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	python -m spam_gpt2.experiments $(NAME) --seeds $(SEEDS) --jobs $(JOBS)

cv: $(READY) ## Cross-validate params.yaml, or an experiment: make cv NAME=lora
	@python -m spam_gpt2.common.repair && python -m spam_gpt2.common.params
	$(if $(NAME),python -m spam_gpt2.experiments $(NAME) --cross-validate,dvc repro reports/dvc.yaml:cross_validate)

# A process a core, each with one thread: two that share the cores make each other slow.
test: $(READY) ## Run the tests
	OMP_NUM_THREADS=1 python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

faults: $(READY) ## Run the fault trial in full (docs/reliability.md)
	python -m pytest -m 'full or not full' --hypothesis-profile=drawn tests/faults

lint: $(READY) ## Check style
	ruff check .
	ruff format --check .

bench: $(READY) ## Compare speed and memory with what one would run instead (half an hour; VOCABULARY=folder)
	python benchmarks/run.py $(if $(VOCABULARY),--vocabulary $(VOCABULARY))

bench-quick: $(READY) ## The same with fewer messages (under 3 minutes)
	python benchmarks/run.py --quick

mlflow: $(READY) ## Open the comparison of runs in MLflow's user interface (PORT=5000)
	python -m spam_gpt2.tracking.registry ui $(if $(PORT),--port $(PORT))

register: $(READY) ## Register the classifier; it becomes champion if it beats the present one
	python -m spam_gpt2.tracking.registry

serve: $(READY) ## Answer at http://127.0.0.1:5001/invocations with the champion (PORT=5001)
	python -m spam_gpt2.tracking.registry serve $(if $(PORT),--port $(PORT))

app: $(READY) ## Open a page to classify messages on, at http://127.0.0.1:5002 (PORT=5002)
	python -m spam_gpt2 app $(if $(PORT),--port $(PORT))

export: $(READY) ## Write exports/: a Hugging Face folder and ONNX, or one: make export FORM=onnx
	python -m spam_gpt2.exports $(FORM)

score: $(READY) ## Label Parquet on Spark: make score INPUT=folder OUTPUT=new (MASTER=local[2])
	$(if $(and $(INPUT),$(OUTPUT)),,$(error Which? For example `make score INPUT=inbox.parquet OUTPUT=labelled`))
	python -m spam_gpt2.scoring "$(INPUT)" "$(OUTPUT)" $(if $(MASTER),--master "$(MASTER)")

pr-report: $(READY) ## What the working tree changes in the results: make pr-report BASE=main
	python -m spam_gpt2.reporting.pr_report --base "$(BASE)"

plots: $(READY) ## Write dvc_plots/index.html, which opens without internet
	dvc plots show

pictures: report ## Bring the README's pictures up to date: docs/*.png
	cp plots/gpt2/confusion_test.png plots/compare/roc.png plots/finetune/loss.png plots/finetune/accuracy.png docs/

setup: $(READY) ## Only make the virtual environment; TORCH=cpu or TORCH=cuda chooses the build of torch

extras: $(VENV)/.extras ## Install what `make export` and `make score` need besides

$(VENV)/.extras: $(READY) requirements-extras.lock
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements-extras.lock
	@touch $@

# These tools' own packages are no part of what the lock files pin.
TOOLS := $(VENV)/tools/bin
INSTALL_TOOL = python -m venv $(VENV)/tools && $(TOOLS)/python -m pip install --quiet --disable-pip-version-check

audit: $(READY) ## Look the pinned packages up among the known vulnerabilities
	$(INSTALL_TOOL) pip-audit
	$(TOOLS)/pip-audit --strict --require-hashes --disable-pip $(LOCKS:%=-r %.lock)

sbom: $(READY) ## Write a CycloneDX list of what is installed: sbom.json
	$(INSTALL_TOOL) cyclonedx-bom
	$(TOOLS)/cyclonedx-py environment --output-file sbom.json $(VENV)

COMPILE = $(TOOLS)/uv pip compile --quiet --no-header --universal --generate-hashes --no-annotate \
  --python-version 3.11 --group dev pyproject.toml
LOCKS := requirements requirements-cuda requirements-extras

lock: $(READY) ## Pin the newest versions that pyproject.toml allows
	$(INSTALL_TOOL) uv
	for lock in $(LOCKS); do sed -n '/^#/p;/^[^#]/q' $$lock.lock > $$lock.new; done
	$(COMPILE) > base.new
	$(COMPILE) --all-extras --constraint base.new > all.new
	awk '/^[^ ]/ {torch = /^(torch|triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==/} \
	  {print >> (torch ? "requirements-cuda.new" : "requirements.new")}' base.new
	awk '/^[^ ]/ {if (NR == FNR) base[$$1]; else extra = !($$1 in base)} NR != FNR && extra' \
	  base.new all.new >> requirements-extras.new
	for lock in $(LOCKS); do mv $$lock.new $$lock.lock; done; rm base.new all.new

# Another build than the installed one is asked for
ifneq ($(TORCH),$(shell cat $(READY) 2>/dev/null))
$(READY): FORCE
endif
FORCE:

PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
TORCH_PIN = $(shell sed -nE 's/^ *"(torch==[0-9.]+)".*/\1/p' pyproject.toml)
INSTALL_cuda = $(PIP_INSTALL) --no-deps --require-hashes -r requirements-cuda.lock
# The CPU build has a name of its own on Linux alone.
INSTALL_cpu = $(PIP_INSTALL) --no-deps --extra-index-url $(TORCH_INDEX) $(TORCH_PIN)$(if $(filter Linux,$(SYSTEM)),+cpu) || { \
  echo "error: no CPU build $(TORCH_PIN) to be had; name an index that has it by TORCH_INDEX=, or take the larger build: make setup TORCH=cuda" >&2; exit 1; }
CUDA_PACKAGES = $(shell sed -nE 's/^([a-z0-9-]+)==.*/\1/p' requirements-cuda.lock)

$(READY): requirements.lock requirements-cuda.lock pyproject.toml
	@test -e .git || { echo "error: this folder is no git clone, and DVC needs one; take \`git clone\`, or here \`git init && git add --all && git commit -m start\`" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "error: Python 3.11 to 3.13 is needed, this is %d.%d; try: make PYTHON=python3.12 ..." % v)'
	@case $(TORCH)-$(SYSTEM) in \
	  cpu-*|cuda-Linux) ;; \
	  cuda-*) echo "error: TORCH=cuda: torch has a CUDA build for Linux only; choose TORCH=cpu" >&2; exit 1;; \
	  *) echo "error: TORCH=$(TORCH): choose cpu or cuda" >&2; exit 1;; \
	esac
	@echo "Installing into $(VENV), once: a few minutes"
	@$(PYTHON) -m venv $(VENV)
	@# pip would take the one build for the other
	@test "$$(cat $(READY) 2>/dev/null)" = $(TORCH) || $(VENV)/bin/python -m pip uninstall -qq --yes $(CUDA_PACKAGES)
	@rm -f $(READY)
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL_$(TORCH))
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@echo $(TORCH) > $(READY)
