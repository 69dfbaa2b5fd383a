# golang:1.26-bookworm from the machine's own Go, laid out as the official image. See base-images.ts.
FROM debian:bookworm-slim
COPY go /usr/local/go
# The build machine's own certificates, for its registry.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /go
CMD ["bash"]
