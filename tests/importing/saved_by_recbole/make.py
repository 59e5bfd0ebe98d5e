"""Train BPR, LightGCN and NeuMF by RecBole itself on a few pairs, and have it save its checkpoints.

    python make.py FOLDER

Needs RecBole 1.2.1 and what it imports. It was written for older libraries: what they have renamed is put back first.
Writes each checkpoint and its scores of all pairs, `data.csv`, `users.txt` and `items.txt`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

USERS, ITEMS = 40, 25
SETTINGS: dict[str, Any] = {
    "data_path": "dataset",
    "checkpoint_dir": "saved",
    "load_col": {"inter": ["user_id", "item_id"]},
    "epochs": 40,
    "eval_step": 40,
    "train_batch_size": 64,
    "learning_rate": 0.01,
    "embedding_size": 8,
    "n_layers": 2,
    "mf_embedding_size": 8,
    "mlp_embedding_size": 8,
    "mlp_hidden_size": [16, 8],
    "metrics": ["Recall"],
    "topk": [10],
    "valid_metric": "Recall@10",
    "use_gpu": False,
    "state": "ERROR",
}


def renamed() -> None:
    """Names that RecBole uses, in the libraries of today."""
    for old, new in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
        if not hasattr(np, old):
            setattr(np, old, new)
    kind: Any = import_module("scipy.sparse").dok_matrix
    if not hasattr(kind, "_update"):
        kind._update = lambda matrix, found: matrix._dict.update({place: float(one) for place, one in found.items()})


def write_pairs(path: Path) -> None:
    """Pairs with structure, as RecBole reads them."""
    random = np.random.default_rng(0)
    taste = random.normal(size=(USERS, 3)) @ random.normal(size=(3, ITEMS))
    likes = (taste > 0.3) & (random.random((USERS, ITEMS)) < 0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"u{user}\ti{item}" for user, item in zip(*np.nonzero(likes), strict=True)]
    path.write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n", "utf-8")


def main(name: str) -> None:
    """Train, save and score one model."""
    data, utils = import_module("recbole.data"), import_module("recbole.utils")
    config = import_module("recbole.config").Config(model=name, dataset="tiny", config_dict=SETTINGS)
    utils.init_seed(config["seed"], True)
    dataset = data.create_dataset(config)
    train, valid, _ = data.data_preparation(config, dataset)
    model = utils.get_model(name)(config, train.dataset)
    trainer = utils.get_trainer(config["MODEL_TYPE"], name)(config, model)
    trainer.fit(train, valid, saved=True, show_progress=False)
    model.load_state_dict(torch.load(trainer.saved_model_file, weights_only=False)["state_dict"])
    Path(trainer.saved_model_file).replace(f"{name}.pth")
    users, items = (dataset.field2id_token[field] for field in ("user_id", "item_id"))
    pairs = train.dataset.inter_feat
    rows = zip(pairs["user_id"].tolist(), pairs["item_id"].tolist(), strict=True)
    texts = {
        "users.txt": "\n".join(users[1:]),
        "items.txt": "\n".join(items[1:]),
        "data.csv": "\n".join(["user,item", *(f"{users[user]},{items[item]}" for user, item in rows)]),
    }
    for file, text in texts.items():
        Path(file).write_text(f"{text}\n", "utf-8")
    model.eval()
    user = torch.arange(1, len(users)).repeat_interleave(len(items) - 1)
    item = torch.arange(1, len(items)).repeat(len(users) - 1)
    with torch.no_grad():
        if name == "NeuMF":
            scores = model.forward(user, item)
        else:
            kind = import_module("recbole.data.interaction").Interaction
            scores = model.predict(kind({"user_id": user, "item_id": item}))
    np.save(f"{name}.npy", scores.view(len(users) - 1, len(items) - 1).numpy())


if __name__ == "__main__":
    os.chdir(sys.argv.pop())
    renamed()
    write_pairs(Path("dataset/tiny/tiny.inter"))
    for each in ("BPR", "LightGCN", "NeuMF"):
        main(each)
