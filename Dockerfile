# mmat for a CPU, with the embedded weights inside: `docker build --tag mmat .`
FROM python:3.12 AS build
# The whole image, since two of the packages are compiled while they are installed.
WORKDIR /source
COPY setup.py pyproject.toml MANIFEST.in README.md CHANGELOG.md CITATION.cff LICENSE THIRD_PARTY.md ./
COPY mmat mmat
COPY data_lists data_lists
COPY requirements/lock-tf2.17.txt requirements/lock-tf2.17.txt
ENV MMAT_CACHE=/opt/mmat/cache
RUN python -m venv /opt/mmat
RUN /opt/mmat/bin/python -m pip install --no-cache-dir --constraint requirements/lock-tf2.17.txt ".[app]"
RUN /opt/mmat/bin/mmat fetch models

FROM python:3.12-slim
COPY --from=build /opt/mmat /opt/mmat
ENV MMAT_CACHE=/opt/mmat/cache
WORKDIR /media
ENTRYPOINT ["/opt/mmat/bin/mmat"]
