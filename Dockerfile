# The page of `python -m spam_gpt2 app` for a trained classifier, which is mounted: docs/app.md.
# Neither TensorFlow nor DVC nor MLflow is in it.
FROM python:3.12-slim-bookworm AS packages
ARG TORCH=2.13.0+cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# What the page imports and what that needs; a test holds the list against both.
ARG PACKAGES="annotated-doc annotated-types anyio certifi charset-normalizer click fastapi filelock \
  fsspec h11 idna jinja2 markupsafe mpmath networkx numpy opentelemetry-api pandas pyarrow pydantic \
  pydantic-core python-dateutil pyyaml regex requests safetensors setuptools six starlette sympy \
  tiktoken tqdm typing-extensions typing-inspection tzdata urllib3 uvicorn"
WORKDIR /build
COPY requirements.lock ./
# Their entries of the lock file: exact versions, and digests that pip checks.
RUN awk -v list="$PACKAGES" 'BEGIN {n = split(list, names, " "); for (i = 1; i <= n; i++) kept[names[i]]} \
    /^[^ ]/ {split($1, part, "=="); on = part[1] in kept} on' requirements.lock > app.lock \
  && python -m venv /venv \
  && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r app.lock \
  && /venv/bin/pip install --no-cache-dir --no-deps --extra-index-url "$TORCH_INDEX" "torch==$TORCH"

FROM python:3.12-slim-bookworm
COPY --from=packages /venv /venv
COPY src/spam_gpt2 /opt/spam_gpt2/spam_gpt2
ENV PATH=/venv/bin:$PATH PYTHONPATH=/opt/spam_gpt2 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin page \
  && install --directory --owner=page /work
WORKDIR /work
USER 10001
EXPOSE 5002
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5002/health', timeout=4)"]
# Within the container every address; `docker run --publish` decides who reaches it.
ENTRYPOINT ["python", "-m", "spam_gpt2", "app", "--host", "0.0.0.0"]
