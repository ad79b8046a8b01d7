# Each target makes the virtual environment first where it is missing or out of date.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# What torch pins by itself where it has a GPU build; see the head of requirements.lock.
GPU_PACKAGES := triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
  nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile \
  nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 \
  nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

need_name = $(if $(NAME),,$(error Which? For example `make $(1)`; `make experiments` runs all))

.DEFAULT_GOAL := help
.PHONY: help repro report experiments experiment seeds test faults lint bench bench-quick mlflow register \
  serve pr-report plots pictures lock setup audit sbom
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

test: $(READY) ## Run the tests
	python -m pytest

faults: $(READY) ## Run the fault trial in full (docs/reliability.md)
	python -m pytest -m 'full or not full' tests/faults

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

pr-report: $(READY) ## What the working tree changes in the results: make pr-report BASE=main
	python -m spam_gpt2.reporting.pr_report --base "$(BASE)"

plots: $(READY) ## Write dvc_plots/index.html, which opens without internet
	dvc plots show

pictures: report ## Bring the README's pictures up to date: docs/*.png
	cp plots/gpt2/confusion_test.png plots/compare/roc.png plots/finetune/loss.png plots/finetune/accuracy.png docs/

setup: $(READY) ## Only make the virtual environment

audit: $(READY) ## Look the installed packages up among the known vulnerabilities
	pip install --quiet pip-audit
	pip-audit --skip-editable

sbom: $(READY) ## Write a CycloneDX list of what is installed: sbom.json
	pip install --quiet pip-audit
	pip-audit --skip-editable --format cyclonedx-json --output sbom.json || test -s sbom.json

lock: $(READY) ## Pin the newest versions that pyproject.toml allows
	pip install --quiet uv
	(sed -n '/^#/p;/^[^#]/q' requirements.lock; uv pip compile --quiet --no-header --universal \
	  --generate-hashes --no-annotate --python-version 3.11 --group dev --no-emit-package torch $(foreach p,$(GPU_PACKAGES),--no-emit-package $(p)) \
	  pyproject.toml) > requirements.lock.new
	mv requirements.lock.new requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -e .git || { echo "error: this folder is no git clone, and DVC needs one; take \`git clone\`, or here \`git init && git add --all && git commit -m start\`" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "error: Python 3.11 to 3.13 is needed, this is %d.%d; try: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $$(sed -nE 's/^ *"(torch==[0-9.]+)".*/\1/p' pyproject.toml)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)
