#!/bin/sh
# Publishes version 1 of a model to STORE, unless there is a version already. TRAIN: options of `ifru train`.
set -eu

if ifru inspect "$STORE" --history 0 >/dev/null 2>&1; then
    echo "$STORE has a version already"
    exit 0
fi

ratings=/data/ratings.csv
if [ ! -f "$ratings" ]; then
    echo "no $ratings: the ratings are generated"
    ratings=/tmp/ratings.csv
    python "$(dirname "$0")/ratings.py" >"$ratings"
fi
# shellcheck disable=SC2086  # these are several options
exec ifru train "$ratings" --out "$STORE" $TRAIN
