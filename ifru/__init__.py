"""Recommendation unlearning by influence functions: the library behind the ifrud daemon.

What a program needs stands here; it is imported when it is first asked for.

    data        load_dataset: a data file as a Dataset, labelled by a LabelRule and split into training and held-out
                rows. split: the same for rows that are in memory (Recorded). generate: ratings to try things on.
    models      MFConfig: matrix factorisation. LightGCNConfig: rows are passed along the interactions first.
                Parameters: the tables of a trained model. ModuleConfig: your own torch module, with weights that
                all scores share; use_module imports the factory that makes it.
    training    train: the best of some models, trained to a stationary point, with the proof of how good it is.
    forgetting  Engine: a model that forgets. `apply` deletes rows (a Deletion) and moves the parameters to where
                retraining would take them, `settle` makes the debt exact, `refine` goes on in idle time.
                EngineSettings: how near is near enough, and which rows may move.
    checking    prove: a bound on the distance to the retrained model, without retraining. verify: the distance, by
                retraining, for requests (EraseUser, EraseItem, EraseInteractions, EraseBefore, Rectify). verify_beside:
                the same for models of which retraining has no unique outcome, beside several retrained ones.
    versions    open_store and Reader: published versions of a model, and those that are still to come. restore: a
                version in your own module.
    testing     ifru.testing.Conformance: what every model must hold to, as tests for a model of your own.
    errors      IfruError: every error that is the input's and not this library's.

Train a model, let it forget a user, and prove how near that comes to a model that never knew them:

>>> import ifru, torch
>>> rated = ifru.generate(users=60, items=40, interactions=600, seed=0)
>>> dataset = ifru.split(rated, ifru.LabelRule.parse("rating>=4"), holdout=0.2, seed=0)
>>> trained = ifru.train(dataset, [ifru.MFConfig(rank=8, l2=0.2)])
>>> trained.verdict
'proven optimal'
>>> engine = ifru.Engine(trained.config, trained.parameters, dataset, ifru.EngineSettings(tolerance=0.01))
>>> update = engine.apply(dataset.of_user(dataset.users.row("u3")))
>>> update.influence <= 0.01, dataset.users.row("u3")
(True, None)
>>> random = torch.Generator().manual_seed(0)
>>> ifru.prove(engine.parameters, dataset.train, trained.config, random=random).rms_bound < 0.01
True
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

# Set before torch and numba load their OpenMP runtimes. Each has its own pool of threads, and by default a waiting
# thread spins for long: next to any other load, a waiting pool takes the cores from the working one (20 to 40 times
# slower). A very short spin, which only GNU's runtime knows, saves waking a thread for the next loop of a solve.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from ifru.engine.engine import Engine
    from ifru.engine.settings import EngineSettings
    from ifru.errors import IfruError
    from ifru.evaluation.beside import verify_beside
    from ifru.evaluation.verify import verify
    from ifru.interactions import Dataset, Deletion
    from ifru.interactions.generated import generate
    from ifru.interactions.labels import LabelRule
    from ifru.interactions.loading import Recorded, load_dataset, split
    from ifru.models import MFConfig
    from ifru.models.factory import use_module
    from ifru.models.lightgcn import LightGCNConfig
    from ifru.models.module import ModuleConfig
    from ifru.models.proving import prove
    from ifru.objective.parameters import Parameters
    from ifru.requests import EraseBefore, EraseInteractions, EraseItem, EraseUser, Rectify
    from ifru.snapshots import Reader, open_store, restore
    from ifru.training import train

__all__ = [
    "Dataset",
    "Deletion",
    "Engine",
    "EngineSettings",
    "EraseBefore",
    "EraseInteractions",
    "EraseItem",
    "EraseUser",
    "IfruError",
    "LabelRule",
    "LightGCNConfig",
    "MFConfig",
    "ModuleConfig",
    "Parameters",
    "Reader",
    "Recorded",
    "Rectify",
    "generate",
    "load_dataset",
    "open_store",
    "prove",
    "restore",
    "split",
    "train",
    "use_module",
    "verify",
    "verify_beside",
]

_HOMES = {
    "ifru.engine.engine": ("Engine",),
    "ifru.engine.settings": ("EngineSettings",),
    "ifru.errors": ("IfruError",),
    "ifru.evaluation.beside": ("verify_beside",),
    "ifru.evaluation.verify": ("verify",),
    "ifru.interactions": ("Dataset", "Deletion"),
    "ifru.interactions.generated": ("generate",),
    "ifru.interactions.labels": ("LabelRule",),
    "ifru.interactions.loading": ("Recorded", "load_dataset", "split"),
    "ifru.models": ("MFConfig",),
    "ifru.models.factory": ("use_module",),
    "ifru.models.lightgcn": ("LightGCNConfig",),
    "ifru.models.module": ("ModuleConfig",),
    "ifru.models.proving": ("prove",),
    "ifru.objective.parameters": ("Parameters",),
    "ifru.requests": ("EraseBefore", "EraseInteractions", "EraseItem", "EraseUser", "Rectify"),
    "ifru.snapshots": ("Reader", "open_store", "restore"),
    "ifru.training": ("train",),
}
"""Module -> what of it stands here. torch takes seconds to import, so no module is imported before it is needed."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        for module, names in _HOMES.items():
            if name in names:
                return globals().setdefault(name, getattr(import_module(module), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
