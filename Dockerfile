# Two images from one file: `api` (no torch) and `worker`. Both run as an ordinary user.

FROM node:24-slim AS page
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
RUN mkdir -p ../backend && npm run build

FROM python:3.11-slim AS api
RUN useradd --create-home --uid 10001 equipoise && mkdir /data && chown equipoise /data
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY backend backend
COPY worker worker
COPY --from=page /src/backend/static backend/static
RUN pip install --no-cache-dir --constraint constraints.txt .
USER equipoise
ENV PYTHONUNBUFFERED=1 EQUIPOISE_DATA_DIR=/data
EXPOSE 8000

FROM api AS worker
ARG TORCH_ARGS=""
USER root
RUN pip install --no-cache-dir ${TORCH_ARGS} torch==2.13.0 \
 && pip install --no-cache-dir --constraint constraints.txt ".[worker]"
USER equipoise
ENV NUMBA_CACHE_DIR=/data/cache/numba
