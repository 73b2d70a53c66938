# Docs Gate in a container: a user without rights, a root that may be read-only, no shell needed.
#
#   docker build -t docs-gate .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:8080:8080 \
#       -e GATE_VERIFY__URL=https://portal.example.com/api/verify \
#       -v "$PWD/site:/site:ro" -v docs-gate:/var/lib/gate docs-gate
#
# What to mount (deploy/compose.yaml has all of it):
#   /site                  the built site, readable for everybody; the image holds none but the
#                          handbook that `gate demo` shows
#   /var/lib/gate          a volume, for state_dir: the one folder that is written to
#   /etc/gate/config.toml  a configuration file; without one every setting comes by environment
#   /run/secrets           secret files, GATE_SESSION__KEYS and others, readable for user 10001
# What runs here is `gate serve`; any other command may be named: `docker run --rm docs-gate new-key`.

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY site site
COPY gate gate
# Wheels only, in the versions and with the hashes of the lock: nothing is compiled, and no package's
# set-up script runs. pip itself stays outside.
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && python -m venv --without-pip /opt/gate \
    && python -m pip --python /opt/gate/bin/python install --no-cache-dir --only-binary :all: \
        --require-hashes -r requirements.lock \
    && python -m pip --python /opt/gate/bin/python install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.13-slim
# A new volume takes over owner and mode of the folder that it is mounted on.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/gate \
    && install -d /site
COPY --from=build /opt/gate /opt/gate
# The base image has no bytecode, and who runs here may write none: without this line each health
# check would compile the standard library anew, seconds of processor time.
RUN /opt/gate/bin/gate --version
# The three settings beat a config.toml, because they say what this image is; `-e` beats them.
ENV PATH="/opt/gate/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    GATE_SERVER__HOST=0.0.0.0 \
    GATE_SERVER__STATE_DIR=/var/lib/gate \
    GATE_SITE__ROOT=/site
# Where `gate` looks for config.toml, so that a mounted one needs no GATE_CONFIG.
WORKDIR /etc/gate
VOLUME ["/var/lib/gate"]
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["gate", "health"]
ENTRYPOINT ["gate"]
CMD ["serve"]
