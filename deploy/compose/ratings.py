"""Write generated ratings as CSV, of users u0, u1, … on items i0, i1, …"""

import csv
import sys

import numpy as np

from ifru.interactions.generated import generate


def main() -> None:
    ratings = generate(users=943, items=1682, interactions=100_000, seed=0)
    stars = np.asarray(ratings.value, dtype=np.int64)
    out = csv.writer(sys.stdout)
    out.writerow(["user", "item", "rating"])
    for user, item, value in zip(ratings.user, ratings.item, stars, strict=True):
        out.writerow([ratings.users[user], ratings.items[item], value])


if __name__ == "__main__":
    main()
