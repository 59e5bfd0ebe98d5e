"""Write generated ratings as CSV: users u0, u1, … rate items that are near their taste, popular ones more often."""

import csv
import sys

import numpy as np

USERS, ITEMS, PER_USER, TASTES = 900, 600, 60, 5


def main() -> None:
    random = np.random.default_rng(0)
    liking = random.normal(size=(USERS, TASTES)) @ random.normal(size=(TASTES, ITEMS)) / np.sqrt(TASTES)
    liking += 0.5 * random.normal(size=(USERS, ITEMS))
    ratings = np.clip(np.rint(3.5 + liking), 1, 5).astype(int)
    popularity = 1.0 / np.arange(1, ITEMS + 1) ** 0.7
    popularity /= popularity.sum()
    out = csv.writer(sys.stdout)
    out.writerow(["user", "item", "rating"])
    for user in range(USERS):
        for item in random.choice(ITEMS, size=PER_USER, replace=False, p=popularity):
            out.writerow([f"u{user}", f"i{item}", ratings[user, item]])


if __name__ == "__main__":
    main()
