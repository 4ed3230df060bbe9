# Two images of the kit: `psr` (command, embedded hub, engine fleet) and `lab` (all of it: also what `psr fit` needs,
# JupyterLab and papermill).
#   docker build --target psr -t psr .        docker build --target lab -t psr-lab .
# Same pins as everywhere (constraints.txt); the build stage and its tools stay behind.
ARG BASE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE} AS build
# the system's certificates: a network that has an authority of its own can build it too
ENV UV_SYSTEM_CERTS=1 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --constraint constraints.txt uv \
    && /opt/uv/bin/uv venv --python /usr/local/bin/python3 /opt/psr
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
# dependencies before sources: a layer that changes only with the pins. Only `psr fit` needs scipy and scikit-learn,
# a third of the image; tests and debugging symbols of packages are another one
RUN printf 'joblib\nscikit-learn\nscipy\n' > left-out.txt \
    && /opt/uv/bin/uv pip install --python /opt/psr/bin/python --constraint constraints.txt --excludes left-out.txt \
        --requirements pyproject.toml --extra cluster --extra postgres \
    && find /opt/psr -type d -name tests -prune -exec rm -rf {} + \
    && find /opt/psr -name '*.so' -exec strip --strip-unneeded {} +
COPY psrlib psrlib
COPY data data
COPY notebooks notebooks
RUN /opt/uv/bin/uv pip install --python /opt/psr/bin/python --build-constraint constraints.txt --no-deps .
# bytecode of what most commands load, which a read-only file system could not keep; unchecked, for a layer may give
# its files other times
RUN /opt/psr/bin/python -c "import compileall, sys, psrlib.engines.serve, psrlib.hub.server, psrlib.state; \
        from py_compile import PycInvalidationMode as Mode; \
        loaded = [getattr(module, '__file__', None) or '' for module in [*sys.modules.values()]]; \
        [compileall.compile_file(file, force=True, quiet=1, invalidation_mode=Mode.UNCHECKED_HASH) \
         for file in loaded if file.startswith('/opt/psr')]" \
    && find /opt/psr -name '*.pyi' -delete

FROM build AS build-lab
RUN /opt/uv/bin/uv pip install --python /opt/psr/bin/python --constraint constraints.txt \
        --requirements pyproject.toml --extra cluster --extra postgres --extra notebooks \
    && find /opt/psr -type d -name tests -prune -exec rm -rf {} + \
    && find /opt/psr -name '*.so' -exec strip --strip-unneeded {} +

FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="PSR DB Populator" \
      org.opencontainers.image.description="Fills an empty Control Hub with reproducible background noise" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0"
# any uid of group 0 may write to the volume; the root file system may be read-only, with a /tmp
RUN useradd --no-log-init --uid 10001 --gid 0 --no-create-home --home-dir /tmp psr \
    && install -d -o 10001 -g 0 -m 0775 /psr
ENV PATH=/opt/psr/bin:$PATH \
    HOME=/tmp \
    PSR_HOME=/psr \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /psr
VOLUME /psr
USER 10001:0

FROM runtime AS lab
COPY --from=build-lab /opt/psr /opt/psr
EXPOSE 8888
CMD ["sh", "-c", "[ -d /psr/notebooks ] || psr notebooks /psr/notebooks; exec jupyter lab --ip 0.0.0.0 --port 8888 --no-browser notebooks"]

FROM runtime AS psr
COPY --from=build /opt/psr /opt/psr
EXPOSE 18631 18636
ENTRYPOINT ["psr"]
CMD ["--help"]
