# syntax=docker/dockerfile:1

# The command alone, in Debian. The build has everything that compiling needs; none of it reaches the image.
# The version that rust-toolchain.toml names; that file stays out, or rustup would fetch clippy and rustfmt as well.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The command alone: with the whole workspace it would have the features that only tests need. The caches keep what
# was compiled for the next build, and are no part of the image, so the command is copied out of them at once.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build -p gridtrail --release --locked && \
    install -D --strip target/release/gridtrail /out/gridtrail

FROM debian:bookworm-slim
# OpenSSL and zlib for the Kafka client, certificates for object stores.
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g && \
    rm -rf /var/lib/apt/lists/*
# By number, so that a cluster which refuses to run root can tell. Volumes take their owner from these folders.
RUN groupadd --gid 10001 gridtrail && \
    useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin gridtrail && \
    install -d -o gridtrail -g gridtrail -m 0700 /keys /tls && \
    install -d -o gridtrail -g gridtrail /public-keys /data
COPY --from=build /out/gridtrail /usr/local/bin/gridtrail
COPY LICENSE /usr/share/doc/gridtrail/LICENSE
USER 10001:10001
WORKDIR /data
EXPOSE 8471
STOPSIGNAL SIGTERM
ENTRYPOINT ["gridtrail"]
CMD ["--help"]
