#!/bin/sh
# Publishes version 1 of a model to STORE, unless there is a version already.
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
exec ifru train "$ratings" --out "$STORE" --label 'rating>=4' --rank 16 --l2 0.1
