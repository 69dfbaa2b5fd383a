# Debian's Prometheus where prom/prometheus expects things, so that one compose file starts either. For tests.
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends prometheus curl && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /prometheus /etc/prometheus \
 && chown -R nobody:nogroup /prometheus /etc/prometheus
USER nobody
EXPOSE 9090
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
