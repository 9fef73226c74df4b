"""What a file of trees holds, read before xgboost does: on a damaged one xgboost ends the whole process.

References
----------
The format is UBJSON (https://ubjson.org, draft 12) as xgboost writes it; the entries are
those of its published model schema (https://xgboost.readthedocs.io, "JSON schema").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from radiomics_npc.errors import ModelFileError

__all__ = ["check_trees"]

_NUMBERS = {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q", b"d": "f", b"D": "d"}
_WORDS = {b"T": True, b"F": False, b"Z": None}
_DEEPEST = 50
# By node of a tree, as xgboost writes them; the others are for categories, which it is not given.
_BY_NODE = {
    "left_children": ">i4", "right_children": ">i4", "parents": ">i4", "split_indices": ">i4",
    "split_conditions": ">f4", "base_weights": ">f4", "loss_changes": ">f4", "sum_hessian": ">f4",
    "default_left": "u1", "split_type": "u1",
}  # fmt: skip
_OF_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_REMEDY = "Take the file as it was saved, or fit the model again."


def check_trees(trees: bytes, *, columns: int, rounds: int, objective: str) -> None:
    """Refuse bytes that are not trees for so many columns, of so many rounds.

    Parameters
    ----------
    trees : bytes
        Content of ``model.ubj``.
    columns : int
    rounds : int
    objective : str
        Such as ``survival:cox``.

    Raises
    ------
    ModelFileError
        The bytes are no trees, or those of another model.

    Examples
    --------
    >>> try:
    ...     check_trees(b"no trees", columns=1, rounds=1, objective="survival:cox")
    ... except ModelFileError as error:
    ...     print(error.message)
    model.ubj holds no trees
    """
    try:
        learner = _Reader(trees).whole()["learner"]
        numbers, booster = learner["learner_model_param"], learner["gradient_booster"]
        grown = booster["model"]["trees"]
        found = (int(numbers["num_feature"]), len(grown), learner["objective"]["name"])
        sound = all(_is_sound(tree, columns) for tree in grown)
        # One tree a round, and one margin a patient.
        sound &= (booster["name"], numbers["num_target"], numbers["num_class"]) == ("gbtree", "1", "0")
        sound &= list(booster["model"]["tree_info"]) == [0] * len(grown)
        sound &= list(booster["model"]["iteration_indptr"]) == list(range(len(grown) + 1))
        sound &= booster["model"]["gbtree_model_param"]["num_trees"] == str(len(grown))
    except (KeyError, TypeError, ValueError, IndexError, struct.error) as error:
        raise ModelFileError("model.ubj holds no trees", _REMEDY) from error
    if found != (columns, rounds, objective):
        raise ModelFileError("model.ubj holds the trees of another model", _REMEDY)
    if not sound:
        raise ModelFileError("model.ubj holds trees that lead nowhere", _REMEDY)


def _is_sound(tree: Mapping[str, Any], columns: int) -> bool:
    """Every node has two children after it, or none, and splits a column that there is."""
    nodes = int(tree["tree_param"]["num_nodes"])
    arrays = {name: np.asarray(tree[name]) for name in (*_BY_NODE, *_OF_CATEGORIES)}
    if nodes < 1 or any(len(arrays[name]) != nodes for name in _BY_NODE):
        return False
    # xgboost reads them as what they should be.
    if any(arrays[name].dtype != kind for name, kind in _BY_NODE.items()):
        return False
    if arrays["split_type"].any() or any(len(arrays[name]) for name in _OF_CATEGORIES):
        return False
    left, right, parent = arrays["left_children"], arrays["right_children"], arrays["parents"]
    column, own, leaf = arrays["split_indices"], np.arange(nodes), left == -1
    split = own[~leaf]
    inside = (left > own) & (right > own) & (left < nodes) & (right < nodes)
    inside &= (column >= 0) & (column < columns)
    if not np.where(leaf, right == -1, inside).all() or not np.isfinite(arrays["split_conditions"]).all():
        return False
    return bool((parent[left[split]] == split).all() and (parent[right[split]] == split).all())


class _Reader:
    """UBJSON, from its first byte to its last."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def whole(self) -> Any:
        value = self._value(self._take(1), 0)
        if self._at != len(self._content):
            raise ValueError("goes on after its end")
        return value

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._content) - self._at:
            raise ValueError("ends too soon")
        self._at += count
        return self._content[self._at - count : self._at]

    def _number(self, kind: bytes) -> Any:
        code = ">" + _NUMBERS[kind]
        return struct.unpack(code, self._take(struct.calcsize(code)))[0]

    def _length(self) -> int:
        return int(self._number(self._take(1)))

    def _value(self, kind: bytes, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("is too deep")
        if kind in _NUMBERS:
            return self._number(kind)
        if kind in _WORDS:
            return _WORDS[kind]
        if kind == b"S":
            return self._take(self._length()).decode()
        if kind == b"[":
            return self._array(depth)
        if kind == b"{":
            return self._object(depth)
        raise ValueError("holds an unknown kind of value")

    def _array(self, depth: int) -> Any:
        kind = self._take(1)
        if kind == b"$":  # all of one kind
            inside = np.dtype(">" + _NUMBERS[self._take(1)])
            if self._take(1) != b"#":
                raise ValueError("an array has no length")
            return np.frombuffer(self._take(self._length() * inside.itemsize), inside)
        if kind == b"#":
            return [self._value(self._take(1), depth + 1) for _ in range(self._length())]
        values = []
        while kind != b"]":
            values.append(self._value(kind, depth + 1))
            kind = self._take(1)
        return values

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while (kind := self._take(1)) != b"}":
            name = self._take(int(self._number(kind))).decode()
            if name in made:
                raise ValueError("an entry is given twice")
            made[name] = self._value(self._take(1), depth + 1)
        return made
