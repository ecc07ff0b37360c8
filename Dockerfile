# The service as one static binary, without cgo: every broker but confluent://.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags="-s -w -X github.com/netstreamflow/netstreamflow.version=${VERSION}" \
      -o /out/netstreamflow ./cmd/netstreamflow \
 && mkdir /out/data

FROM scratch
# The CAs that TLS to a broker trusts by default.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/netstreamflow /netstreamflow
# A new volume takes the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 /out/data /data
# Other machines may reach a container. It starts only when told who may call (NETSTREAMFLOW_AUTH), or that everybody may
# (NETSTREAMFLOW_INSECURE_NO_AUTH=true).
ENV NETSTREAMFLOW_LISTEN=0.0.0.0:5000 \
    NETSTREAMFLOW_DATA_DIR=/data \
    NETSTREAMFLOW_LOG_FORMAT=json
VOLUME /data
EXPOSE 5000
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/netstreamflow", "health"]
ENTRYPOINT ["/netstreamflow"]
CMD ["serve"]
