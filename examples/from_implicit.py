"""Take over a model that implicit trained, and let it forget a user.

python examples/from_implicit.py [MODEL.npz DATA.csv USERS.txt ITEMS.txt]        a small model of its own by default

The default needs `pip install -c constraints.txt implicit`.
DATA has the columns user and item, the ids stand one a line in the order of the model's rows. As commands:
`ifru import implicit MODEL.npz --data DATA.csv --user-ids USERS.txt --item-ids ITEMS.txt --out URL`, then `ifrud run`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import ifru
from ifru.importing import base_of, data_of, read_ids, read_implicit, renumbered
from ifru.interactions.loading import read_file
from ifru.models.ials import IALSConfig
from ifru.objective.parameters import Parameters


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        forget(*(map(Path, arguments) if arguments else trained(Path(folder))))


def forget(model: Path, data: Path, users: Path, items: Path) -> None:
    found = read_implicit(model)
    ids = read_ids(users, len(found.user)), read_ids(items, len(found.item))
    dataset = data_of(renumbered(read_file(data, None), *ids, data), None, None)
    config = IALSConfig(rank=found.user.shape[1], l2=found.l2, alpha=found.alpha)
    base = base_of(config, Parameters.of(found.user, found.item), dataset, polished=False)
    print(f"Took over {dataset.train.users} users and {dataset.train.items} items, rank {config.rank}, as they are.")

    user = dataset.users.name(0)
    engine = ifru.Engine(config, base.parameters, dataset, ifru.EngineSettings(), debt=base.debt)
    before = engine.parameters.item.clone()
    update = engine.apply(dataset.of_user(0))
    moved = float((engine.parameters.item - before).norm() / before.norm())
    print(f"Forgot user {user}: {len(update.deletion)} rows, in {update.iterations} products with the curvature.")
    print(f"The factors of the items moved by {moved:.2%}; {update.influence:.1%} of the response is still owed.")


def trained(folder: Path) -> tuple[Path, Path, Path, Path]:
    """The files of a model that implicit fits to generated choices."""
    import implicit
    from scipy.sparse import csr_matrix

    chosen = ifru.generate(200, 150, interactions=7_000, seed=0)
    ones = np.ones(len(chosen.user), np.float32)
    matrix = csr_matrix((ones, (chosen.user, chosen.item)), (len(chosen.users), len(chosen.items)))
    model = implicit.als.AlternatingLeastSquares(16, regularization=10.0, random_state=0, num_threads=1)
    model.fit(matrix, show_progress=False)
    files = folder / "model.npz", folder / "data.csv", folder / "users.txt", folder / "items.txt"
    model.save(str(files[0]))
    pairs = (f"{chosen.users[u]},{chosen.items[i]}" for u, i in zip(chosen.user, chosen.item, strict=True))
    for file, lines in zip(files[1:], (["user,item", *pairs], chosen.users, chosen.items), strict=True):
        file.write_text("\n".join(lines) + "\n", "utf-8")
    return files


if __name__ == "__main__":
    main(sys.argv[1:])
