# One static program on an empty base: no shell, no package manager, an unprivileged user.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/bin/sallyport ./cmd/sallyport
# A volume mounted on one of these folders takes its owner and mode from here when it is first made.
RUN for folder in outbox inbox staging archive quarantine receipts; do \
        install -d -m 0700 "/out/data/$folder"; \
    done && chmod 0700 /out/data && install -d -m 0700 /out/cards/own /out/cards/peer

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/bin/sallyport /usr/local/bin/sallyport
COPY --from=build --chown=65532:65532 /out/data /var/lib/sallyport
COPY --from=build --chown=65532:65532 /out/cards /var/lib/sallyport-cards
COPY LICENSE NOTICE /usr/share/doc/sallyport/
USER 65532:65532
VOLUME /var/lib/sallyport
EXPOSE 8000 8001
ENTRYPOINT ["/usr/local/bin/sallyport"]
CMD ["-C", "/var/lib/sallyport/sallyport.yaml", "serve"]
