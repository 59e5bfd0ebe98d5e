"""What a recommender learns from: rows of (user, item, label), their ids, and their deletion."""

from ifru.interactions.dataset import Dataset, Deletion, Ids, NewLabels
from ifru.interactions.table import Columns, Interactions

__all__ = ["Columns", "Dataset", "Deletion", "Ids", "Interactions", "NewLabels"]
