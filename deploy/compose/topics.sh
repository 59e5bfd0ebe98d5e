#!/bin/sh
# Creates the daemon's topics where they are missing. BOOTSTRAP: a broker, HOST:PORT.
set -eu

# Events and dead letters hold ids of people, so they are not kept for ever; but longer than any outage lasts.
month_ms=2592000000

for topic in ifru-events ifru-receipts ifru-dead-letters; do
    # Never cleanup.policy=compact: it drops requests that share a key.
    "${KAFKA_HOME:-/opt/kafka}/bin/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP" \
        --create --if-not-exists --topic "$topic" --partitions 3 --replication-factor 1 \
        --config cleanup.policy=delete --config retention.ms=$month_ms
done
