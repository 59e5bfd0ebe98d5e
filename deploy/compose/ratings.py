"""Write generated ratings as CSV, of users u0, u1, … on items i0, i1, …"""

import csv
import sys

from ifru.interactions.generated import generate


def main() -> None:
    ratings = generate(users=1000, items=1500, interactions=80_000, seed=0)
    out = csv.writer(sys.stdout)
    out.writerow(["user", "item", "rating"])
    for user, item, value in zip(ratings.user, ratings.item, ratings.value, strict=True):
        out.writerow([ratings.users[user], ratings.items[item], int(value)])


if __name__ == "__main__":
    main()
