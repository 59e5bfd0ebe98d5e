"""Train a model, let it forget a user, and see how near it comes to a model that never knew them.

python examples/one_update.py [RATINGS.csv]        with the columns user, item, rating; generated ones by default
"""

import sys
from pathlib import Path

import torch

import ifru


def main(arguments: list[str]) -> None:
    rule = ifru.LabelRule.parse("rating>=4")
    if arguments:
        dataset = ifru.load_dataset(Path(arguments[0]), rule, holdout=0.2, seed=0)
    else:
        dataset = ifru.split(ifru.generate(200, 150, interactions=7_000, seed=0), rule, holdout=0.2, seed=0)
    trained = ifru.train(dataset, [ifru.MFConfig(rank=16, l2=0.1)], grow=True)
    print(f"Trained on {dataset.train.retained:,} rows: rank {trained.config.rank}, {trained.verdict}.")

    user = dataset.users.name(0)
    engine = ifru.Engine(trained.config, trained.parameters, dataset, ifru.EngineSettings())
    update = engine.apply(dataset.of_user(0))
    updated = engine.parameters.to("cpu", copy=True)
    print(
        f"Forgot user {user}: {len(update.deletion)} rows. By its own measure the update left {update.influence:.1%}."
    )

    retrained = ifru.train(dataset, [trained.config]).parameters
    old, new, exact = (tables.user[1:] @ tables.item.T for tables in (trained.parameters, updated, retrained))
    left = float((new - exact).norm() / (old - exact).norm())
    print(f"A model retrained without {user} scores the others' pairs anew; the update left {left:.1%} of that change.")

    engine.refine()  # as in idle time: what it finds proves how near the update had come
    random = torch.Generator().manual_seed(0)
    dual = ifru.prove(engine.parameters, dataset.train, trained.config, random=random).dual
    proof = ifru.prove(updated, dataset.train, trained.config, random=random, dual=dual)
    print(f"Proven without retraining: predictions are within {proof.rms_bound:.0e} of the retrained model's (RMS).")


if __name__ == "__main__":
    main(sys.argv[1:])
