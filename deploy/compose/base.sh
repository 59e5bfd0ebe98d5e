#!/bin/sh
# Publishes version 1 of a model to STORE, unless there is a version already. TRAIN: options of `ifru train`.
# RATINGS: what to train on, as it is called outside of the container; empty: generated ratings.
set -eu

if ifru inspect "$STORE" --history 0 >/dev/null 2>&1; then
    echo "$STORE has a version already"
    exit 0
fi

# What was mounted: a file, or a folder that holds one.
data=${DATA:-/data}
ratings=$data/ratings.csv
if [ -f "$data" ]; then
    # Its ending tells how it is read.
    ratings=${TMPDIR:-/tmp}/$(basename "${RATINGS:-ratings.csv}")
    ln -sf "$data" "$ratings"
elif [ ! -f "$ratings" ] && [ -n "${RATINGS:-}" ]; then
    echo "IFRU_RATINGS is $RATINGS, which is neither a file nor a folder that holds ratings.csv; name one that is" >&2
    exit 2
elif [ ! -f "$ratings" ]; then
    echo "IFRU_RATINGS is not set: the ratings are generated"
    ratings=${TMPDIR:-/tmp}/ratings.csv
    python "$(dirname "$0")/ratings.py" >"$ratings"
fi
# shellcheck disable=SC2086  # these are several options
exec ifru train "$ratings" --out "$STORE" $TRAIN
